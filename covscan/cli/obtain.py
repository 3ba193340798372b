"""A report for commands that judge one: read where it is given, else measured as ``covscan analyze`` does."""

import sys
from collections.abc import Mapping, Set
from typing import Any

from covscan.cli.analyze import check_complete, measure
from covscan.cli.settings import FIELDS, SETTINGS, read_settings
from covscan.cli.streams import Wishes, payload_only
from covscan.config.file import Config
from covscan.errors import UsageError
from covscan.report import Report, from_json, read

MEASURED_BEFORE = "--report holds what was measured before"


def obtain(words: Mapping[str, Any], said: Set[str], config: Config, wishes: Wishes) -> Report:
    """The report that ``--report`` names, or what the other parameters measure.

    Raises UsageError for both at once, and for whatever keeps one of them from being read.
    """
    if words["report"] is None:
        return _measured(words, said, config, wishes)
    refuse(measuring(said), MEASURED_BEFORE)
    return read_report(words["report"])


def read_report(path: str) -> Report:
    """Read a report from a file or, for ``-``, from standard input. Raises UsageError where that cannot be done."""
    return from_json(sys.stdin.buffer.read(), "standard input") if path == "-" else read(path)


def measuring(said: Set[str]) -> frozenset[str]:
    """Those of the given parameters that are about a measurement."""
    return frozenset(name for name in said if FIELDS.get(name, name) in SETTINGS)


def refuse(flags: Set[str], because: str) -> None:
    """Raise UsageError where parameters were given that can change nothing."""
    if not flags:
        return
    named = [name if name in {"checkpoints", "sides"} else f"--{name.replace('_', '-')}" for name in sorted(flags)]
    raise UsageError(
        "bad-option",
        f"{because}, so that {' and '.join(named)} can change nothing",
        hint="leave one or the other out",
    )


def _measured(words: Mapping[str, Any], said: Set[str], config: Config, wishes: Wishes) -> Report:
    settings = read_settings(words, said, config)
    check_complete(settings)
    with payload_only():
        return measure(settings, wishes, quiet=words["quiet"])
