"""``covscan render``: show a report that was written before."""

import sys
from collections.abc import Mapping
from typing import Any

from covscan.cli.outputs import parse_outputs
from covscan.cli.publish import publish
from covscan.cli.values import read_wishes
from covscan.errors import ExitCode
from covscan.render import check_format
from covscan.report import Report, from_json, read


def run(words: Mapping[str, Any]) -> int:
    """Run the command; ``words`` are its parameters. Returns the exit code."""
    check_format(words["form"])
    outputs = parse_outputs(words["output"] or ())
    publish(read_report(words["report"]), words["form"], outputs, read_wishes(words), sys.stdout)
    return ExitCode.OK


def read_report(path: str) -> Report:
    """Read a report from a file, or from standard input where the path is ``-``."""
    return from_json(sys.stdin.buffer.read(), "standard input") if path == "-" else read(path)
