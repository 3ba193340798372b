"""What a judged budget is called and how its outcome is put into words."""

import math
from collections.abc import Sequence

from covscan.catalog import RULES
from covscan.config.policy import Budget
from covscan.gate.limits import Estimate, Limit
from covscan.gate.names import listed
from covscan.render.figures import compact, counted, percent
from covscan.report.gate import Over, Regression
from covscan.report.types import Finding

SPANS = {
    "first-to-last": "from the first checkpoint to the last",
    "step-to-step": "in its largest step",
    "last": "at the last checkpoint",
}


def subject(budget: Budget) -> str:
    """What is limited."""
    if budget.findings is None:
        return budget.measure or budget.statistic or ""
    least = f" from {budget.severity} on" if budget.severity is not None else ""
    return f"findings {', '.join(budget.findings)}{least}"


def over(budget: Budget) -> Over:
    """How sites become one value, where the budget leaves it open too."""
    return budget.over or ("count" if budget.findings is not None else "worst")


def too_few(samples: int, least: int) -> str:
    """Why so few samples are not judged."""
    return f"{counted(samples, 'sample')} read, and at least {least} are asked for (min-samples)"


def no_interval(budget: Budget, found: Estimate) -> str:
    """Why a value without an interval is not judged."""
    return f"{subject(budget)} {_value(budget, found.value)}{_place(found)} has no interval, for want of samples"


def judged(
    budget: Budget, limit: Limit, found: Estimate, sites: int, samples: int, findings: Sequence[Finding] = ()
) -> str:
    """The judgement in one sentence; an interval across the limit is ``inconclusive at n = …``."""
    standing = limit.standing(found)
    bound = f"{'limit' if limit.upper else 'lower limit'} of {_bound(budget, limit.bound)}"
    where = {
        "exceeded": f"{'beyond' if limit.upper else 'below'} the {bound}",
        "inconclusive": f"across the {bound}",
        "met": f"within the {bound}",
    }[standing]
    if budget.findings is not None:
        return f"{counted(len(findings), 'finding')} of {subject(budget).removeprefix('findings ')}, {where}" + (
            f": {places(findings)}" if findings else ""
        )
    lead = f"inconclusive at n = {samples}: " if standing == "inconclusive" else ""
    return f"{lead}{measured(budget, found, sites)}, {where}"


def measured(budget: Budget, found: Estimate, sites: int) -> str:
    """What stands against a limit, where, and between which ends."""
    return f"{_what(budget, sites)} {_value(budget, found.value)}{_interval(budget, found)}{_place(found)}"


def regressed(found: Regression) -> str:
    """How a value or a number of findings stands to the baseline's."""
    where = found.site or "the whole run"
    if found.subject in RULES:
        now = counted(round(found.value), "finding")
        return f"{now} of {found.subject} at {where}, and the baseline has {found.baseline:g}"
    place = where if found.position is None else f"{where} ({found.position})"
    return (
        f"{found.subject} at {place} {SPANS[found.span]} is {compact(found.value)}, and the baseline's "
        f"{compact(found.baseline)} bears {compact(found.tolerance)} more"
    )


def places(findings: Sequence[Finding]) -> str:
    """``COV216 at relu3, COV104 at the whole run and 2 more``."""
    return listed(list(dict.fromkeys(f"{finding.code} at {finding.site or 'the whole run'}" for finding in findings)))


def _what(budget: Budget, sites: int) -> str:
    match over(budget):
        case "share":
            return f"share of {counted(sites, 'site')} with {subject(budget)} above {budget.beyond:g}:"
        case "median":
            return f"median {subject(budget)} of {counted(sites, 'site')}:"
        case _:
            return subject(budget)


def _interval(budget: Budget, found: Estimate) -> str:
    if budget.measure is None or found.low == found.high:
        return ""
    high = "unknown" if math.isinf(found.high) else _value(budget, found.high)
    return f" [{_value(budget, found.low)}, {high}]"


def _place(found: Estimate) -> str:
    reading = found.reading
    if reading is None:
        return ""
    when = f"at {reading.checkpoint}" if reading.start is None else f"from {reading.start} to {reading.checkpoint}"
    return f" at {reading.site} ({reading.position}) {when}"


def _value(budget: Budget, value: float) -> str:
    return percent(value) if budget.over == "share" else compact(value)


def _bound(budget: Budget, bound: float) -> str:
    """A limit as it was written."""
    return percent(bound) if budget.over == "share" else f"{bound:g}"
