"""Every measure between the first and the last checkpoint, for those who ask for all."""

from covscan.render.blocks import Column, Items, Line, Section, Span, Table, line
from covscan.render.content import places
from covscan.render.content.shift_cells import tone
from covscan.render.content.shift_rows import shown
from covscan.render.figures import compact
from covscan.render.look import Look
from covscan.render.names import printable
from covscan.report.types import Measure, Report, Shift

NAMES = 0.25


def section(report: Report, look: Look) -> Section:
    """One row per site and measure: value, interval, noise, and whether it counts."""
    first, last = report.checkpoints[0].id, report.checkpoints[-1].id
    pairs = {(shift.site, shift.position): shift for shift in report.shifts if (shift.from_, shift.to) == (first, last)}
    found = [
        pairs[site.site, site.position] for site in shown(report.sites, False) if (site.site, site.position) in pairs
    ]
    columns = (
        Column("site"),
        Column("at"),
        Column("measure"),
        Column("value", "right"),
        Column("95 % interval", "right"),
        Column("noise", "right"),
        Column("counts"),
    )
    names = places.fitted([shift.site for shift in found], look, NAMES)
    rows = tuple(row for shift in found for row in _rows(shift, names))
    legend = line(Span("counts: the interval clears the noise and the value is large enough to matter.", "faint"))
    title = f"All measures, {printable(first)} to {printable(last)}"
    return Section(title, (Table(columns, rows), Items((legend,))), detail=True)


def _rows(shift: Shift, names: dict[str, Span]) -> list[tuple[Line, ...]]:
    named = line(names[shift.site])
    at = line(places.side(shift.position))
    return [(named, at, line(name.replace("_", " ")), *_cells(found)) for name, found in shift.measures.items()]


def _cells(found: Measure) -> tuple[Line, ...]:
    if found.value is None:
        return (
            line(Span("n/a", "faint")),
            line(),
            line(),
            line(Span(printable(found.status or ""), "faint")),
        )
    low, high = found.low, found.high
    interval = "" if low is None or high is None else f"{compact(low)} to {compact(high)}"
    noise = "" if found.noise is None else compact(found.noise)
    value = Span(compact(found.value), tone(found) if found.significant else "faint")
    return (
        line(value),
        line(interval),
        line(noise),
        line("yes" if found.significant else Span("no", "faint")),
    )
