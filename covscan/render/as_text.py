"""The report for a terminal or a pipe, drawn by rich."""

import io
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.text import Text

from covscan.render.blocks import Block, Code, Items, Line, Prose, Section, Table, Tone
from covscan.render.document import document
from covscan.render.look import Look
from covscan.render.text_table import draw_table
from covscan.report.types import Report

STYLES: dict[Tone, str] = {
    "plain": "",
    "faint": "dim",
    "strong": "bold",
    "small": "cyan",
    "medium": "yellow",
    "large": "bold red",
    "error": "bold red",
    "warning": "yellow",
    "info": "cyan",
    "good": "green",
    "name": "bold",
    "code": "cyan",
}
"""Only the colours that can be read on a light and on a dark background, and no background of their own."""

NATURAL_WIDTH = 1_000_000
"""Wider than any line."""


def render(report: Report, look: Look) -> str:
    """Tables, findings, suggestions and what to do next, as text that ends in a newline."""
    return draw(document(report, look), look)


def draw(sections: Iterator[Section] | Sequence[Section], look: Look) -> str:
    """Draw sections one under the other, with an empty line between them."""
    file = io.StringIO()
    console = console_for(file, look)
    for row in rows(sections, console, look):
        console.print(row)
    return file.getvalue()


def rows(sections: Iterable[Section], console: Console, look: Look) -> Iterator[Text]:
    """The rows of the sections as wide as the console, with their styles and without blanks at their ends."""
    for place, section in enumerate(sections):
        if place:
            yield Text()
        if section.title:
            yield from Text(section.title, style="bold underline").wrap(console, console.width)
        for above, block in zip((None, *section.blocks), section.blocks, strict=False):
            if isinstance(block, Prose) and above is not None:
                yield Text()
            for drawn in _drawn(block, console, look):
                drawn.rstrip()
                yield drawn


def console_for(file: io.StringIO, look: Look) -> Console:
    """A console that writes to ``file`` as ``look`` says and asks the environment nothing."""
    return Console(
        file=file,
        width=look.width or NATURAL_WIDTH,
        height=25,
        color_system="standard" if look.color else None,
        force_terminal=look.color,
        no_color=not look.color,
        legacy_windows=False,
        soft_wrap=True,
        markup=False,
        highlight=False,
        emoji=False,
        _environ={},
    )


def _drawn(block: Block, console: Console, look: Look) -> Iterator[Text]:
    match block:
        case Prose():
            yield from text(block.line).wrap(console, console.width)
        case Items():
            for line in block.lines:
                yield from _item(line, console, look)
        case Code():
            style = STYLES["code" if block.language == "python" else "plain"]
            for row in block.text.strip("\n").expandtabs().splitlines():
                yield Text(f"    {row}", style=style)
        case Table():
            cells = [[text(cell) for cell in row] for row in block.rows]
            yield from draw_table(block.columns, cells, console, look.glyphs.rule)


def _item(line: Line, console: Console, look: Look) -> Iterator[Text]:
    for place, row in enumerate(text(line).wrap(console, console.width - 2)):
        lead = ("  ", "") if place else (f"{look.glyphs.bullet} ", STYLES["faint"])
        yield Text.assemble(lead, row)


def text(line: Line) -> Text:
    """The spans of a line with their styles."""
    drawn = Text(overflow="fold")
    for span in line:
        drawn.append(span.text, style=STYLES[span.tone])
    return drawn
