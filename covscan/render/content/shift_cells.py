"""The cells of one row of the shift table."""

from covscan.render.blocks import Column, Line, Span, Tone, line
from covscan.render.content import places
from covscan.render.content.shift_layout import Layout
from covscan.render.content.shift_rows import LARGE, MEDIUM, Row, assured, is_significant, size
from covscan.render.figures import compact, evenly, sparkline
from covscan.render.look import Look
from covscan.report.types import Measure

LOUDEST_FIRST: tuple[Tone, ...] = ("large", "medium", "small")


def columns(headings: list[str], layout: Layout) -> tuple[Column, ...]:
    """The headings of the columns that the layout keeps."""
    shown = [Column("site"), Column("at")]
    shown += [Column(headings[index], "right") for index in layout.kept]
    if layout.trend:
        shown.append(Column("trend"))
    if layout.noise:
        shown.append(Column("noise", "right"))
    if layout.excess:
        shown.append(Column("excess", "right"))
    if layout.travels:
        shown.append(Column("of input", "right"))
    return tuple(shown)


def cells(row: Row, named: Span, layout: Layout, is_source: bool, look: Look) -> tuple[Line, ...]:
    """One line per column."""
    shown = [line(named), line(places.side(row.site.position))]
    shown += [line(_value(row.cells[index], look)) for index in layout.kept]
    if layout.trend:
        shown.append(line(_trend(row, layout.trend, look)))
    if layout.noise:
        last = row.cells[-1]
        shown.append(line(Span("" if last is None or last.noise is None else compact(last.noise), "faint")))
    if layout.excess:
        mark = Span(f" {look.glyphs.source}" if is_source else "  ", "strong")
        shown.append(line(_value(row.excess, look), mark))
    if layout.travels:
        shown.append(line(_factor(row.travels)))
    return tuple(shown)


def _value(measure: Measure | None, look: Look) -> Span:
    if measure is None:
        return Span("")
    if measure.value is None:
        return Span("n/a", "faint")
    if not measure.significant:
        return Span(f"({compact(measure.value)})" if look.verbose else look.glyphs.within_noise, "faint")
    return Span(compact(measure.value), tone(measure))


def _factor(measure: Measure | None) -> Span:
    """How many times the shift at the input; faint where that may be as large."""
    if measure is None or measure.value is None:
        return Span("n/a", "faint")
    return Span(compact(measure.value), "plain" if measure.significant else "faint")


def tone(measure: Measure) -> Tone:
    """How large a significant shift is, by the end of its interval that is nearer to zero."""
    least = assured(measure)
    return "large" if least >= LARGE else "medium" if least >= MEDIUM else "small"


def _trend(row: Row, signs: int, look: Look) -> Span:
    series: list[float | None] = [0.0]
    for measure in row.cells:
        known = measure is not None and measure.value is not None
        series.append((size(measure) if is_significant(measure) else 0.0) if known else None)
    kept = [series[index] for index in evenly(len(series), signs)]
    tones = [tone(measure) for measure in row.cells if measure is not None and is_significant(measure)]
    loudest: Tone = next((level for level in LOUDEST_FIRST if level in tones), "faint")
    return Span(sparkline(kept, look.glyphs.ramp, row.top), loudest)
