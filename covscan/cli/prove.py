"""``covscan prove``: train with and without, and say what it gains."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

from covscan.cli.outputs import check_writable, replace_files
from covscan.cli.streams import deliver, look_for, payload_only
from covscan.cli.values import choice, read_settings, read_wishes
from covscan.config.settings import Settings
from covscan.errors import CovscanError, ExitCode, UsageError, raise_collected
from covscan.report.proof import Proof

POSITIONS = ("after", "before")
_PERCENT = 100


def run(words: Mapping[str, Any]) -> int:
    """Run the command; ``words`` are its parameters. Returns the exit code."""
    wishes = read_wishes(words)
    form = choice("--format", words["form"], ("text", "json"))
    settings = read_settings({**words, "positions": "all", "sites": (), "exclude": ()})
    _check_complete(settings)
    site, position, norm = _place(words)
    output = Path(os.path.realpath(words["output"])) if words["output"] is not None else None
    if output is not None:
        check_writable(output, "-o proof.json")
    with payload_only() as stdout:
        from covscan.cli.progress import watch
        from covscan.prove.proof import Plan
        from covscan.proving import prove_place

        plan = Plan(
            seeds=words["seeds"],
            steps=words["steps"],
            rungs=words["rates"],
            resume=Path(words["resume"]) if words["resume"] is not None else None,
            expected=None if words["expect_gain"] is None else words["expect_gain"] / _PERCENT,
        )
        proof = prove_place(settings, site, position, norm, plan, watch(quiet=words["quiet"], wishes=wishes))
        text = encoded(proof)
        if output is not None:
            replace_files([(output, text)])
        if form == "json":
            deliver(stdout, text, encoding="utf-8")
        else:
            from covscan.render.as_text import draw
            from covscan.render.content.proof import sections

            look = look_for(stdout, wishes)
            deliver(stdout, draw(sections(proof, look), look))
    return ExitCode.FINDINGS if proof.met is False else ExitCode.OK


def encoded(proof: Proof) -> str:
    """The proof as JSON, indented."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(proof), indent=2).decode() + "\n"


def _check_complete(settings: Settings) -> None:
    errors: list[CovscanError] = []
    if not settings.checkpoints:
        errors.append(
            UsageError(
                "no-checkpoints",
                "there is nothing to train",
                hint="name checkpoints; where the first is of step 0, training starts from it",
            )
        )
    for value, option, what in (
        (settings.data, "--data FILE", "there are no samples to train on"),
        (settings.loss, "--loss cross_entropy --target NAME", "nothing says what is trained for"),
    ):
        if value is None:
            errors.append(UsageError("incomplete", what, hint=f"add {option}"))
    raise_collected(errors)


def _place(words: Mapping[str, Any]) -> tuple[str, Literal["before", "after"], str]:
    """Where and which, from the options or from a suggestion of a report."""
    if words["report"] is not None:
        from covscan.cli.insert import suggested

        found = suggested(words)
        return found.site, found.position, found.norm
    missing = [f"--{name}" for name in ("site", "norm") if words[name] is None]
    if missing:
        raise UsageError(
            "no-place",
            f"{' and '.join(missing)} must say what to put in and where",
            hint="for example --site fc3 --norm BatchNorm1d, or --report REPORT.json to take a suggestion",
        )
    position = choice("--position", words["position"] or "after", POSITIONS)
    return words["site"], cast(Literal["before", "after"], position), words["norm"]
