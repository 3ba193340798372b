"""What the gate's own rules look at: a report once everything in it has been held against the policy."""

from dataclasses import dataclass

from covscan.config.policy import Policy
from covscan.gate.budgets import Judgement
from covscan.report.gate import BaselineResult, SuppressionResult
from covscan.report.types import Finding, Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A report's findings and budgets by the policy, before there is a verdict.

    ``report`` holds no findings of a gate. ``counting`` are the findings that are neither suppressed nor ignored;
    ``ignored`` is how many ``select``, ``ignore`` and ``site-ignores`` left out.
    """

    report: Report
    policy: Policy
    counting: tuple[Finding, ...]
    ignored: int
    budgets: tuple[Judgement, ...]
    suppressions: tuple[SuppressionResult, ...]
    baseline: BaselineResult | None
