"""The course of a site's percentiles over the checkpoints: Ioffe and Szegedy's figure of a covariate shift."""

from collections.abc import Sequence
from itertools import pairwise

from covscan.render.blocks import Block, Code, Column, Items, Line, Prose, Section, Span, Table, line
from covscan.render.chart import band
from covscan.render.content import columns, places
from covscan.render.content.shift_cells import tone
from covscan.render.content.shift_rows import is_significant, primary, uses_fallback
from covscan.render.figures import compact, counted, percent
from covscan.render.look import Look
from covscan.render.names import printable, shorten
from covscan.report.types import Checkpoint, Measure, Report, Site, Statistics

PERCENTILES = ("p15", "p50", "p85")
LABEL_WIDTH = 12


def section(report: Report, site: Site, look: Look) -> Section:
    """The 15th, 50th and 85th percentile at each checkpoint: drawn, as numbers, and what chance would make of them."""
    title = f"Bands of {printable(site.site)} ({site.position})"
    found = [(checkpoint, site.statistics.get(checkpoint.id)) for checkpoint in report.checkpoints]
    blocks: list[Block] = []
    known = [stats for _, stats in found if stats is not None and stats.p50 is not None]
    if len(known) > 1:
        blocks.append(Code(_drawn(report, [stats for _, stats in found], look), language="text"))
    blocks.append(_table(report, site, found, look))
    remarks = [*_same(site), *_verdict(report, site), *_gaps(found, report)]
    if len(found) == 1:
        remarks.append(line("One checkpoint has no course: give two or more to see the bands move."))
    return Section(title, (*blocks, Items(tuple(remarks)), Prose(line(Span(_legend(report, site, look), "faint")))))


def _drawn(report: Report, found: Sequence[Statistics | None], look: Look) -> str:
    lines = [[None if stats is None else getattr(stats, name) for stats in found] for name in PERCENTILES]
    steps = [float(checkpoint.step) for checkpoint in report.checkpoints if checkpoint.step is not None]
    by_step = columns.kind(report) == "checkpoints" and len(steps) == len(found)
    if by_step and all(end > start for start, end in pairwise(steps)):
        labels, across = [str(checkpoint.step) for checkpoint in report.checkpoints], "step"
    else:
        steps = [float(number) for number in range(len(found))]
        short = [printable(checkpoint.id) for checkpoint in report.checkpoints]
        labels = [shorten(label, LABEL_WIDTH, look.glyphs.ellipsis) for label in short]
        across = "checkpoint, in order" if columns.kind(report) == "checkpoints" else ""
    return band(lines, steps, labels if look.unicode else [_ascii(label) for label in labels], look, across)


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode("ascii")


def _table(report: Report, site: Site, found: Sequence[tuple[Checkpoint, Statistics | None]], look: Look) -> Table:
    shifts = _since_first(report, site)
    head = "step" if columns.headings(report) != [checkpoint.id for checkpoint, _ in found] else ""
    shown = [Column(head or columns.kind(report).removesuffix("s")), *(Column(name, "right") for name in PERCENTILES)]
    if shifts:
        shown += [Column("shift", "right"), Column("95 % interval", "right"), Column("noise", "right")]
    rows = []
    for heading, (checkpoint, stats) in zip(columns.headings(report), found, strict=True):
        name = printable(heading)
        cells = [line(shorten(name, 2 * LABEL_WIDTH, look.glyphs.ellipsis) if look.terminal else name)]
        cells += [line(_number(stats, percentile)) for percentile in PERCENTILES]
        rows.append((*cells, *(_shift(shifts.get(checkpoint.id)) if shifts else ())))
    return Table(tuple(shown), tuple(rows))


def _number(stats: Statistics | None, name: str) -> Span:
    value: float | None = None if stats is None else getattr(stats, name)
    return Span("n/a", "faint") if value is None else Span(compact(value))


def _shift(measure: Measure | None) -> tuple[Line, ...]:
    """Value, interval and noise; faint where it is within noise or too small to matter."""
    if measure is None:
        return (line(), line(), line())
    if measure.value is None:
        return (line(Span("n/a", "faint")), line(), line())
    how = tone(measure) if measure.significant else "faint"
    value = compact(measure.value) if measure.significant else f"({compact(measure.value)})"
    known = measure.low is not None and measure.high is not None
    interval = f"{compact(measure.low or 0.0)} to {compact(measure.high or 0.0)}" if known else ""
    return line(Span(value, how)), line(interval), line("" if measure.noise is None else compact(measure.noise))


def _since_first(report: Report, site: Site) -> dict[str, Measure]:
    """How far the site is from where it was at the first checkpoint, by the later one."""
    seen = site if site.same_as is None else site.same_as
    found = {}
    for shift in report.shifts:
        if shift.from_ == report.checkpoints[0].id and (shift.site, shift.position) == (seen.site, seen.position):
            measure = primary(shift)
            if measure is not None:
                found[shift.to] = measure
    return found


def _same(site: Site) -> list[Line]:
    if site.same_as is None:
        return []
    return [(Span("The same tensor as "), *places.place(site.same_as.site, site.same_as.position), Span("."))]


def _verdict(report: Report, site: Site) -> list[Line]:
    """Whether the bands moved by more than other samples of the same data would move them."""
    found = _since_first(report, site)
    known = [measure for measure in found.values() if measure.value is not None]
    if not known:
        reasons = dict.fromkeys(printable(measure.status or "no reason is given") for measure in found.values())
        return [line(f"How far it moved is not known: {reason}.") for reason in reasons]
    if any(map(is_significant, known)):
        return []
    calm = "Nothing here stands out of the noise: other samples of the same data would move the bands as far."
    return [line(Span(calm, "good"))]


def _gaps(found: Sequence[tuple[Checkpoint, Statistics | None]], report: Report) -> list[Line]:
    """Why a value is missing, and what was left out of the others."""
    lines = []
    for checkpoint, stats in found:
        at = columns.label(report, checkpoint)
        if stats is None:
            lines.append(line(f"Not measured at {at}."))
        elif stats.p50 is None:
            lines.append(line(Span(f"n/a at {at}: {printable(stats.status or 'no reason is given')}.", "warning")))
        elif stats.nonfinite_share > 0:
            share = percent(stats.nonfinite_share)
            lines.append(line(Span(f"{share} of the values at {at} are NaN or infinite and left out.", "warning")))
    return lines


def _legend(report: Report, site: Site, look: Look) -> str:
    signs = ("●", "∙") if look.unicode else ("#", ".")
    samples = [stats.samples for stats in site.statistics.values()]
    read = counted(max(samples, default=report.data.samples), "sample")
    said = (
        f"p15, p50, p85: percentiles of the values of all {counted(site.channels, 'channel')}, in the unit of the "
        f"tensor, from the kept rows of {read}. {signs[0]} is a checkpoint; the outer lines ({signs[1]}) are p15 "
        "and p85, the inner one p50; between checkpoints nothing was measured."
    )
    if not report.shifts:
        return said
    measure = "Standardized mean difference" if uses_fallback(report.shifts) else "Gaussian W2 distance"
    since = columns.label(report, report.checkpoints[0])
    unit = "in standard deviations of the site, in brackets where it is within noise or too small to matter"
    return f"{said} shift: {measure} since {since}, channel by channel, {unit}."
