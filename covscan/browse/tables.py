"""The tables of the browser; each cell is a text, so that nothing in a name is read as markup."""

from collections.abc import Sequence

from rich.text import Text
from textual.widgets import DataTable

from covscan.browse.listing import Entry, Group, Layer
from covscan.render.as_text import STYLES, text
from covscan.render.blocks import Span, line
from covscan.render.content import places
from covscan.render.content.findings import RANK
from covscan.render.content.gains import change
from covscan.render.content.shift_cells import tone
from covscan.render.content.shift_rows import is_significant, size
from covscan.render.figures import compact, counted, evenly, sparkline
from covscan.render.look import Look
from covscan.render.names import printable
from covscan.report.types import Finding, Measure, Suggestion

Cells = tuple[Text, ...]
LAYERS = ("site", "at", "type", "shift", "trend", "noise", "excess", "findings")
FINDINGS = ("severity", "code", "site", "finding")
SUGGESTIONS = ("rank", "normalization", "where", "site", "verdict", "change of the loss")
TREND = 10
NAMES = 0.4


def fill(table: DataTable[Text], heads: Sequence[str], rows: Sequence[Cells], row: int = 0) -> None:
    """Show other rows and put the cursor on one of them.

    Columns get their widths here: the table would measure each cell by drawing it, which takes 0.7 s for 2,000 rows.
    """
    table.clear(columns=True)
    for place, head in enumerate(heads):
        table.add_column(Text(head), width=max([len(head), *(cells[place].cell_len for cells in rows)]))
    for cells in rows:
        table.add_row(*cells)
    if rows:
        table.move_cursor(row=min(row, len(rows) - 1))


def layer_cells(entries: Sequence[Entry], look: Look) -> list[Cells]:
    """A row for each entry."""
    names = [entry.name if isinstance(entry, Group) else entry.site.site for entry in entries]
    short = places.fitted(names, look, NAMES)
    return [
        _group(entry, short[name], look) if isinstance(entry, Group) else _layer(entry, short[name], look)
        for entry, name in zip(entries, names, strict=True)
    ]


def _layer(layer: Layer, name: Span, look: Look) -> Cells:
    last = layer.last
    noise = "" if last is None or last.noise is None else compact(last.noise)
    faint = layer.site.same_as is not None
    return (
        text(line(Span(name.text, "faint") if faint else name)),
        text(line(places.side(layer.site.position))),
        Text(printable(layer.site.type)),
        _value(last, look),
        _trend(layer, look),
        Text(noise, style=STYLES["faint"], justify="right"),
        _value(layer.row.excess, look),
        Text(str(layer.findings) if layer.findings else "", justify="right"),
    )


def _group(group: Group, name: Span, look: Look) -> Cells:
    """A module with the largest of what its sites have."""
    loudest = group.loudest
    sign = "▸ " if look.unicode else "+ "
    return (
        Text.assemble(sign, text(line(name))),
        Text(),
        Text(counted(len(group.layers), "site"), style=STYLES["faint"]),
        _value(loudest.last, look),
        _trend(loudest, look),
        Text(),
        Text(),
        Text(str(group.findings) if group.findings else "", justify="right"),
    )


def _value(measure: Measure | None, look: Look) -> Text:
    if measure is None:
        return Text()
    if measure.value is None:
        return Text("n/a", style=STYLES["faint"], justify="right")
    if not measure.significant:
        return Text(look.glyphs.within_noise, style=STYLES["faint"], justify="right")
    return Text(compact(measure.value), style=STYLES[tone(measure)], justify="right")


def _trend(layer: Layer, look: Look) -> Text:
    series: list[float | None] = [0.0]
    for measure in layer.row.cells:
        known = measure is not None and measure.value is not None
        series.append((size(measure) if is_significant(measure) else 0.0) if known else None)
    kept = [series[number] for number in evenly(len(series), TREND)]
    return Text(sparkline(kept, look.glyphs.ramp, layer.row.top)) if layer.row.cells else Text()


def finding_cells(found: Sequence[Finding], look: Look) -> list[Cells]:
    """A row for each finding."""
    short = places.fitted([each.site for each in found if each.site], look, NAMES)
    return [
        (
            Text(f"{look.glyphs.severities[RANK[each.severity]]} {each.severity}",
                 style=STYLES["faint"] if each.suppressed else STYLES[each.severity]),
            Text(each.code, style=STYLES["strong"]),
            text(line(short[each.site])) if each.site else Text("whole run", style=STYLES["faint"]),
            Text(printable(each.message), style=STYLES["faint"] if each.suppressed else ""),
        )
        for each in found
    ]  # fmt: skip


def suggestion_cells(found: Sequence[Suggestion], look: Look) -> list[Cells]:
    """A row for each suggestion."""
    short = places.fitted([each.site for each in found], look, NAMES)
    return [
        (
            Text(str(each.rank), justify="right"),
            Text(printable(each.norm)),
            Text(each.position),
            text(line(short[each.site])),
            Text(each.verdict or f"{each.confidence} confidence"),
            Text(change(each.gain)),
        )
        for each in found
    ]
