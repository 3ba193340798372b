"""``covscan diff``: two reports side by side, or two models on the same data."""

import sys
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from covscan.cli.baseline import FORMATS, show
from covscan.cli.obtain import refuse
from covscan.cli.streams import deliver, look_for
from covscan.cli.values import choice, read_wishes
from covscan.errors import ExitCode, UsageError

FOR_REPORTS = frozenset({"sides", "form", "exit_code", "verbose", "quiet", "color", "no_color", "no_config"})
"""Parameters that mean something where nothing is measured."""
_LOOKED_AT = 64
"""Bytes from which JSON is told from a checkpoint."""


def run(words: Mapping[str, Any], said: Set[str]) -> int:
    """Run the command; ``words`` are its parameters, ``said`` those that were given. Returns the exit code."""
    sides = tuple(words["sides"] or ())
    if len(sides) != 2:
        raise UsageError(
            "two-sides",
            "two models or two reports are compared",
            found=f"{len(sides)} named" + (f": {', '.join(sides)}" if sides else ""),
            hint="name both: covscan diff --data sample.npz net.onnx net-int8.onnx",
        )
    reports = [side for side in sides if is_report(side)]
    if not reports:
        from covscan.cli.diff_models import diff_models

        return diff_models(words, said)
    if len(reports) == 1:
        raise UsageError(
            "mixed-sides",
            f"'{reports[0]}' is a report, and the other is none",
            hint="compare two reports, which covscan analyze -o json=PATH writes, or two models",
        )
    refuse(said - FOR_REPORTS, "two reports hold what was measured")
    return diff_reports(words, *reports)


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


def diff_reports(words: Mapping[str, Any], a: str, b: str) -> int:
    """Compare two reports. Returns the exit code: 1 only where ``exit_code`` asks for it."""
    from covscan.gate.difference import difference_of
    from covscan.report import read, to_json

    wishes = read_wishes(words)
    form = choice("--format", words["form"], FORMATS)
    found = difference_of(read(a), read(b), a, b)
    if form == "json":
        deliver(sys.stdout, to_json(found), encoding="utf-8")
    else:
        from covscan.render.content.difference import sections

        show([*sections(found, look_for(sys.stdout, wishes))], wishes, form)
    return ExitCode.FINDINGS if words["exit_code"] and found.differs else ExitCode.OK
