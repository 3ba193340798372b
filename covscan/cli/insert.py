"""``covscan insert``: check what was asked for, put the normalization in, and say what it changes."""

import json
import os
import shlex
from collections.abc import Mapping, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from covscan.cli.outputs import check_writable
from covscan.cli.settings import read_config, read_settings
from covscan.cli.streams import deliver, look_for, payload_only
from covscan.cli.values import choice, read_wishes
from covscan.cli.where import read_where
from covscan.config.settings import Settings
from covscan.errors import CovscanError, ExitCode, UsageError, raise_collected
from covscan.insertion.types import Outcome, Request
from covscan.render.blocks import Block, Code, Column, Items, Line, Prose, Section, Span, Table, line
from covscan.render.names import printable


def run(words: Mapping[str, Any], said: Set[str]) -> int:
    """Run the command; ``words`` are its parameters, ``said`` those that were given. Returns the exit code."""
    wishes = read_wishes(words)
    form = choice("--format", words["form"], ("text", "json"))
    settings = replace(read_settings(words, said, read_config(words)), positions=None)
    _check_complete(settings, words)
    request = _request(words, settings)
    _check_files(settings, request)
    with payload_only() as stdout:
        from covscan.insertion import insert

        outcome = insert(settings, request)
        if form == "json":
            deliver(stdout, json.dumps(record(outcome), indent=2) + "\n", encoding="utf-8")
        else:
            from covscan.render.as_text import draw

            deliver(stdout, draw([_section(outcome)], look_for(stdout, wishes)))
    return ExitCode.OK if outcome.difference.unchanged else ExitCode.FINDINGS


def _check_complete(settings: Settings, words: Mapping[str, Any]) -> None:
    errors: list[CovscanError] = []
    if len(settings.checkpoints) != 1:
        found = f"{len(settings.checkpoints)} were named" if settings.checkpoints else ""
        errors.append(UsageError("no-checkpoints", "name the one checkpoint to put a normalization into", found=found))
    if settings.data is None:
        errors.append(
            UsageError(
                "no-data",
                "there are no samples to calibrate the normalization with and to verify it on",
                hint="add --data FILE, or --data file.py:function that returns a DataLoader or any iterable",
            )
        )
    if words["output"] is None:
        errors.append(UsageError("no-output", "nothing says where to write to", hint="add -o PATH"))
    raise_collected(errors)


def _request(words: Mapping[str, Any], settings: Settings) -> Request:
    """What to put in and where, and the files to write."""
    output = Path(os.path.realpath(words["output"]))
    where = read_where(words)
    return Request(*where, output, _code(words, settings, output))


def _code(words: Mapping[str, Any], settings: Settings, output: Path) -> Path | None:
    """Where the factory goes: beside the weights, unless the user says where. An ONNX file needs none."""
    if all(name.lower().endswith(".onnx") for name in settings.checkpoints):
        if words["code"] is not None:
            raise UsageError("bad-option", "an ONNX file needs no code beside it", hint="leave out --code")
        return None
    return Path(os.path.realpath(words["code"])) if words["code"] is not None else output.with_suffix(".py")


def _check_files(settings: Settings, request: Request) -> None:
    """Raise every reason why the files must not or cannot be written."""
    errors: list[CovscanError] = []
    for path, option in ((request.output, "-o"), (request.code, "--code")):
        if path is not None:
            try:
                check_writable(path, f"{option} {path / 'model'}")
                _check_kept(path, option, settings, request)
            except UsageError as error:
                errors.append(error)
    raise_collected(errors)


def _check_kept(path: Path, option: str, settings: Settings, request: Request) -> None:
    """Raise UsageError where the file would take the place of something that is not covscan's own."""
    kept = [*settings.checkpoints, *([settings.data] if isinstance(settings.data, str) else [])]
    if any(path == Path(os.path.realpath(name)) for name in kept) or (option == "--code" and path == request.output):
        raise UsageError(
            "unwritable-output", f"'{path}' must not be overwritten", hint=f"name another file: {option} PATH"
        )
    if option == "--code" and path.is_file():
        from covscan.surgery.factory_file import MARK

        with path.open(encoding="utf-8", errors="replace") as stream:
            if MARK not in stream.readline():
                raise UsageError(
                    "unwritable-output",
                    f"'{path}' is there already, and covscan did not write it",
                    hint="name another file with -o or --code",
                )


def record(outcome: Outcome) -> dict[str, Any]:
    """The outcome for scripts."""
    made, difference, training = outcome.insertion, outcome.difference, outcome.training
    return {
        "site": made.site,
        "position": made.position,
        "norm": made.norm,
        "channels": made.channels,
        "channel_axis": made.channel_axis,
        "written": [str(path) for path in outcome.written],
        "unchanged": difference.unchanged,
        "difference": {
            "largest": difference.largest,
            "mean": difference.mean,
            "relative_largest": difference.relative,
            "relative_mean": difference.relative_mean,
            "samples": difference.samples,
            "values": difference.values,
        },
        "training": None
        if training is None
        else {
            "batch_size": training.batch_size,
            "independent_rows": training.independent,
            "expected": training.expected,
            "measured": training.measured,
        },
        "calibrated_on": outcome.calibrated_on,
        "renamed": dict(outcome.renamed),
        "load": list(outcome.load),
        "notes": list(outcome.notes),
    }


def _section(outcome: Outcome) -> Section:
    rows: list[tuple[str, str | Line]] = [
        ("written", "  ".join(printable(str(path)) for path in map(_short, outcome.written))),
        ("function", _function(outcome)),
        ("start", _start(outcome)),
    ]
    if outcome.training is not None:
        rows.append(("training", _training(outcome)))
    if outcome.renamed:
        rows.append(("keys", "; ".join(f"{old}* is now {new}*" for old, new in outcome.renamed)))
    table = Table(
        (Column("what"), Column("found", wraps=True)),
        tuple((line(name), line(text) if isinstance(text, str) else text) for name, text in rows),
    )
    words = [
        "covscan",
        "analyze",
        *(_short(word) for word in outcome.load[:-1]),
        "--data",
        "…",
        _short(outcome.load[-1]),
    ]
    command = " ".join(word if word == "…" else shlex.quote(str(word)) for word in words)
    blocks: list[Block] = [Prose(line(Span(printable(str(outcome.insertion)), "strong"))), table]
    if outcome.notes:
        blocks.append(Items(tuple(line(printable(note)) for note in outcome.notes)))
    return Section("", (*blocks, Prose(line("To look at it:")), Code(command)))


def _function(outcome: Outcome) -> Line:
    found = outcome.difference
    over = f"over {found.samples:,} samples"
    if found.relative is None or found.relative_mean is None:
        return line(Span("changed", "warning"), f": outputs differ by up to {found.largest:.2g} {over}")
    if found.largest == 0:
        return line(Span("unchanged", "good"), f": all outputs are the same to the last bit, {over}")
    how = (
        f": outputs differ by at most {found.relative:.1e} of their standard deviation, "
        f"on average by {found.relative_mean:.1e}, {over}"
    )
    return line(Span("unchanged", "good") if found.unchanged else Span("changed", "warning"), how)


def _start(outcome: Outcome) -> str:
    if outcome.calibrated_on:
        return f"running mean and variance of {outcome.calibrated_on:,} rows, gain and bias that undo them"
    return f"a gate of {outcome.insertion.channels:,} zeros; training opens it"


def _training(outcome: Outcome) -> str:
    assert outcome.training is not None
    found = outcome.training
    expected = f"{found.expected:.2g} of its standard deviation are expected for Gaussian values"
    measured = (
        "not measured, which takes two full batches" if found.measured is None else f"{found.measured:.2g} measured"
    )
    return f"statistics of batches of {found.batch_size} will move the tensor: {expected}, {measured}"


def _short(path: str | Path) -> str:
    """Relative to the current folder where it lies in it."""
    text = str(path)
    here = os.path.realpath(os.curdir) + os.sep
    return text.removeprefix(here)
