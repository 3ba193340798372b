"""A baseline and what a report would make one: whether they can be compared, and the outcome."""

from collections.abc import Iterable, Iterator, Sequence

from covscan.config.policy import Tolerances
from covscan.errors import UsageError
from covscan.gate.baseline_judging import finding_changes, rank, value_changes, value_pairs
from covscan.gate.baseline_match import named, obstacles, remarks
from covscan.gate.baseline_noise import KNOWN, NAMES
from covscan.gate.baseline_types import Baseline
from covscan.gate.baseline_values import selected
from covscan.report.baseline import BaselineChange, BaselineDiff
from covscan.report.gate import BaselineResult, Regression

_SHOWN = 3


def compare(known: Baseline, now: Baseline, tolerances: Tolerances, source: str) -> BaselineDiff:
    """Compare value by value; ``source`` names the baseline.

    Nothing is compared where sampling, data, engine or the shape of a site differ. Where part of the baseline has no
    counterpart (a site that is gone, a value that could not be measured or judged) the rest is compared, and the status
    is ``incompatible`` all the same: a bar that was taken away is not a bar that was cleared. Raises UsageError where a
    statistic is named whose noise is unknown and no tolerance is given.
    """
    _check_judgeable(tolerances)
    barred = obstacles(known, now)
    if barred:
        return BaselineDiff(result=_result(source, known, now, barred), changes=[])
    pairs = value_pairs(known, now, tolerances)
    changes = sorted((*value_changes(pairs, tolerances), *finding_changes(known, now)), key=rank)
    compared = sum(None not in pair for pair in pairs) - sum(_has_no_tolerance(change) for change in changes)
    gaps = list(_gaps(known, now, changes))
    if not compared and (tolerances.measures or tolerances.statistics):
        gaps = gaps or ["the baseline holds no value of the measures and statistics that are to be compared"]
    result = _result(source, known, now, gaps, remarks(known, now), changes, compared)
    return BaselineDiff(result=result, changes=changes)


def absent(source: str, reason: str) -> BaselineDiff:
    """The outcome where there is no baseline."""
    nothing = BaselineResult(
        source=source, status="absent", reasons=[reason], compared=0, improved=0, added=[], missing=[], regressions=[]
    )
    return BaselineDiff(result=nothing, changes=[])


def _check_judgeable(tolerances: Tolerances) -> None:
    if tolerances.relative is not None or tolerances.absolute is not None:
        return
    unknown = [name for name in selected(NAMES, tolerances.statistics, "statistic") if name not in KNOWN]
    if unknown:
        raise UsageError(
            "no-tolerance",
            f"nothing says by how much {', '.join(unknown)} may differ by chance",
            hint="give a relative or an absolute tolerance, or leave them out of the statistics",
        )


def _result(
    source: str,
    known: Baseline,
    now: Baseline,
    gaps: Sequence[str],
    remarked: Iterable[str] = (),
    changes: Sequence[BaselineChange] = (),
    compared: int = 0,
) -> BaselineResult:
    then, here = {site.key: named(site) for site in known.sites}, {site.key: named(site) for site in now.sites}
    return BaselineResult(
        source=source,
        status="incompatible" if gaps else "compared",
        reasons=[*gaps, *remarked],
        compared=compared,
        improved=sum(change.change == "better" for change in changes),
        added=[name for key, name in here.items() if key not in then],
        missing=[name for key, name in then.items() if key not in here],
        regressions=[_regression(change) for change in changes if change.change == "worse"],
    )


def _regression(change: BaselineChange) -> Regression:
    # A finding is about the series as a whole.
    span = "first-to-last" if change.span == "findings" else change.span
    return Regression(
        site=change.site,
        position=change.position,
        subject=change.subject,
        span=span,
        baseline=change.baseline or 0.0,
        value=change.value or 0.0,
        tolerance=change.tolerance or 0.0,
    )


def _has_no_tolerance(change: BaselineChange) -> bool:
    return change.change == "unmeasured" and change.value is not None


def _gaps(known: Baseline, now: Baseline, changes: Sequence[BaselineChange]) -> Iterator[str]:
    here = {site.key for site in now.sites}
    gone = [named(site) for site in known.sites if site.key not in here]
    if gone:
        yield f"{_count(gone, 'site')} of the baseline not measured: {_listed(gone)}"
    lost = [change for change in changes if change.change == "unmeasured"]
    without = [_described(change) for change in lost if change.value is None]
    if without:
        yield f"{_count(without, 'value')} of the baseline could not be measured: {_listed(without)}"
    unjudged = [_described(change) for change in lost if change.value is not None]
    if unjudged:
        yield (
            f"{_count(unjudged, 'value')} with too few samples for an interval (give a relative or an absolute "
            f"tolerance): {_listed(unjudged)}"
        )


def _count(found: Sequence[str], what: str) -> str:
    return f"{len(found)} {what}" + ("" if len(found) == 1 else "s")


def _listed(found: Sequence[str]) -> str:
    shown = ", ".join(found[:_SHOWN])
    return shown if len(found) <= _SHOWN else f"{shown} and {len(found) - _SHOWN} more"


def _described(change: BaselineChange) -> str:
    return f"{change.subject} of {change.site} ({change.position}), {change.span}"
