"""A report for commands that judge one: read where it is given, else measured as ``covscan analyze`` does."""

import sys
from collections.abc import Mapping, Set
from typing import Any

from covscan.cli.analyze import check_complete, measure
from covscan.cli.settings import read_settings
from covscan.cli.streams import Wishes, payload_only
from covscan.config.file import Config
from covscan.errors import UsageError
from covscan.report import Report, from_json, read

_MEASURING = {"checkpoints": "checkpoints", "model": "--model", "data": "--data"}


def obtain(words: Mapping[str, Any], said: Set[str], config: Config, wishes: Wishes) -> Report:
    """The report that ``--report`` names, or what the other parameters measure.

    Raises UsageError for both at once, and for whatever keeps one of them from being read.
    """
    if words["report"] is None:
        return _measured(words, said, config, wishes)
    both = [said for name, said in _MEASURING.items() if words[name]]
    if both:
        raise UsageError(
            "bad-option",
            f"--report and {both[0]} both say what to take",
            hint="give a report, or what is to be measured",
        )
    return read_report(words["report"])


def read_report(path: str) -> Report:
    """Read a report from a file or, for ``-``, from standard input. Raises UsageError where that cannot be done."""
    return from_json(sys.stdin.buffer.read(), "standard input") if path == "-" else read(path)


def _measured(words: Mapping[str, Any], said: Set[str], config: Config, wishes: Wishes) -> Report:
    settings = read_settings(words, said, config)
    check_complete(settings)
    with payload_only():
        return measure(settings, wishes, quiet=words["quiet"])
