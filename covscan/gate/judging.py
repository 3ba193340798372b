"""A report and a policy give a report with a verdict."""

import datetime as dt

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

IGNORED = "left out by select or ignore"


def judge(report: Report, policy: Policy, today: dt.date, baseline: BaselineResult | None = None) -> Report:
    """The report with ``gate`` filled in and COV9xx findings appended; findings that don't count bear the reason.

    What an earlier gate left in the report is taken out first, so that judging twice gives the same. Nothing else of
    the report changes: findings that were ignored stay, marked as suppressed ones are, and ``Gate.ignored`` counts
    them. ``baseline`` is what the comparison with one gave, None where none was asked for. The result has this
    version's schema.
    """
    plain = ungated(report)
    suppressed, suppressions = suppress(plain.findings, policy.suppressions, today)
    findings = [_marked(each, policy) for each in suppressed]
    counting = [each for each in findings if each.suppressed is None]
    judged = Judged(
        report=structs.replace(plain, findings=findings),
        policy=policy,
        counting=tuple(counting),
        ignored=sum(each.suppressed is None for each in suppressed) - len(counting),
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
    suppressed, _ = suppress(plain.findings, policy.suppressions, today)
    marked = [_marked(each, policy) for each in suppressed]
    return structs.replace(plain, findings=[each for each in marked if each.suppressed is None])


def _marked(finding: Finding, policy: Policy) -> Finding:
    """The finding with the reason why it does not count, where it is ignored: formats for CI know no other mark."""
    if finding.suppressed is not None or not ignored(finding, policy):
        return finding
    return structs.replace(finding, suppressed=IGNORED)


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
