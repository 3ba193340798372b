"""``covscan check``: measure or read a report, judge it, publish it, and exit as the verdict says."""

import datetime as dt
import sys
from collections.abc import Mapping, Set
from typing import Any

from covscan.cli.analyze import check_complete, measure
from covscan.cli.obtain import read_report
from covscan.cli.outputs import parse_outputs
from covscan.cli.policies import read_flags
from covscan.cli.publish import publish
from covscan.cli.streams import payload_only
from covscan.cli.values import read_settings, read_wishes
from covscan.config.policy import Check, Policy
from covscan.errors import UsageError
from covscan.gate import counted, judge
from covscan.gate.policy import build_policy
from covscan.registry import resolve
from covscan.render import check_format
from covscan.report import from_json, to_json
from covscan.report.gate import BaselineResult
from covscan.report.types import Report

JUDGING = frozenset({"report", "preset", "fail_on", "select", "ignore", "min_samples"})
SHOWING = frozenset({"form", "output", "quiet", "verbose", "color", "no_color"})
"""Parameters that mean something without a measurement, as those of JUDGING do."""


def run(words: Mapping[str, Any], given: Set[str]) -> int:
    """Run the command; ``words`` are its parameters, ``given`` those that were said. Returns the exit code."""
    wishes = read_wishes(words)
    check_format(words["form"])
    policy = policy_from(words)
    if words["report"] is not None:
        _refuse_measuring(given - JUDGING - SHOWING)
        outputs = parse_outputs(words["output"] or ())
        report = judged(read_report(words["report"]), policy)
        publish(report, words["form"], outputs, wishes, sys.stdout)
        return exit_code(report)
    settings = read_settings(words)
    check_complete(settings)
    outputs = parse_outputs(words["output"] or ())
    with payload_only() as stdout:
        # Read back as it would be written, so that the same report judged again from its file cannot end otherwise.
        measured = from_json(to_json(measure(settings, wishes, quiet=words["quiet"])))
        report = judged(measured, policy)
        publish(report, words["form"], outputs, wishes, stdout)
    return exit_code(report)


def policy_from(words: Mapping[str, Any]) -> Policy:
    """What to judge by, as the flags say it."""
    return build_policy(Check(), {}, flags=read_flags(words))


def judged(report: Report, policy: Policy) -> Report:
    """The report with its verdict, as of today."""
    today = dt.date.today()
    return judge(report, policy, today, baseline_result(counted(report, policy, today), policy))


def baseline_result(report: Report, policy: Policy) -> BaselineResult | None:
    """How a report, with the findings that count, stands to the policy's baseline; None where the policy has none."""
    if policy.baseline is None:
        return None
    result: BaselineResult = resolve("covscan.gate.baseline:compared")(report, policy.baseline)
    return result


def exit_code(report: Report) -> int:
    """The exit code of a judged report."""
    assert report.gate is not None
    return report.gate.exit_code


def _refuse_measuring(given: Set[str]) -> None:
    if not given:
        return
    flags = ["checkpoints" if name == "checkpoints" else f"--{name.replace('_', '-')}" for name in sorted(given)]
    raise UsageError(
        "bad-option",
        f"--report judges what was measured before, so that {' and '.join(flags)} can change nothing",
        hint="leave one or the other out",
    )
