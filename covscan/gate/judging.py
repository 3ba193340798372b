"""A report and a policy give a report with a verdict."""

import datetime as dt
from collections.abc import Sequence

from msgspec import structs

from covscan.catalog import GATE_RULES
from covscan.catalog.firing import finding
from covscan.config.policy import Policy
from covscan.gate.budgets import judge_budget
from covscan.gate.judged import Judged
from covscan.gate.selection import ignored
from covscan.gate.suppressions import suppress
from covscan.gate.verdict import verdict
from covscan.registry import resolve
from covscan.report.gate import BaselineResult, Gate
from covscan.report.types import SCHEMA_VERSION, Finding, Report


def judge(report: Report, policy: Policy, today: dt.date, baseline: BaselineResult | None = None) -> Report:
    """The report with ``gate`` filled in, suppressed findings marked with their reason, and COV9xx findings appended.

    What an earlier gate left in the report is taken out first, so that judging twice gives the same. Nothing else of
    the report changes: findings that were ignored stay, and ``Gate.ignored`` counts them. ``baseline`` is what the
    comparison with one gave, None where none was asked for. The result has this version's schema.
    """
    plain = ungated(report)
    findings, suppressions = suppress(plain.findings, policy.suppressions, today)
    counting = _counting(findings, policy)
    judged = Judged(
        report=structs.replace(plain, findings=findings),
        policy=policy,
        counting=tuple(counting),
        ignored=sum(each.suppressed is None for each in findings) - len(counting),
        budgets=tuple(
            judge_budget(name, budget, plain, counting, policy.min_samples) for name, budget in policy.budgets
        ),
        suppressions=tuple(suppressions),
        baseline=baseline,
    )
    own = own_findings(judged)
    return structs.replace(plain, schema_version=SCHEMA_VERSION, findings=[*findings, *own], gate=_gate(judged))


def counted(report: Report, policy: Policy, today: dt.date) -> Report:
    """The report with those of its findings alone that count in a verdict: what a baseline is compared with."""
    plain = ungated(report)
    findings, _ = suppress(plain.findings, policy.suppressions, today)
    return structs.replace(plain, findings=_counting(findings, policy))


def _counting(findings: Sequence[Finding], policy: Policy) -> list[Finding]:
    return [each for each in findings if each.suppressed is None and not ignored(each, policy)]


def ungated(report: Report) -> Report:
    """The report as it was measured, without anything that a gate put in."""
    findings = [structs.replace(each, suppressed=None) for each in report.findings if each.code not in GATE_RULES]
    return structs.replace(report, findings=findings, gate=None)


def own_findings(judged: Judged) -> list[Finding]:
    """What the gate's own rules say, by code."""
    return [finding(code, firing) for code in sorted(GATE_RULES) for firing in resolve(GATE_RULES[code])(judged)]


def _gate(judged: Judged) -> Gate:
    found, policy = verdict(judged), judged.policy
    return Gate(
        verdict=found.word,
        exit_code=int(found.exit_code),
        reasons=found.reasons,
        fail_on=policy.fail_on,
        config=policy.config,
        preset=policy.preset,
        ignored=judged.ignored,
        budgets=[judgement.result for judgement in judged.budgets],
        baseline=judged.baseline,
        suppressions=list(judged.suppressions),
    )
