"""What a baseline keeps of a report."""

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import pairwise

from covscan.config.policy import Tolerances
from covscan.errors import UsageError
from covscan.gate.baseline_noise import NAMES, half_width
from covscan.gate.baseline_types import (
    SCHEMA,
    Baseline,
    Fingerprint,
    KnownFinding,
    KnownSite,
    KnownValue,
    Origin,
    Series,
    Span,
)
from covscan.render.names import nearest
from covscan.report.encode import rounded
from covscan.report.types import Measure, Report, Shift, Site

FEWEST_STEPS = 3
"""Checkpoints from which on the largest step is something else than the whole series."""
_GATE_CODES = "COV9"


def baseline_of(report: Report, tolerances: Tolerances) -> Baseline:
    """The baseline that a report would make: what ``tolerances`` names, at every tensor of its own.

    Findings of severity info, suppressed ones and the gate's own are not kept. Raises UsageError where a glob of
    measures or statistics matches none that there is.
    """
    sites = [site for site in report.sites if site.same_as is None]
    return Baseline(
        schema=SCHEMA,
        origin=Origin(
            tool=report.tool.version,
            report=report.schema_version,
            device=report.model.device,
            versions=dict(sorted(report.run.versions.items())),
        ),
        fingerprint=Fingerprint(
            engine=report.model.engine,
            data=report.data.fingerprint,
            samples=report.data.samples,
            positions=report.data.positions,
            seed=report.data.seed,
            masked=report.data.masked,
        ),
        series=_series(report),
        sites=tuple(
            KnownSite(site=site.site, position=site.position, type=site.type, channels=site.channels) for site in sites
        ),
        values=(*_shift_values(report, sites, tolerances), *_statistics(report, sites, tolerances)),
        findings=_findings(report),
    )


def selected(names: Sequence[str], globs: Iterable[str], what: str) -> list[str]:
    """The names that a glob matches, in their order. Raises UsageError for a glob that matches none of them."""
    for glob in globs:
        if not any(fnmatchcase(name, glob) for name in names):
            raise UsageError(
                "unknown-subject", f"there is no {what} '{glob}' to compare with a baseline", hint=nearest(glob, names)
            )
    return [name for name in names if any(fnmatchcase(name, glob) for glob in globs)]


def _series(report: Report) -> Series:
    first, last = (report.checkpoints[0], report.checkpoints[-1]) if report.checkpoints else (None, None)
    return Series(
        checkpoints=len(report.checkpoints),
        first=first.id if first else "",
        last=last.id if last else "",
        first_step=first.step if first else None,
        last_step=last.step if last else None,
    )


def _shift_values(report: Report, sites: Sequence[Site], tolerances: Tolerances) -> Iterator[KnownValue]:
    if not report.shifts:
        return
    # The default measures are known also where an older report lacks one of them.
    known = dict.fromkeys((*(name for shift in report.shifts for name in shift.measures), *Tolerances().measures))
    names = selected(list(known), tolerances.measures, "measure")
    own = {(site.site, site.position) for site in sites}
    order = [checkpoint.id for checkpoint in report.checkpoints]
    neighbours = set(pairwise(order)) if len(order) >= FEWEST_STEPS else set()
    largest: dict[tuple[str, str, str], KnownValue] = {}
    for shift in report.shifts:
        if (shift.site, shift.position) not in own:
            continue
        pair = (shift.from_, shift.to)
        for name in names:
            measure = shift.measures.get(name)
            if measure is None or measure.value is None:
                continue
            if pair == (order[0], order[-1]):
                yield _known(shift, name, measure, "first-to-last")
            if pair in neighbours:
                key = (shift.site, shift.position, name)
                step = _known(shift, name, measure, "step-to-step")
                if key not in largest or abs(step.value) > abs(largest[key].value):
                    largest[key] = step
    yield from largest.values()


def _known(shift: Shift, name: str, measure: Measure, span: Span) -> KnownValue:
    value = measure.value or 0.0
    return KnownValue(
        span=span,
        site=shift.site,
        position=shift.position,
        subject=name,
        value=rounded(value),
        noise=None if measure.noise is None else rounded(measure.noise),
        # The upper end alone: the lower one of a distance is cut off at 0.
        half_width=None if measure.high is None else rounded(max(measure.high - value, 0.0)),
    )


def _statistics(report: Report, sites: Sequence[Site], tolerances: Tolerances) -> Iterator[KnownValue]:
    names = selected(NAMES, tolerances.statistics, "statistic")
    for site in sites:
        found = site.statistics.get(report.checkpoints[-1].id) if report.checkpoints else None
        for name in names if found is not None else ():
            value = getattr(found, name)
            if found is None or value is None:
                continue
            width = half_width(name, found, site.channels)
            yield KnownValue(
                span="last",
                site=site.site,
                position=site.position,
                subject=name,
                value=rounded(value),
                noise=None,
                half_width=None if width is None else rounded(width),
            )


def _findings(report: Report) -> tuple[KnownFinding, ...]:
    counts: dict[tuple[str, str | None], list[int]] = {}
    for finding in report.findings:
        if finding.severity != "info" and finding.suppressed is None and not finding.code.startswith(_GATE_CODES):
            errors_and_warnings = counts.setdefault((finding.code, finding.site), [0, 0])
            errors_and_warnings[finding.severity == "warning"] += 1
    return tuple(
        KnownFinding(code=code, site=site, errors=errors, warnings=warnings)
        for (code, site), (errors, warnings) in counts.items()
    )
