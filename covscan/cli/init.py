"""``covscan init``: write a configuration for the user's own model, with budgets measured from it."""

import os
import sys
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from covscan.cli.analyze import check_complete, measure
from covscan.cli.commands import said_by
from covscan.cli.obtain import read_report
from covscan.cli.outputs import check_writable, replace_files
from covscan.cli.settings import FIELDS, SETTINGS, read_config, read_settings
from covscan.cli.streams import Wishes, deliver, payload_only
from covscan.cli.values import read_wishes
from covscan.config.file import NAME, PROJECT, Config
from covscan.config.policy import Policy
from covscan.config.relative import moved, to_folder
from covscan.config.settings import Settings
from covscan.config.writing import budgets_text, write_config
from covscan.errors import ExitCode, UsageError
from covscan.gate.measured import how, measured
from covscan.render.names import printable
from covscan.report.types import Report

STDOUT = "-"


def run(words: Mapping[str, Any], said: Set[str]) -> int:
    """Run the command; ``words`` are its parameters, ``said`` those that were given. Returns the exit code."""
    wishes = read_wishes(words)
    target = _target(words)
    report = None if words["report"] is None else read_report(words["report"])
    if report is not None:
        words, said = _with_command(words, said, report.run.command)
    config = read_config(words)
    settings = read_settings(words, said, config)
    if report is None and settings.checkpoints:
        check_complete(settings)
        report = _measured(settings, wishes, quiet=words["quiet"])
    folder = "" if target is None else os.path.dirname(target)
    given = moved(_given(settings, said, config), to_folder(folder or os.curdir))
    guesses = {} if {"checkpoints", "data"} <= given.keys() else _guesses(folder, given)
    proposals, headroom = ((), "") if report is None else (measured(report), how(report))
    text = write_config(given, guesses, proposals, headroom, trust=settings.trust)
    if target is None:
        deliver(sys.stdout, text, encoding="utf-8")
    else:
        replace_files([(target, text)])
        deliver(sys.stdout, budgets_text(proposals, headroom), encoding="utf-8")
    if not words["quiet"]:
        for note in (*_written(target, report, config), *_open_questions(given, guesses, report)):
            print(printable(note), file=sys.stderr)
    return ExitCode.OK


def _target(words: Mapping[str, Any]) -> Path | None:
    """The file to write, None for standard output. Raises UsageError where it must not or cannot be written."""
    if words["output"] == STDOUT:
        return None
    target = Path(os.path.realpath(words["output"]))
    check_writable(target, f"-o {target / NAME}")
    if target.is_file() and not words["force"]:
        raise UsageError(
            "config-exists",
            f"'{words['output']}' is there already",
            hint="-o - prints what would be written; --force replaces the file, with what you wrote into it",
        )
    return target


def _with_command(words: Mapping[str, Any], said: Set[str], command: str) -> tuple[Mapping[str, Any], frozenset[str]]:
    """The parameters, with those below them that the command of a report gave about its measurement."""
    found = said_by(command)
    about = {name for name in words if FIELDS.get(name, name) in SETTINGS} | {"config", "no_config"}
    added = {name: word for name, word in found.items() if name in about and name not in said}
    return {**words, **added}, frozenset(said) | added.keys()


def _measured(settings: Settings, wishes: Wishes, *, quiet: bool) -> Report:
    with payload_only():
        return measure(settings, wishes, quiet=quiet)


def _given(settings: Settings, said: Set[str], config: Config) -> dict[str, Any]:
    """The settings that somebody chose, by name."""
    names = {FIELDS.get(name, name) for name in said} & SETTINGS | config.settings.keys()
    return {name: getattr(settings, name) for name in names}


def _guesses(folder: str, given: Mapping[str, Any]) -> dict[str, Any]:
    from covscan.cli.guessing import guess

    return {name: value for name, value in guess(Path(folder or os.curdir)).items() if name not in given}


def _written(target: Path | None, report: Report | None, config: Config) -> Iterator[str]:
    """What became of the file."""
    if target is None:
        return
    named = os.path.relpath(target)
    yield f"Wrote {named}" + ("." if report is None else ", with the budgets above.")
    if config.path is not None and config.path.name == PROJECT and target.parent == config.path.resolve().parent:
        yield f"It takes the place of [tool.covscan] in {config.path}, which is not read any more."
    yield (
        f"For completion in an editor: covscan config --schema > covscan.schema.json, "
        f"and '#:schema ./covscan.schema.json' as the first line of {named}."
    )


def _open_questions(given: Mapping[str, Any], guesses: Mapping[str, Any], report: Report | None) -> Iterator[str]:
    """What the user should look at before the file is of use."""
    if guesses:
        found = ", ".join(f"{name} {''.join(value)}" for name, value in guesses.items())
        yield f"Guessed by the names of files: {found}. Check them, and take away the # in front."
    elif not {"checkpoints", "data"} <= given.keys():
        yield "Nothing here looks like checkpoints or sample data: fill in model, checkpoints and data."
    if report is None:
        yield "Without checkpoints nothing was measured: covscan init CHECKPOINTS --data FILE measures budgets, too."
        return
    missing = [path for path in _paths(given) if not os.path.exists(path)]
    if missing:
        yield f"There is no '{missing[0]}' here: the report was made in another folder. Correct the paths."
    least = Policy().min_samples
    if report.data.samples < least:
        yield (
            f"Budgets are judged from {least} samples on, and {report.data.samples} were measured: "
            "give more, or set min-samples."
        )


def _paths(given: Mapping[str, Any]) -> list[str]:
    """Paths among the settings that are neither globs nor functions."""
    named = [*given.get("checkpoints", ()), *([given["data"]] if "data" in given else [])]
    return [path for path in named if not any(sign in path for sign in "*?[:")]
