"""``covscan render``: show a report that was written before."""

import sys
from collections.abc import Mapping
from typing import Any

from covscan.cli.obtain import read_report
from covscan.cli.outputs import check_shown, parse_outputs
from covscan.cli.publish import publish
from covscan.cli.values import read_wishes
from covscan.errors import ExitCode


def run(words: Mapping[str, Any]) -> int:
    """Run the command; ``words`` are its parameters. Returns the exit code."""
    check_shown(words["form"])
    outputs = parse_outputs(words["output"] or ())
    publish(read_report(words["report"]), words["form"], outputs, read_wishes(words), sys.stdout)
    return ExitCode.OK
