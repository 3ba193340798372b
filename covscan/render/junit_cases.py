"""A report as suites of tests: what was measured, what was limited, and what each rule found where."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from covscan.render.content.findings import RANK
from covscan.report.gate import BudgetResult, Gate
from covscan.report.types import Finding, Report, Severity

WITHOUT_GATE: Severity = "warning"
"""The severity from which on a finding fails where no gate says which."""
WHOLE_RUN = "whole run"
_OF_BUDGETS = ("COV901", "COV902")
"""What a budget's own case says already."""
_OF_GATES = "COV9"
"""Findings about budgets and baselines: as errors they fail a gate whatever --fail-on says."""


@dataclass(frozen=True, slots=True)
class Case:
    """A test by its name; lines of why it failed or was skipped, and lines of what else is to be said."""

    name: str
    failure: tuple[str, ...] | None = None
    skipped: tuple[str, ...] | None = None
    remarks: tuple[str, ...] = ()
    kind: str = "finding"


@dataclass(frozen=True, slots=True)
class Suite:
    """Tests that belong together."""

    name: str
    cases: tuple[Case, ...]
    seconds: float = 0.0


def suites(report: Report) -> Iterator[Suite]:
    """The suites in the order in which they are read."""
    yield Suite("measured", tuple(_measured(report)), report.run.seconds)
    gate = report.gate
    if gate is not None:
        yield Suite("budgets", tuple(_budget(budget) for budget in gate.budgets))
    names = list(dict.fromkeys(site.site for site in report.sites))
    by_code: dict[str, list[Finding]] = {}
    for finding in report.findings:
        if gate is None or finding.code not in _OF_BUDGETS:
            by_code.setdefault(finding.code, []).append(finding)
    for code in sorted(by_code):
        found = by_code[code]
        yield Suite(f"{code} {found[0].name}", tuple(_rule(found, names, gate)))


def _measured(report: Report) -> Iterator[Case]:
    """A case for each place: those that gave statistics pass."""
    reasons: dict[str, list[str]] = {}
    for skip in report.coverage.skipped:
        at = f" (at {skip.checkpoint})" if skip.checkpoint else ""
        reasons.setdefault(skip.site, []).append(skip.reason + at)
    for name in report.coverage.never_fired:
        reasons.setdefault(name, []).append("never called by the forward pass")
    measured = {site.site for site in report.sites if site.statistics}
    for name in dict.fromkeys([*(site.site for site in report.sites), *reasons]):
        why = tuple(reasons.get(name, ["no statistics"]))
        if name in measured:
            yield Case(name, remarks=tuple(reasons.get(name, ())))
        else:
            yield Case(name, skipped=why)


def _budget(budget: BudgetResult) -> Case:
    match budget.outcome:
        case "exceeded":
            return Case(budget.budget, failure=(budget.message,), kind="budget")
        case "inconclusive":
            return Case(budget.budget, skipped=(budget.message,))
        case "off":
            return Case(budget.budget, skipped=("off",))
        case _:
            return Case(budget.budget, remarks=(budget.message,))


def _rule(found: Sequence[Finding], names: Sequence[str], gate: Gate | None) -> Iterator[Case]:
    """A case for each site where the rule is about sites, and one for the run as a whole where it found something."""
    about_sites = any(finding.site is not None for finding in found)
    by_site: dict[str, list[Finding]] = {name: [] for name in names if about_sites}
    for finding in found:
        by_site.setdefault(finding.site or WHOLE_RUN, []).append(finding)
    for name, here in by_site.items():
        counting = [finding for finding in here if finding.suppressed is None]
        failing = [finding for finding in counting if _fails(finding, gate)]
        if failing:
            rest = tuple(finding.message for finding in counting if finding not in failing)
            yield Case(
                name, failure=tuple(finding.message for finding in failing), remarks=rest, kind=failing[0].severity
            )
        elif here and not counting:
            yield Case(name, skipped=tuple(f"suppressed: {finding.suppressed}" for finding in here))
        else:
            yield Case(name, remarks=tuple(f"{finding.severity}: {finding.message}" for finding in counting))


def _fails(finding: Finding, gate: Gate | None) -> bool:
    if gate is not None and finding.code.startswith(_OF_GATES) and finding.severity == "error":
        return True
    fail_on = WITHOUT_GATE if gate is None else gate.fail_on
    return fail_on != "never" and RANK[finding.severity] <= RANK[fail_on]
