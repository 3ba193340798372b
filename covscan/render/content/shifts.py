"""The shift table: layer by checkpoint, with a trend, the noise, and what each layer added itself."""

from covscan.render.blocks import Block, Items, Line, Prose, Section, Span, Table, line, names
from covscan.render.content import columns, places
from covscan.render.content.shift_cells import cells
from covscan.render.content.shift_cells import columns as headed
from covscan.render.content.shift_layout import Layout, loudest, plan
from covscan.render.content.shift_rows import (
    LARGE,
    MEDIUM,
    Row,
    is_significant,
    rows,
    size,
    uses_fallback,
)
from covscan.render.figures import compact, counted
from covscan.render.look import Look
from covscan.render.names import printable, shorten
from covscan.report.types import Report

LABEL_WIDTH = 9
FEW_CHECKPOINTS = 3
RIVAL = 0.5
"""A site that adds this share of what the first source adds is one more source."""


def section(report: Report, look: Look) -> Section:
    """The table and how to read it."""
    what = title(report)
    found = rows(report, look.verbose)
    if not found:
        return Section(what, (Prose(line("No site was measured.")),))
    headings = [_heading(text, len(report.checkpoints), look) for text in columns.headings(report)[1:]]
    layout = plan(found, headings, look, course=columns.kind(report) == "checkpoints")
    shown = loudest(found, look)
    source = _source(found)
    named = places.shortened([row.site.site for row in shown], layout.site, look)
    drawn = [cells(row, named[row.site.site], layout, row is source, look) for row in shown]
    remarks = [*_verdict(found, source), *_course(found), *_left_out(found, shown, headings, layout), *_gaps(found)]
    blocks: list[Block] = [Items(tuple(remarks))]
    if drawn:
        legend = Prose(_legend(report, layout, look))
        blocks = [Table(headed(headings, layout), tuple(drawn)), *blocks, legend]
    return Section(what, tuple(blocks))


def remarks(report: Report) -> list[Line]:
    """Where the shift comes from or enters, and what could not be measured; for a page with room for every row."""
    if len(report.checkpoints) < 2:
        return []
    found = rows(report, verbose=False)
    return [*_verdict(found, _source(found)), *_course(found), *_gaps(found)] if found else []


def moved(report: Report) -> tuple[int, int] | None:
    """How many sites stand out of the noise, of how many that could be compared; None where none could."""
    found = rows(report, verbose=False)
    known = [row for row in found if any(cell is not None and cell.value is not None for cell in row.cells)]
    return (sum(row.significant for row in known), len(known)) if known else None


def title(report: Report) -> str:
    """What is compared with what."""
    first, last = report.checkpoints[0], report.checkpoints[-1]
    if columns.kind(report) != "checkpoints":
        return f"Shift from {columns.label(report, first)} to {columns.label(report, last)}"
    steps = all(checkpoint.step is not None for checkpoint in report.checkpoints)
    return f"Shift since {columns.label(report, first)}, by {'step' if steps else 'checkpoint'}"


def _heading(text: str, checkpoints: int, look: Look) -> str:
    shown = printable(text)
    width = LABEL_WIDTH if checkpoints > FEW_CHECKPOINTS else 2 * LABEL_WIDTH
    return shorten(shown, width, look.glyphs.ellipsis) if look.terminal else shown


def _source(found: list[Row]) -> Row | None:
    own = [row for row in found if is_significant(row.excess)]
    return max(own, key=lambda row: size(row.excess), default=None)


def _verdict(found: list[Row], source: Row | None) -> list[Line]:
    if all(measure is None or measure.value is None for row in found for measure in row.cells):
        return [line("No site could be compared.")]
    if not any(row.significant for row in found):
        return [line(Span("No site moved by more than sampling noise and enough to matter.", "good"))]
    if source is None or source.excess is None or source.excess.value is None:
        return []
    named = places.place(source.site.site, source.site.position)
    rivals = [row for row in found if row is not source and is_significant(row.excess) and _rivals(row, source)]
    rest = ", and what follows it inherits that."
    if rivals:
        rest = f", the most; {counted(len(rivals), 'other site')} added at least half as much."
    return [(Span("Source: ", "strong"), *named, Span(f" added {compact(source.excess.value)} itself{rest}"))]


def _course(found: list[Row]) -> list[Line]:
    """Where the shift of other data enters, where it is largest, and what reaches the end."""
    known = [row for row in found if row.travels is not None and row.travels.value is not None and row.significant]
    entry = next((row for row in known if size(row.travels) == 1.0), None)
    if entry is None:
        return []
    top = max(known, key=lambda row: size(row.travels))
    text: Line = (Span("Enters: ", "strong"), *places.place(entry.site.site, entry.site.position))
    text += (Span(f" by {compact(entry.top)}"),)
    if top is entry:
        text += (Span(", and is nowhere larger."),)
    else:
        where = places.place(top.site.site, top.site.position)
        text += (Span("; largest at "), *where, Span(f", {compact(size(top.travels))} times that."))
    return [text]


def _rivals(row: Row, source: Row) -> bool:
    return size(row.excess) >= RIVAL * size(source.excess)


def _left_out(found: list[Row], shown: list[Row], headings: list[str], layout: Layout) -> list[Line]:
    lines: list[Line] = []
    hidden = len(found) - len(shown)
    if hidden:
        quiet = not any(row.significant and row not in shown for row in found)
        what = "within noise" if quiet else "with smaller shifts or none"
        lines.append(line(f"{counted(hidden, 'more site')} {what} (--verbose shows them)."))
    skipped = [heading for index, heading in enumerate(headings) if index not in layout.kept]
    if skipped:
        lines.append((Span("Too narrow to show: "), *names(skipped, 6), Span(" (the trend and -f json have them).")))
    return lines


def _gaps(found: list[Row]) -> list[Line]:
    reasons: dict[str, int] = {}
    for measure in (cell for row in found for cell in (*row.cells, row.excess, row.travels)):
        if measure is not None and measure.value is None:
            reason = printable(measure.status or "no reason is given")
            reasons[reason] = reasons.get(reason, 0) + 1
    return [line(f"n/a in {counted(count, 'cell')}: {reason}.") for reason, count in reasons.items()]


def _legend(report: Report, layout: Layout, look: Look) -> Line:
    quiet = "(in brackets)" if look.verbose else look.glyphs.within_noise
    measure = "Standardized mean difference" if uses_fallback(report.shifts) else "Gaussian W2 distance"
    parts = [f"{measure} in standard deviations of the site; {quiet} is within noise or too small to matter."]
    if look.color:
        parts.append(f"Yellow from {MEDIUM:g}, red from {LARGE:g}, by the nearer end of the 95 % interval.")
    if layout.noise:
        parts.append("noise: what random halves of the same samples differ by.")
    if layout.excess:
        parts.append("excess: what the layer itself added to what its input brought.")
    if layout.travels:
        parts.append("of input: how many times the shift where the data enter, faint where it may be the same.")
    return line(Span(" ".join(parts), "faint"))
