"""Markdown for a terminal: the few marks that a page about a rule uses."""

import io
import re
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from covscan.render.as_text import console_for
from covscan.render.look import Look

INLINE = re.compile(r"(?P<code>`+)(?P<verbatim>.+?)(?P=code)|\*\*(?P<strong>.+?)\*\*")
ITEM = re.compile(r"(?P<lead>\s*(?:[-*]|\d+\.)\s+)(?P<rest>.*)")
FENCE = "```"
LEAST_WIDTH = 20


def render_page(markdown: str, look: Look) -> str:
    """Headings, lists and code in a terminal's means; paragraphs are filled to its width."""
    file = io.StringIO()
    console = console_for(file, look)
    for row in page_rows(markdown, console):
        console.print(row)
    return file.getvalue()


def page_rows(markdown: str, console: Console) -> Iterator[Text]:
    """The rows of a page as wide as the console, with their styles."""
    for lead, text in _paragraphs(markdown):
        for place, row in enumerate(text.wrap(console, max(console.width - len(lead), LEAST_WIDTH))):
            row.rstrip()
            yield Text.assemble(" " * len(lead) if place else lead, row)


def _paragraphs(markdown: str) -> Iterator[tuple[str, Text]]:
    """(bullet or number, text) for each paragraph, item, or line of code."""
    pending = ""
    fenced = False
    for line in markdown.strip().splitlines():
        if fenced or _stands_alone(line):
            if pending:
                yield _filled(pending)
            pending = ""
            if line.startswith(FENCE):
                fenced = not fenced
            else:
                yield "", _alone(line, fenced)
        elif ITEM.fullmatch(line):
            if pending:
                yield _filled(pending)
            pending = line
        else:
            pending = f"{pending} {line.strip()}" if pending else line
    if pending:
        yield _filled(pending)


def _stands_alone(line: str) -> bool:
    return not line.strip() or line.startswith(("#", FENCE, "    ", "|"))


def _alone(line: str, fenced: bool) -> Text:
    if fenced:
        return Text(f"    {line}", style="cyan")
    if line.startswith("#"):
        return Text(line.lstrip("# "), style="bold underline")
    return Text(line, style="cyan" if line.startswith("    ") else "")


def _filled(paragraph: str) -> tuple[str, Text]:
    item = ITEM.fullmatch(paragraph)
    if item is None:
        return "", _inline(paragraph)
    return item["lead"], _inline(item["rest"])


def _inline(text: str) -> Text:
    drawn = Text()
    end = 0
    for mark in INLINE.finditer(text):
        drawn.append(text[end : mark.start()])
        drawn.append(mark["verbatim"] or mark["strong"], style="cyan" if mark["verbatim"] else "bold")
        end = mark.end()
    return drawn.append(text[end:])
