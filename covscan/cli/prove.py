"""``covscan prove``: train with and without, and say what it gains."""

import os
from collections.abc import Mapping, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from covscan.cli.outputs import check_writable, replace_files
from covscan.cli.settings import FIELDS, read_config, read_settings
from covscan.cli.streams import deliver, look_for, payload_only
from covscan.cli.values import choice, read_wishes
from covscan.cli.where import read_where
from covscan.config.settings import Settings
from covscan.errors import CovscanError, ExitCode, UsageError, raise_collected
from covscan.report.proof import Proof

_PERCENT = 100


def run(words: Mapping[str, Any], said: Set[str]) -> int:
    """Run the command; ``words`` are its parameters, ``said`` those that were given. Returns the exit code."""
    wishes = read_wishes(words)
    form = choice("--format", words["form"], ("text", "json"))
    settings = read_settings(words, said, read_config(words), FIELDS | {"samples": "train_samples"})
    settings = replace(settings, positions=None, samples=settings.train_samples)
    _check_complete(settings)
    where = read_where(words)
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
        proof = prove_place(settings, *where, plan, watch(quiet=words["quiet"], wishes=wishes))
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
