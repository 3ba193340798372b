"""``covscan check``: measure or read a report, judge it, publish it, and exit as the verdict says."""

import datetime as dt
import sys
from collections.abc import Mapping, Set
from typing import Any

from covscan.cli.analyze import check_complete, measure
from covscan.cli.baseline import read_tolerances
from covscan.cli.obtain import MEASURED_BEFORE, measuring, read_report, refuse
from covscan.cli.outputs import check_shown, parse_outputs
from covscan.cli.policies import read_flags
from covscan.cli.publish import publish
from covscan.cli.settings import read_config, read_settings
from covscan.cli.streams import payload_only
from covscan.cli.values import read_wishes
from covscan.config.file import Config
from covscan.config.policy import Policy, Tolerances
from covscan.gate import counted, judge
from covscan.gate.baseline import compared
from covscan.gate.policy import build_policy
from covscan.report import from_json, to_json
from covscan.report.gate import BaselineResult
from covscan.report.types import Report


def run(words: Mapping[str, Any], said: Set[str]) -> int:
    """Run the command; ``words`` are its parameters, ``said`` those that were given. Returns the exit code."""
    wishes = read_wishes(words)
    check_shown(words["form"])
    config = read_config(words)
    policy = policy_from(words, config)
    if words["report"] is not None:
        refuse(measuring(said), MEASURED_BEFORE)
        outputs = parse_outputs(words["output"] or ())
        report = judged(read_report(words["report"]), policy)
        publish(report, words["form"], outputs, wishes, sys.stdout)
        return exit_code(report)
    settings = read_settings(words, said, config)
    check_complete(settings)
    outputs = parse_outputs(words["output"] or ())
    with payload_only() as stdout:
        # Read back as it would be written, so that the same report judged again from its file cannot end otherwise.
        measured = from_json(to_json(measure(settings, wishes, quiet=words["quiet"])))
        report = judged(measured, policy)
        publish(report, words["form"], outputs, wishes, stdout)
    return exit_code(report)


def policy_from(words: Mapping[str, Any], config: Config) -> Policy:
    """What to judge by: flags over the configuration over its preset."""
    return build_policy(
        config.check,
        config.budgets,
        config.suppressions,
        baseline_from(words, config),
        None if config.path is None else config.path.as_posix(),
        read_flags(words),
    )


def baseline_from(words: Mapping[str, Any], config: Config) -> Tolerances | None:
    """The baseline that a flag or the configuration asks for, None where neither does."""
    asked = (words["baseline"], words["baseline_rev"], config.baseline)
    return None if asked == (None, None, None) else read_tolerances(words, config)


def judged(report: Report, policy: Policy) -> Report:
    """The report with its verdict, as of today."""
    today = dt.date.today()
    return judge(report, policy, today, baseline_result(counted(report, policy, today), policy))


def baseline_result(report: Report, policy: Policy) -> BaselineResult | None:
    """How a report, with the findings that count, stands to the policy's baseline; None where the policy has none."""
    if policy.baseline is None:
        return None
    return compared(report, policy.baseline)


def exit_code(report: Report) -> int:
    """The exit code of a judged report."""
    assert report.gate is not None
    return report.gate.exit_code
