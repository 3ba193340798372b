"""Making a document no larger than its reader takes: rows go, and a line says what went."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace

from covscan.render.blocks import Block, Code, Items, Prose, Section, Span, Table, line

SEPARATOR = 2
"""Bytes between two sections."""
Draw = Callable[[Section], str]


def fitted(sections: Sequence[Section], draw: Draw, largest: int) -> list[str]:
    """The sections as ``draw`` writes them, ``largest`` bytes of UTF-8 in all with what stands between them.

    Sections of detail are cut first, then the others, the last before the first; each keeps as many rows as fit.
    """
    texts = [draw(section) for section in sections]
    over = sum(_size(text) + SEPARATOR for text in texts) - largest
    for place in sorted(range(len(sections)), key=lambda place: (not sections[place].detail, -place)):
        if over <= 0:
            break
        before = _size(texts[place])
        texts[place] = _shortened(sections[place], draw, before - over)
        over += _size(texts[place]) - before
    return texts


def _shortened(section: Section, draw: Draw, room: int) -> str:
    """The section with as many rows as ``room`` bytes hold; its heading alone where not even one fits."""
    most = max((_rows(block) for block in section.blocks), default=0)
    kept = bisect_right(range(most), room, key=lambda rows: _size(draw(_cut(section, rows)))) - 1
    if kept >= 0:
        return draw(_cut(section, kept))
    return draw(replace(section, blocks=(_notice("There is no room for this section"),)))


def _rows(block: Block) -> int:
    match block:
        case Table():
            return len(block.rows)
        case Items():
            return len(block.lines)
        case _:
            return 0


def _cut(section: Section, rows: int) -> Section:
    """The first ``rows`` rows of each table and points of each list, and how many there were more."""
    left_out = sum(max(_rows(block) - rows, 0) for block in section.blocks)
    blocks = [_first(block, rows) for block in section.blocks]
    return replace(section, blocks=(*blocks, _notice(f"{left_out:,} rows are left out")))


def _first(block: Block, rows: int) -> Block:
    match block:
        case Table():
            return replace(block, rows=block.rows[:rows])
        case Items():
            return replace(block, lines=block.lines[:rows])
        case Prose() | Code():
            return block


def _notice(what: str) -> Prose:
    return Prose(line(Span(f"{what}, for the size of this page: see the JSON report.", "faint")))


def _size(text: str) -> int:
    return len(text.encode("utf-8", "backslashreplace"))
