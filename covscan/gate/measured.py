"""Budgets that a report keeps with headroom: what to paste into a configuration to begin with."""

from collections.abc import Iterator
from decimal import ROUND_UP, Decimal

from covscan.config.policy import Budget
from covscan.config.writing import Proposal
from covscan.report.types import Finding, Measure, Report, Site, Statistics

MARGIN = 1.5
"""Limits are what was measured times this. Five trainings of each network of samples/digits-sigmoid to step 8000, which
differ in their seed alone, gave worst shifts of which the largest is 1.14 and 1.22 times the smallest."""
MATERIAL = 0.2
"""No limit on shift is below this many standard deviations, Cohen's small effect: less would not matter."""
SOME = 0.05
"""No limit on a share of dead channels or saturated values is below this."""
_OWN = "COV9"
"""What the codes of the gate's own findings begin with: they say how a report was judged, and are not measured."""


def how(report: Report) -> str:
    """Where the budgets of ``measured`` come from, in words."""
    return (
        f"Measured at {len(report.checkpoints)} checkpoints on {report.data.samples} samples. Limits are the upper end "
        f"of the widest 95 % interval, and the largest share, times {MARGIN:g} and rounded up, so that there is "
        "headroom; findings may not become more."
    )


def measured_budgets(report: Report) -> dict[str, Budget]:
    """A few budgets that the report keeps, by name; see ``measured``."""
    return {each.name: each.budget for each in measured(report)}


def measured(report: Report) -> tuple[Proposal, ...]:
    """Limits above what a report measured: on shift, dead and saturated units, NaN, errors, and misused normalizations.

    A limit on a shift is the upper end of the widest 95 % interval of any site times MARGIN, one on a share the
    largest share times MARGIN, both rounded up to two digits; findings may not become more. What was not measured, or
    not with an interval, and a share that leaves no room above it, gets no budget.
    """
    return (
        *_shift("shift", "gaussian_w2", report),
        *_shift("excess-shift", "excess_shift", report),
        *_share("dead-channels", "dead_channels", report, SOME),
        *_share("saturated-share", "saturated_share", report, SOME),
        *_share("nonfinite-share", "nonfinite_share", report, 0.0),
        *_findings(report),
    )


def _shift(name: str, measure: str, report: Report) -> Iterator[Proposal]:
    """The worst shift from the first checkpoint to the last."""
    ends = (report.checkpoints[0].id, report.checkpoints[-1].id) if len(report.checkpoints) > 1 else None
    found = [
        (value, shift)
        for shift in report.shifts
        if (shift.from_, shift.to) == ends
        and (value := shift.measures.get(measure)) is not None
        and value.value is not None
    ]
    if not found or any(value.low is None or value.high is None for value, _ in found):
        return
    value, shift = max(found, key=lambda each: _upper(each[0]))
    size, most = _rounded(abs(value.value or 0.0)), _rounded(_upper(value))
    where = f"{shift.site} ({shift.position}), {shift.from_} to {shift.to}"
    remark = f"measured: {size} at {where}; {most} at most with 95 % confidence"
    limit = max(round_up(_upper(value) * MARGIN), MATERIAL)
    yield Proposal(name, Budget(measure=measure, max=limit), remark)


def _upper(found: Measure) -> float:
    """The largest size in the interval of a measure."""
    return max(abs(found.low or 0.0), abs(found.high or 0.0))


def _share(name: str, statistic: str, report: Report, least: float) -> Iterator[Proposal]:
    """The largest share at the last checkpoint."""
    if not report.checkpoints:
        return
    last = report.checkpoints[-1].id
    found = [
        (value, site)
        for site in report.sites
        if last in site.statistics and (value := _number(site.statistics[last], statistic)) is not None
    ]
    if not found:
        return
    value, site = max(found, key=lambda each: each[0])
    limit = max(round_up(value * MARGIN), least)
    if limit >= 1:
        limit = round_up((1 + value) / 2)
    if limit < 1:
        where = f"{_rounded(value)} at {site.site} ({site.position})" if value else "none"
        remark = f"measured: {where} at {last}"
        yield Proposal(name, Budget(statistic=statistic, max=limit), remark)


def _number(statistics: Statistics, name: str) -> float | None:
    value: float | None = getattr(statistics, name)
    return value


def _findings(report: Report) -> Iterator[Proposal]:
    """Findings of severity error, and those about the normalizations that a network has."""
    errors = [each for each in report.findings if each.severity == "error" and not each.code.startswith(_OWN)]
    yield Proposal("errors", Budget(findings=["*"], severity="error", max=float(len(errors))), _listed(errors))
    if any(_normalizes(site) for site in report.sites):
        misused = [each for each in report.findings if each.code.startswith("COV4")]
        yield Proposal("misused-norms", Budget(findings=["COV4*"], max=float(len(misused))), _listed(misused))


def _normalizes(site: Site) -> bool:
    return site.role == "norm" or site.normalized_by is not None


def _listed(findings: list[Finding]) -> str:
    codes = sorted({finding.code for finding in findings})
    return f"measured: {len(findings)} ({', '.join(codes)})" if codes else "measured: none"


def round_up(value: float, digits: int = 2) -> float:
    """The smallest number of so many significant digits that is not below ``value``, which is not negative."""
    exact = Decimal(f"{value:.12g}")  # 0.2 * 1.5 is 0.30000000000000004 and means 0.3
    unit = Decimal(1).scaleb(exact.adjusted() - digits + 1)
    return float(exact.quantize(unit, rounding=ROUND_UP))


def _rounded(value: float) -> str:
    return f"{value:.3g}"
