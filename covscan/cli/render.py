"""``covscan render``: show a report that was written before."""

import sys
from collections.abc import Mapping
from typing import Any

from covscan.cli.obtain import read_report
from covscan.cli.outputs import check_drawn, check_shown, parse_outputs
from covscan.cli.publish import publish
from covscan.cli.values import read_wishes
from covscan.errors import ExitCode


def run(words: Mapping[str, Any]) -> int:
    """Run the command; ``words`` are its parameters. Returns the exit code."""
    check_shown(words["form"])
    wishes = read_wishes(words)
    outputs = parse_outputs(words["output"] or ())
    check_drawn(words["form"], outputs, wishes)
    publish(read_report(words["report"]), words["form"], outputs, wishes, sys.stdout)
    return ExitCode.OK
