"""What the command line's words mean: words in, checked values out."""

import ast
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

from covscan.cli.streams import Wishes
from covscan.config.settings import Device
from covscan.errors import UsageError
from covscan.render.names import nearest

TIERS = ("forward", "gradient", "probe", "trial")
LITERALS = {"true": True, "false": False, "null": None}


def given(context: Any) -> frozenset[str]:
    """The parameters that were said on the command line, the others having their defaults."""
    return frozenset(name for name in context.params if context.get_parameter_source(name).name == "COMMANDLINE")


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


def read_evidence(text: str | None) -> str | None:
    """One of the tiers of evidence."""
    return None if text is None else choice("--evidence", text, TIERS)


def read_rate(rate: float | None) -> float | None:
    """A learning rate."""
    if rate is not None and not 0 < rate < math.inf:
        raise UsageError("bad-option", f"'--lr {rate}' is no learning rate", hint="write for example --lr 0.001")
    return rate


def read_list(options: Sequence[str] | None) -> list[str]:
    """A repeatable option whose values may be several with commas between them."""
    return [word for option in options or () for part in option.split(",") if (word := part.strip())]


def read_seed(seed: int) -> int:
    """A number that generators of random numbers can start from."""
    if not -(2**63) <= seed < 2**63:
        raise UsageError("bad-option", f"'--seed {seed}' has more than 64 bits", hint="write for example --seed 1")
    return seed


def read_names(options: Sequence[str] | None) -> tuple[str, ...]:
    """A repeatable option."""
    return tuple(options or ())


def read_wishes(words: Mapping[str, Any]) -> Wishes:
    """What the user said about how things shall look."""
    color = choice("--color", words["color"], ("auto", "always", "never"))
    plots = read_names(words.get("plot"))
    return Wishes("never" if words["no_color"] else color, bool(words.get("verbose")), plots)


def choice(option: str, text: str, known: Sequence[str]) -> str:
    """The text if it is one of the known ones. Raises UsageError with the nearest of them."""
    if text not in known:
        raise UsageError("bad-option", f"'{option} {text}' is not known", hint=nearest(text, known))
    return text
