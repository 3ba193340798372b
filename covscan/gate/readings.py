"""What a budget looks at: the values of a report that stand against a limit, tensor by tensor."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from covscan.config.policy import Budget
from covscan.gate.names import matches
from covscan.report.gate import Span
from covscan.report.types import Checkpoint, Measure, Position, Report, Shift, Site

Key = tuple[str, Position]


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one site; ``low`` and ``high`` are its interval, 0 and infinity where nothing is known of it."""

    value: float
    low: float
    high: float
    site: str
    position: Position
    checkpoint: str
    start: str | None = None
    """The earlier checkpoint of a pair."""

    @property
    def order(self) -> tuple[str, str, str, str]:
        """What decides between equal values, so that the order of sites does not."""
        return self.site, self.position, self.checkpoint, self.start or ""


@dataclass(frozen=True, slots=True)
class Readings:
    """The readings of each tensor that has any, and the reasons that the report gives for the others, by frequency."""

    tensors: tuple[tuple[Reading, ...], ...]
    reasons: tuple[str, ...] = ()


def tensors(report: Report, globs: Sequence[str]) -> list[list[Site]]:
    """The sites that match, those that share a tensor together, the one that it was measured at first."""
    groups: dict[Key, list[Site]] = {}
    for site in report.sites:
        key = (site.site, site.position) if site.same_as is None else (site.same_as.site, site.same_as.position)
        if matches(globs, site.site):
            groups.setdefault(key, []).append(site)
    return [sorted(group, key=_first) for group in groups.values()]


def _first(site: Site) -> tuple[bool, str, str]:
    return site.same_as is not None, site.site, site.position


def of_measure(report: Report, budget: Budget) -> Readings:
    """The sizes of a measure at the sites and pairs of a budget."""
    pairs = _pairs(report.checkpoints, budget.span)
    by_site: dict[Key, list[Shift]] = {}
    for shift in report.shifts:
        if pairs is None or (shift.from_, shift.to) in pairs:
            by_site.setdefault((shift.site, shift.position), []).append(shift)

    def read(site: Site) -> Iterator[Reading | str | None]:
        own = by_site.get((site.site, site.position), [])
        if not own and site.same_as is not None:
            own = by_site.get((site.same_as.site, site.same_as.position), [])
        for shift in own:
            found = shift.measures.get(budget.measure or "")
            if found is None or found.value is None:
                yield found.status if found is not None else None
            else:
                value, low, high = size(found)
                yield Reading(value, low, high, site.site, site.position, shift.to, shift.from_)

    return _gathered([[list(read(site)) for site in group] for group in tensors(report, budget.sites)])


def _pairs(checkpoints: Sequence[Checkpoint], span: Span) -> set[tuple[str, str]] | None:
    """The pairs of checkpoints that a span means, None for all."""
    names = [checkpoint.id for checkpoint in checkpoints]
    if span == "any":
        return None
    if span == "step-to-step":
        return set(pairwise(names))
    return {(names[0], names[-1])} if len(names) > 1 else set()


def size(found: Measure) -> tuple[float, float, float]:
    """|value| of a measure with the interval of that size.

    Where the interval does not clear the noise floor, the value cannot be told from 0, so that the size may be 0:
    a shift below the noise never lies wholly beyond a limit. The effect size from which on a report calls a value
    significant plays no part: a limit is the user's own.
    """
    assert found.value is not None
    if found.low is None or found.high is None:
        return abs(found.value), 0.0, math.inf
    across = found.low <= 0 <= found.high
    low = 0.0 if across else min(abs(found.low), abs(found.high))
    clears = found.noise is not None and low > found.noise
    return abs(found.value), low if clears else 0.0, max(abs(found.low), abs(found.high))


def of_statistic(report: Report, budget: Budget) -> Readings:
    """A statistic at the sites and checkpoints of a budget; it has no interval and stands for itself."""
    names = [checkpoint.id for checkpoint in report.checkpoints]
    chosen = names if budget.checkpoint == "any" else names[-1:]

    def read(site: Site) -> Iterator[Reading | str | None]:
        for name in chosen:
            found = site.statistics.get(name)
            value = None if found is None else getattr(found, budget.statistic or "")
            if value is None:
                yield found.status if found is not None else None
            else:
                yield Reading(float(value), float(value), float(value), site.site, site.position, name)

    return _gathered([[list(read(site)) for site in group] for group in tensors(report, budget.sites)])


def _gathered(groups: list[list[list[Reading | str | None]]]) -> Readings:
    """The readings of the first name of each tensor that has some; an excess, say, is known at outputs alone."""
    found: list[tuple[Reading, ...]] = []
    reasons: dict[str, int] = {}
    for group in groups:
        values = [tuple(each for each in site if isinstance(each, Reading)) for site in group]
        best = next((readings for readings in values if readings), None)
        if best is not None:
            found.append(best)
            continue
        for reason in (each for site in group for each in site if isinstance(each, str)):
            reasons[reason] = reasons.get(reason, 0) + 1
    return Readings(tuple(found), tuple(sorted(reasons, key=lambda reason: (-reasons[reason], reason))))
