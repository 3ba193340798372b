"""The values of the shift table, before anybody has decided how much of it fits."""

from collections.abc import Sequence
from dataclasses import dataclass

from covscan.report.types import Measure, Report, Shift, Site

PRIMARY = "gaussian_w2"
FALLBACK = "standardized_mean_difference"
EXCESS = "excess_shift"
AMPLIFICATION = "shift_amplification"

MEDIUM, LARGE = 0.5, 1.0
"""Where a significant shift is called medium or large, in standard deviations."""

ORDER = {"input": 0, "logits": 1, "output": 2}


@dataclass(frozen=True, slots=True)
class Row:
    """One site: its measure from the first column to each other one, and what became of it there.

    ``excess`` is what the site added itself, ``travels`` how large the shift of the data is beside what it is at the
    input; a report has one of them.
    """

    site: Site
    cells: tuple[Measure | None, ...]
    excess: Measure | None
    travels: Measure | None = None

    @property
    def significant(self) -> bool:
        """Whether any checkpoint, or what the site added itself, stands out of the noise."""
        return any(is_significant(measure) for measure in (*self.cells, self.excess))

    @property
    def top(self) -> float:
        """The largest significant shift, 0 where there is none."""
        return max((size(measure) for measure in self.cells if is_significant(measure)), default=0.0)


def is_significant(measure: Measure | None) -> bool:
    """Whether there is a value and it stands out of the noise."""
    return measure is not None and measure.value is not None and measure.significant


def size(measure: Measure | None) -> float:
    """The magnitude of the value, 0 where there is none."""
    return abs(measure.value) if measure is not None and measure.value is not None else 0.0


def assured(measure: Measure) -> float:
    """The least magnitude that the interval allows, by which a shift is called small, medium or large."""
    value = measure.value or 0.0
    if measure.low is not None and measure.high is not None:
        return 0.0 if measure.low <= 0 <= measure.high else min(abs(measure.low), abs(measure.high))
    return abs(value) - (measure.noise or 0.0)


def shown(sites: Sequence[Site], verbose: bool) -> list[Site]:
    """The sites in network order, without those that see another's tensor unless all are asked for."""
    kept = [site for site in sites if verbose or site.same_as is None]
    return sorted(kept, key=lambda site: (site.depth, ORDER[site.position]))


def primary(shift: Shift | None) -> Measure | None:
    """The measure that stands for a shift: the preferred one that has a value, else one with a reason."""
    if shift is None:
        return None
    known = [shift.measures[name] for name in (PRIMARY, FALLBACK) if name in shift.measures]
    valued = [measure for measure in known if measure.value is not None]
    return next(iter(valued or known), None)


def uses_fallback(shifts: Sequence[Shift]) -> bool:
    """Whether no shift has the preferred measure at all."""
    return not any(PRIMARY in shift.measures for shift in shifts)


def rows(report: Report, verbose: bool) -> list[Row]:
    """One row per shown site; a cell is None where the report has no such shift."""
    first, *later = [checkpoint.id for checkpoint in report.checkpoints]
    pairs = {(shift.site, shift.position, shift.to): shift for shift in report.shifts if shift.from_ == first}
    found = []
    for site in shown(report.sites, verbose):
        seen_at = site if site.same_as is None else site.same_as
        row = [pairs.get((seen_at.site, seen_at.position, to)) for to in later]
        last = row[-1]
        adds = last is not None and site.same_as is None and site.position != "input"
        travels = last.measures.get(AMPLIFICATION) if last is not None else None
        excess = last.measures.get(EXCESS) if last is not None and adds and travels is None else None
        found.append(Row(site, tuple(primary(shift) for shift in row), excess, travels))
    return found
