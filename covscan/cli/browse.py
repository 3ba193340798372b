"""``covscan browse``: walk through a report with the keyboard."""

import importlib.util
import os
import sys
from collections.abc import Mapping
from typing import Any

from covscan.cli.streams import Wishes, look_for
from covscan.errors import ExitCode, UsageError
from covscan.report import read


def run(words: Mapping[str, Any]) -> int:
    """Run the command; ``words`` are its parameters. Returns the exit code."""
    if importlib.util.find_spec("textual") is None:
        raise UsageError("missing-extra", "browsing a report needs textual", hint="pip install 'covscan[browse]'")
    path = words["report"]
    if path == "-":
        raise UsageError(
            "bad-option", "the keyboard cannot be read where the report comes in", hint="name the report's file"
        )
    if not (sys.stdout.isatty() and sys.stdin.isatty()) or os.environ.get("TERM") == "dumb":
        raise UsageError(
            "no-terminal",
            "a report is browsed in a terminal, with its keyboard",
            found="standard input or output is none, or it cannot move its cursor",
            hint=f"covscan render {path} prints it",
        )
    report = read(path)
    from covscan.browse.app import Browser

    browser = Browser(report, unicode=look_for(sys.stdout, Wishes()).unicode)
    browser.run()
    return ExitCode.BUG if browser.return_code else ExitCode.OK  # what went wrong was printed by textual
