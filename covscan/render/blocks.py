"""What a rendered report is made of, before any format has drawn it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Tone = Literal[
    "plain", "faint", "strong", "small", "medium", "large", "error", "warning", "info", "good", "name", "code"
]
"""What a text is, from which a format takes its colour; ``small`` to ``large`` are sizes of a shift."""


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of text in one tone; it holds no line break."""

    text: str
    tone: Tone = "plain"


Line = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading; numbers stand to the right, and prose may be wrapped."""

    heading: str
    align: Literal["left", "right"] = "left"
    wraps: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of lines, as many cells in each as there are columns; a row of one cell spans the table."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Line, ...], ...]


@dataclass(frozen=True, slots=True)
class Prose:
    """A paragraph."""

    line: Line


@dataclass(frozen=True, slots=True)
class Items:
    """A list of points."""

    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """Lines to paste, or a drawing made of characters, which is ``text``."""

    text: str
    language: Literal["python", "text"] = "python"


Block = Table | Prose | Items | Code


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, empty at the top of a document, and what stands under it.

    ``detail`` is what a reader misses least: where room is short, it goes first.
    """

    title: str
    blocks: tuple[Block, ...]
    detail: bool = False


def line(*parts: str | Span) -> Line:
    """A line of plain strings and spans."""
    return tuple(Span(part) if isinstance(part, str) else part for part in parts)


def names(found: Sequence[str], most: int | None) -> Line:
    """``a, b, c and 4 more``; all of them where ``most`` is None."""
    shown = found if most is None or len(found) <= most + 1 else found[:most]
    parts: list[Span] = []
    for name in shown:
        parts += [Span(", "), Span(name, "name")] if parts else [Span(name, "name")]
    if len(shown) < len(found):
        parts.append(Span(f" and {len(found) - len(shown)} more"))
    return tuple(parts)
