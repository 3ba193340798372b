"""``covscan diff``: two reports side by side."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from covscan.cli.baseline import FORMATS, show
from covscan.cli.streams import deliver, look_for
from covscan.cli.values import choice, read_wishes
from covscan.errors import ExitCode, UsageError

_LOOKED_AT = 64
"""Bytes from which JSON is told from a checkpoint."""


def run(words: Mapping[str, Any]) -> int:
    """Run the command; ``words`` are its parameters. Returns the exit code."""
    check_reports(words["a"], words["b"])
    return diff_reports(words)


def check_reports(*paths: str) -> None:
    """Raise UsageError where one of the paths is no report."""
    others = [path for path in paths if not is_report(path)]
    if others:
        raise UsageError(
            "no-report",
            f"'{others[0]}' is no report of covscan",
            found="" if Path(others[0]).exists() else "no such file",
            hint="two reports can be compared: covscan analyze -o json=REPORT.json writes one",
        )


def is_report(path: str) -> bool:
    """Whether the path is meant to be a report: JSON by its content or, where it cannot be read, by its name.

    The index of sharded weights is JSON as well and no report.
    """
    if path.lower().endswith(".index.json"):
        return False
    try:
        with Path(path).open("rb") as file:
            start = file.read(_LOOKED_AT).removeprefix(b"\xef\xbb\xbf").lstrip()
    except (OSError, ValueError):
        return path.lower().endswith(".json")
    return start.startswith(b"{") or path.lower().endswith(".json")


def diff_reports(words: Mapping[str, Any]) -> int:
    """Compare the two reports ``a`` and ``b``. Returns the exit code: 1 only where ``exit_code`` asks for it."""
    from covscan.gate.difference import difference_of
    from covscan.report import read, to_json

    wishes = read_wishes(words)
    form = choice("--format", words["form"], FORMATS)
    found = difference_of(read(words["a"]), read(words["b"]), words["a"], words["b"])
    if form == "json":
        deliver(sys.stdout, to_json(found), encoding="utf-8")
    else:
        from covscan.render.content.difference import sections

        show([*sections(found, look_for(sys.stdout, wishes))], wishes, form)
    return ExitCode.FINDINGS if words["exit_code"] and found.differs else ExitCode.OK
