"""What the command line's words mean: words in, checked values out."""

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast, get_args

from covscan.cli.streams import Wishes
from covscan.config.settings import Device, Settings
from covscan.errors import CovscanError, UsageError, raise_collected
from covscan.render.names import nearest

TIERS = ("forward", "gradient", "probe", "trial")
SEVERITIES = ("error", "warning", "info")
LITERALS = {"true": True, "false": False, "null": None}


def read_settings(words: Mapping[str, Any]) -> Settings:
    """The settings of a measurement from a command's parameters. Raises every problem at once."""
    errors: list[CovscanError] = []

    def attempt(read: Callable[[Any], Any], name: str) -> Any:
        try:
            return read(words[name])
        except UsageError as error:
            errors.append(error)
            return None

    checked: dict[str, Any] = {
        "model_args": attempt(read_model_arguments, "model_arg"),
        "positions": attempt(read_positions, "positions"),
        "device": attempt(read_device, "device"),
    }
    if words.get("evidence") is not None:
        checked["evidence"] = attempt(read_evidence, "evidence")
    if words.get("lr") is not None:
        checked["lr"] = attempt(read_rate, "lr")
    raise_collected(errors)
    lists: dict[str, Any] = {name: tuple(words[name] or ()) for name in ("checkpoints", "sites", "exclude")}
    plain = (
        "model",
        "trust",
        "data",
        "reference_data",
        "target",
        "mask",
        "samples",
        "batch_size",
        "seed",
        "train_batch_size",
        "per_channel",
        "loss",
        "optimizer",
        "trial_steps",
        "train_samples",
    )
    return Settings(**checked, **lists, **{name: words[name] for name in plain if name in words})


def read_model_arguments(options: Sequence[str] | None) -> tuple[tuple[str, Any], ...]:
    """``KEY=VALUE`` options as pairs; a value that reads as a Python or JSON literal is that literal."""
    found: dict[str, Any] = {}
    for option in options or ():
        name, equals, value = option.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(
                "bad-model-argument",
                f"'--model-arg {option}' is not KEY=VALUE",
                hint="KEY is the name of a parameter of the --model function, for example --model-arg width=64",
            )
        if name in found:
            raise UsageError("bad-model-argument", f"--model-arg gives '{name}' twice", hint="give it once")
        found[name] = _literal(value)
    return tuple(found.items())


def _literal(text: str) -> Any:
    if text in LITERALS:
        return LITERALS[text]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def read_positions(text: str) -> int | None:
    """A number of positions; None for all of them."""
    if text.lower() == "all":
        return None
    if text.isdecimal() and int(text):
        return int(text)
    raise UsageError(
        "bad-option", f"'--positions {text}' is neither a number nor 'all'", hint="write for example --positions 64"
    )


def read_device(text: str) -> Device:
    """One of the devices that the settings know."""
    return cast(Device, choice("--device", text, get_args(Device)))


def read_evidence(text: str) -> str:
    """One of the tiers of evidence."""
    return choice("--evidence", text, TIERS)


def read_rate(rate: float) -> float:
    """A learning rate."""
    if not 0 < rate < math.inf:
        raise UsageError("bad-option", f"'--lr {rate}' is no learning rate", hint="write for example --lr 0.001")
    return rate


def read_threshold(text: str) -> tuple[str, ...]:
    """The severities that fail a run, for ``--fail-on``."""
    level = choice("--fail-on", text, (*SEVERITIES, "never"))
    return () if level == "never" else SEVERITIES[: SEVERITIES.index(level) + 1]


def read_wishes(words: Mapping[str, Any]) -> Wishes:
    """What the user said about how things shall look."""
    color = choice("--color", words["color"], ("auto", "always", "never"))
    return Wishes("never" if words["no_color"] else color, bool(words.get("verbose")))


def choice(option: str, text: str, known: Sequence[str]) -> str:
    """The text if it is one of the known ones. Raises UsageError with the nearest of them."""
    if text not in known:
        raise UsageError("bad-option", f"'{option} {text}' is not known", hint=nearest(text, known))
    return text
