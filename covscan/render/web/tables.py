"""The tables of the measurement itself: they stand without a script, and are what a screen reader reads."""

from collections.abc import Iterator, Sequence

from covscan.render.charts.steps import STEPS
from covscan.render.content import columns, shifts
from covscan.render.content.places import SIDES
from covscan.render.content.scales import Scale, scale
from covscan.render.content.shift_rows import FALLBACK, PRIMARY, Row, is_significant, rows, uses_fallback
from covscan.render.figures import compact, evenly, percent
from covscan.render.web.anchors import anchor
from covscan.render.web.markup import Writer, escape, heading, scrolled
from covscan.report.training import Trials
from covscan.report.types import Measure, Report, Site, Statistics

Cell = tuple[str, str]
"""Classes and text."""
PERCENTILES = ("p15", "p50", "p85")
CURVE_STEPS = 12


def shift_table(report: Report, writer: Writer) -> str:
    """Each site's shift from the first column to each other one, coloured, with noise and excess."""
    found = rows(report, verbose=False)
    if not found:
        return "<p>No site was measured.</p>"
    measure = scale(FALLBACK if uses_fallback(report.shifts) else PRIMARY)
    excess, travels = (any(getattr(row, name) is not None for row in found) for name in ("excess", "travels"))
    labels = [*columns.headings(report)[1:], "noise"]
    labels += ["excess"] if excess else []
    labels += ["of input"] if travels else []
    head = heading("site") + heading("at") + "".join(heading(label, "right") for label in labels)
    body = "\n".join(_row(row, _shift_cells(row, measure, excess=excess, travels=travels)) for row in found)
    table = f'<table id="shifts"><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>'
    legend = (
        f"{measure.title} in {measure.unit}. Grey: within noise or too small to matter. noise: what random halves "
        "of the same samples differ by."
    )
    legend += " excess: what the layer itself added to what its input brought." if excess else ""
    legend += " of input: how many times the shift where the data enter." if travels else ""
    said = "".join(f"<li>{writer.line(each)}</li>" for each in shifts.remarks(report))
    points = f"<ul>{said}</ul>" if said else ""
    drawn = scrolled(table, "Shift of each site", len(found))
    return f'{points}\n<div id="shift-table">\n<p class="faint">{legend}</p>\n{drawn}\n</div>'


def _shift_cells(row: Row, measure: Scale, *, excess: bool, travels: bool) -> Iterator[Cell]:
    for cell in row.cells:
        yield _shift(cell, measure)
    last = row.cells[-1] if row.cells else None
    yield "q", "" if last is None or last.noise is None else compact(last.noise)
    if excess:
        yield _shift(row.excess, scale("excess_shift"))
    if travels:
        yield "", "" if row.travels is None or row.travels.value is None else compact(row.travels.value)


def _shift(measure: Measure | None, colours: Scale) -> Cell:
    if measure is None:
        return "", ""
    if measure.value is None:
        return "q", "n/a"
    if not is_significant(measure):
        return "q", compact(measure.value)
    return f"h{step(colours.place(measure.value))}", compact(measure.value)


def step(place: float) -> int:
    """Which of the steps of the colour scale a place from 0 to 1 falls into."""
    return min(int(place * STEPS), STEPS - 1)


def percentile_table(report: Report, sites: Sequence[Site]) -> str:
    """The 15th, 50th and 85th percentile of each site at each checkpoint."""
    labels = columns.headings(report)
    head = heading("site") + heading("at") + "".join(heading(label, "right") for label in labels)
    names = [checkpoint.id for checkpoint in report.checkpoints]
    body = "\n".join(
        f"<tr>{_names(site)}{''.join(_cell('', _percentiles(site.statistics.get(name))) for name in names)}</tr>"
        for site in sites
    )
    table = f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
    return scrolled(table, "Percentiles of each site", len(sites))


def _percentiles(found: Statistics | None) -> str:
    values = [None if found is None else getattr(found, name) for name in PERCENTILES]
    return " / ".join("n/a" if value is None else compact(value) for value in values)


def statistics_table(report: Report, sites: Sequence[Site]) -> str:
    """What each site's values are at the last checkpoint."""
    labels = ("type", "mean", "std", "min", "max", "zero", "saturated", "NaN/inf", "dead channels", "normalized by")
    head = (
        heading("site")
        + heading("at")
        + "".join(heading(label, "left" if label in {"type", "normalized by"} else "right") for label in labels)
    )
    last = report.checkpoints[-1].id
    body = "\n".join(f"<tr>{_names(site)}{_statistics(site, site.statistics.get(last))}</tr>" for site in sites)
    table = f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
    return scrolled(table, "Statistics of each site", len(sites))


def _statistics(site: Site, found: Statistics | None) -> str:
    cells = [f"<td>{escape(site.type)}</td>"]
    for name in ("mean", "std", "min", "max"):
        value = None if found is None else getattr(found, name)
        cells.append(_cell("", "n/a" if value is None else compact(value)))
    for name in ("zero_share", "saturated_share", "nonfinite_share", "dead_channels"):
        share = None if found is None else getattr(found, name)
        cells.append(_cell("q", "n/a") if share is None else _cell("" if share else "q", percent(share)))
    return "".join(cells) + f"<td>{escape(site.normalized_by or '')}</td>"


def curves_table(trials: Trials) -> str:
    """The losses of a trial with and without a normalization, at some of its steps; nothing of a probe."""
    steps = evenly(min(len(trials.curve_without), len(trials.curve_with)), CURVE_STEPS)
    if len(steps) < 2:
        return ""
    head = heading("mean training loss at step") + "".join(heading(f"{step + 1}", "right") for step in steps)
    body = "\n".join(
        f'<tr><th scope="row">{name}</th>{"".join(_cell("", compact(curve[step])) for step in steps)}</tr>'
        for name, curve in (("without", trials.curve_without), ("with the best normalization", trials.curve_with))
    )
    table = f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
    return scrolled(table, "Training loss with and without a normalization", len(steps))


def _row(row: Row, cells: Iterator[Cell]) -> str:
    key = escape(anchor(row.site.site, row.site.position))
    return f'<tr id="{key}">{_names(row.site)}{"".join(_cell(*cell) for cell in cells)}</tr>'


def _names(site: Site) -> str:
    key = escape(anchor(site.site, site.position))
    return f'<th scope="row"><a href="#{key}">{escape(site.site)}</a></th><td>{SIDES[site.position]}</td>'


def _cell(kind: str, text: str) -> str:
    return f'<td class="n {kind}">{text}</td>' if kind else f'<td class="n">{text}</td>'
