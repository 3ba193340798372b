"""A table of text: columns as wide as they need, one of them wrapped, and rows that span all of them."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from covscan.render.blocks import Column

GAP = "  "
LEAST_WRAPPED = 12
"""Prose is not squeezed below this many columns; the line grows instead."""


def draw_table(
    columns: Sequence[Column], rows: Sequence[Sequence[Text]], console: Console, rule: str
) -> Iterator[Text]:
    """The headings, a rule, and the rows; a row with fewer cells than the table has columns spans it."""
    headings = [Text(column.heading, style="dim") for column in columns]
    widths = _widths(columns, [headings, *(row for row in rows if len(row) == len(columns))], console.width)
    yield from _row(headings, columns, widths, console)
    yield Text(rule * (sum(widths) + len(GAP) * (len(widths) - 1)), style="dim")
    for row in rows:
        if len(row) == len(columns):
            yield from _row(row, columns, widths, console)
        else:
            yield from Text.assemble(*row).wrap(console, console.width)


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[Text]], available: int) -> list[int]:
    widths = [max(row[place].cell_len for row in rows) for place in range(len(columns))]
    for place, column in enumerate(columns):
        if column.wraps:
            others = sum(widths) - widths[place] + len(GAP) * (len(widths) - 1)
            widths[place] = min(widths[place], max(available - others, LEAST_WRAPPED))
    return widths


def _row(cells: Sequence[Text], columns: Sequence[Column], widths: Sequence[int], console: Console) -> Iterator[Text]:
    wrapped = [
        list(cell.wrap(console, width)) if column.wraps else [cell]
        for cell, column, width in zip(cells, columns, widths, strict=True)
    ]
    for depth in range(max(len(lines) for lines in wrapped)):
        row = Text()
        for place, lines in enumerate(wrapped):
            row.append(GAP if place else "")
            row.append_text(_padded(lines[depth] if depth < len(lines) else Text(), widths[place], columns[place]))
        yield row


def _padded(cell: Text, width: int, column: Column) -> Text:
    blank = " " * (width - cell.cell_len)
    return Text.assemble(blank, cell) if column.align == "right" else Text.assemble(cell, blank)
