"""One budget against a report: which values, against which limit, with which outcome."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from msgspec import structs

from covscan.config.policy import Budget
from covscan.gate import limits, readings, sentences
from covscan.gate.limits import Estimate, Limit, Standing
from covscan.gate.names import matches, unmatched
from covscan.gate.readings import Readings
from covscan.gate.selection import at_least, at_site
from covscan.report.gate import BudgetResult, Outcome
from covscan.report.types import Finding, Report


@dataclass(frozen=True, slots=True)
class Judgement:
    """A budget's result, and what is beyond its limit for sure: sites with their values, or findings by number."""

    result: BudgetResult
    beyond: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a budget found to judge at so many sites."""

    sites: int
    estimate: Callable[[Limit], Estimate]
    beyond: Callable[[Limit], Mapping[str, float]]
    findings: Sequence[Finding] = ()
    missing: str = ""
    """Why there is nothing to judge."""


def judge_budget(name: str, budget: Budget, report: Report, findings: Sequence[Finding], min_samples: int) -> Judgement:
    """Judge one budget; ``findings`` are those that count, ``min_samples`` holds where the budget has none of its own.

    The budget must be valid (``validation.py``). What cannot be judged is inconclusive and has no value; that is so too
    where one of several globs matches no site, unless the others exceed the limit already.
    """
    if budget.level == "off":
        return Judgement(_result(name, budget, report, "off", "off"), {})
    least = budget.min_samples or min_samples
    if report.data.samples < least:
        return _unjudged(name, budget, report, sentences.too_few(report.data.samples, least))
    subject = _counted(budget, report, findings) if budget.findings is not None else _measured(budget, report)
    unknown = "; ".join(unmatched([glob for glob in budget.sites if glob != "*"], [site.site for site in report.sites]))
    if subject.missing:
        return _unjudged(name, budget, report, unknown or subject.missing)
    limit, found = _gravest(budget, subject)
    standing = limit.standing(found)
    if standing != "exceeded" and (unknown or math.isinf(found.high)):
        return _unjudged(name, budget, report, unknown or sentences.no_interval(budget, found))
    message = sentences.judged(budget, limit, found, subject.sites, report.data.samples, subject.findings)
    result = _with_value(
        _result(name, budget, report, _outcome(budget, standing), message), budget, found, subject.sites
    )
    return Judgement(result, subject.beyond(limit) if standing == "exceeded" else {})


def _gravest(budget: Budget, subject: _Subject) -> tuple[Limit, Estimate]:
    """The limit that is kept worse, with what stands against it; the upper one where both are kept alike."""
    bounds = ((budget.max, True), (budget.min, False))
    given = [Limit(bound, upper) for bound, upper in bounds if bound is not None]
    judged = [(limit, subject.estimate(limit)) for limit in given]
    return max(judged, key=lambda pair: limits.GRAVITY[pair[0].standing(pair[1])])


def _measured(budget: Budget, report: Report) -> _Subject:
    found = readings.of_measure(report, budget) if budget.measure is not None else readings.of_statistic(report, budget)

    def estimate(limit: Limit) -> Estimate:
        if budget.over == "share" and budget.beyond is not None:
            return limits.share(found.tensors, budget.beyond)
        return (limits.median if budget.over == "median" else limits.worst)(found.tensors, limit)

    def beyond(limit: Limit) -> dict[str, float]:
        single = limit if budget.beyond is None else Limit(budget.beyond, upper=True)
        return _beyond(found, single)

    missing = "" if found.tensors else _why_nothing(budget, report, found)
    return _Subject(len(found.tensors), estimate, beyond, missing=missing)


def _beyond(found: Readings, limit: Limit) -> dict[str, float]:
    worst = [limits.worst([tensor], limit) for tensor in found.tensors]
    sure = [each.reading for each in worst if each.reading is not None and limit.standing(each) == "exceeded"]
    sure.sort(key=lambda reading: (-reading.value if limit.upper else reading.value, reading.order))
    return {f"{reading.site} ({reading.position})": reading.value for reading in sure}


def _why_nothing(budget: Budget, report: Report, found: Readings) -> str:
    if not report.sites:
        return "no site was measured"
    if budget.measure is not None and len(report.checkpoints) < 2:
        return "there is one checkpoint alone, and a shift needs two"
    why = f": {found.reasons[0]}" if found.reasons else ""
    return f"{budget.measure or budget.statistic} was not measured at any of these sites{why}"


def _counted(budget: Budget, report: Report, findings: Sequence[Finding]) -> _Subject:
    """Findings are certain: their number has no interval."""
    chosen = [
        finding
        for finding in findings
        if matches(budget.findings or (), finding.code)
        and at_site(budget.sites, finding)
        and (budget.severity is None or at_least(finding.severity, budget.severity))
    ]
    count = float(len(chosen))
    labels = Counter(f"{finding.code} at {finding.site or 'the whole run'}" for finding in chosen)
    sites = len(readings.tensors(report, budget.sites))
    missing = "" if report.coverage.measured else "no site was measured"
    return _Subject(sites, lambda _: Estimate(count, count, count), lambda _: dict(labels), chosen, missing)


def _outcome(budget: Budget, standing: Standing) -> Outcome:
    return "warned" if standing == "exceeded" and budget.level == "warn" else standing


def _unjudged(name: str, budget: Budget, report: Report, why: str) -> Judgement:
    return Judgement(_result(name, budget, report, "inconclusive", f"not judged: {why}"), {})


def _result(name: str, budget: Budget, report: Report, outcome: Outcome, message: str) -> BudgetResult:
    return BudgetResult(
        budget=name,
        level=budget.level,
        subject=sentences.subject(budget),
        over=sentences.over(budget),
        beyond=budget.beyond,
        max=budget.max,
        min=budget.min,
        value=None,
        low=None,
        high=None,
        sites=0,
        samples=report.data.samples,
        outcome=outcome,
        message=message,
    )


def _with_value(result: BudgetResult, budget: Budget, found: Estimate, sites: int) -> BudgetResult:
    """The result with what was judged; only a measure has an interval, and its upper end may be unknown."""
    if budget.measure is not None:
        result = structs.replace(result, low=found.low, high=None if math.isinf(found.high) else found.high)
    result = structs.replace(result, value=found.value, sites=sites)
    reading = found.reading
    if reading is None:
        return result
    return structs.replace(
        result,
        site=reading.site,
        position=reading.position,
        checkpoint=reading.checkpoint,
        from_checkpoint=reading.start,
    )
