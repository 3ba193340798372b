"""``covscan analyze``: check what was asked for, measure, publish, and say how it went."""

import shlex
import sys
from collections.abc import Mapping, Set
from typing import Any

from covscan.cli.outputs import check_drawn, check_shown, parse_outputs
from covscan.cli.policies import counting_policy
from covscan.cli.publish import publish
from covscan.cli.settings import read_config, read_settings
from covscan.cli.streams import Wishes, deliver, payload_only
from covscan.cli.values import read_wishes
from covscan.config.policy import Policy
from covscan.config.settings import Settings
from covscan.config.writing import budgets_text
from covscan.errors import CovscanError, ExitCode, UsageError, raise_collected
from covscan.gate.measured import how, measured
from covscan.gate.selection import at_least, ignored
from covscan.report.types import Report


def run(words: Mapping[str, Any], said: Set[str]) -> int:
    """Run the command; ``words`` are its parameters, ``said`` those that were given. Returns the exit code."""
    wishes = read_wishes(words)
    policy = counting_policy(words)
    check_shown(words["form"])
    config = read_config(words)
    settings = read_settings(words, said, config)
    check_complete(settings)
    outputs = parse_outputs(words["output"] or ())
    check_drawn(words["form"], outputs, wishes)
    with payload_only() as stdout:
        report = measure(settings, wishes, quiet=words["quiet"])
        publish(report, words["form"], outputs, wishes, stdout)
    if config.path is None and words["form"] == "text" and policy.fail_on == "never" and not words["quiet"]:
        propose(report)
    return verdict(report, policy)


def propose(report: Report) -> None:
    """Say on standard error how the next run could be held to this one."""
    tables = budgets_text(measured(report), how(report))
    lead = "To hold the next run to this one, put this into covscan.toml and run 'covscan check':"
    deliver(sys.stderr, f"\n{lead}\n\n{tables}")


def measure(settings: Settings, wishes: Wishes, *, quiet: bool) -> Report:
    """Run the measurement, telling how far it is unless that is not wanted."""
    from covscan.cli.progress import watch
    from covscan.pipeline import analyze

    command = shlex.join(["covscan", *sys.argv[1:]])
    return analyze(settings, progress=watch(quiet=quiet, wishes=wishes), command=command)


def check_complete(settings: Settings) -> None:
    """Raise UsageError where there is nothing to measure or nothing to measure it on."""
    errors: list[CovscanError] = []
    if not settings.checkpoints:
        errors.append(
            UsageError(
                "no-checkpoints",
                "there is nothing to analyze",
                hint="name checkpoints, a folder or a glob: covscan analyze --data sample.npz runs/ckpt-*.pt",
            )
        )
    if settings.data is None:
        errors.append(
            UsageError(
                "no-data",
                "there are no samples to run through the model",
                hint="add --data FILE, or --data file.py:function that returns a DataLoader or any iterable",
            )
        )
    raise_collected(errors)


def verdict(report: Report, policy: Policy) -> int:
    """The exit code of a finished run by its findings alone; one that measured nothing is never a success."""
    if report.coverage.measured == 0:
        return ExitCode.INCONCLUSIVE
    counting = [finding for finding in report.findings if not ignored(finding, policy)]
    fails = any(at_least(finding.severity, policy.fail_on) for finding in counting)
    return ExitCode.FINDINGS if fails else ExitCode.OK
