"""Tables that lose columns where a terminal is too narrow for all of them."""

from collections.abc import Sequence

from covscan.render.blocks import Block, Column, Items, Line, Span, Table, line, names
from covscan.render.look import Look
from covscan.render.names import columns

_GAP = 2


def narrowed(table: Table, look: Look, order: Sequence[str]) -> tuple[Block, ...]:
    """The table without as many of the columns with these headings as must go, the first first, and which those are.

    Whole on anything but a terminal.
    """
    kept = list(range(len(table.columns)))
    left_out = []
    for heading in order:
        if look.width is None or not look.terminal or _width(table, kept) <= look.width:
            break
        gone = [place for place in kept if table.columns[place].heading == heading]
        kept = [place for place in kept if place not in gone]
        left_out += [heading] if gone else []
    if not left_out:
        return (table,)
    rows = tuple(tuple(row[place] for place in kept) for row in table.rows)
    said: Line = (Span("Too narrow to show: "), *names(left_out, None), Span(" (-f json has them)."))
    return Table(tuple(table.columns[place] for place in kept), rows), Items((said,))


def _width(table: Table, kept: Sequence[int]) -> int:
    cells = [[line(column.heading) for column in table.columns], *table.rows]
    widths = [max(_needed(row[place], table.columns[place]) for row in cells) for place in kept]
    return sum(widths) + _GAP * (len(kept) - 1)


def _needed(cell: Line, column: Column) -> int:
    """The columns that a cell takes; of one that is wrapped those of its longest word."""
    text = "".join(span.text for span in cell)
    return max((columns(word) for word in text.split()), default=0) if column.wraps else columns(text)
