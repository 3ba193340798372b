"""Sections as HTML. Every text passes through ``escape``, so that none is read as markup."""

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from covscan.render.blocks import Block, Code, Items, Line, Prose, Section, Span, Table
from covscan.render.names import printable

LONG_TABLE = 40
"""Rows from which on a table is folded."""
LONGEST_TABLE = 500
"""Rows of a table that is no part of the measurement itself."""


def escape(text: str) -> str:
    """Text in an element or in a quoted attribute, with what cannot be printed spelled out."""
    return html.escape(printable(text), quote=True)


@dataclass(frozen=True, slots=True)
class Writer:
    """Draws blocks; ``links`` are fragments of this page by the name that a table shows."""

    links: Mapping[str, str] = field(default_factory=dict)

    def section(self, section: Section, key: str, below: str = "") -> str:
        """The section with its heading, and what else stands below it."""
        body = "\n".join(self.block(block, section.title) for block in section.blocks)
        return framed(key, section.title, f"{body}\n{below}" if below else body)

    def block(self, block: Block, caption: str) -> str:
        """One block; ``caption`` says to a screen reader what a table is about."""
        match block:
            case Prose():
                return f"<p>{self.line(block.line)}</p>"
            case Items():
                points = "".join(f"<li>{self.line(line)}</li>" for line in block.lines)
                return f"<ul>{points}</ul>" if points else ""
            case Code():
                return code(block.text)
            case Table():
                return self._table(block, caption)

    def line(self, line: Line) -> str:
        """The spans of a line."""
        return "".join(map(self._span, line)).strip()

    def _span(self, span: Span) -> str:
        text = escape(span.text)
        if span.tone == "plain" or not text.strip():
            return text
        if span.tone in {"name", "code"}:
            target = self.links.get(span.text) if span.tone == "name" else None
            named = f"<code>{text}</code>"
            return named if target is None else f'<a href="#{escape(target)}">{named}</a>'
        tag = "strong" if span.tone == "strong" else "span"
        return f'<{tag} class="{span.tone}">{text}</{tag}>'

    def _table(self, table: Table, caption: str) -> str:
        rows = "\n".join(self._rows(table))
        head = "".join(heading(column.heading, column.align) for column in table.columns)
        return scrolled(f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>", caption, table)

    def _rows(self, table: Table) -> Iterator[str]:
        width = len(table.columns)
        for cells in table.rows[:LONGEST_TABLE]:
            if len(cells) == width:
                drawn = [
                    f"<td{' class=n' if column.align == 'right' else ''}>{self.line(cell)}</td>"
                    for cell, column in zip(cells, table.columns, strict=True)
                ]
            else:
                drawn = [f"<td colspan={width}>{' '.join(map(self.line, cells))}</td>"]
            yield f"<tr>{''.join(drawn)}</tr>"
        left_out = len(table.rows) - LONGEST_TABLE
        if left_out > 0:
            yield f"<tr><td colspan={width}>{left_out:,} more rows: see the JSON report</td></tr>"


def framed(key: str, title: str, body: str) -> str:
    """A section of the page under its heading; ``key`` is its fragment."""
    name = f'<h2 id="{key}-title">{escape(title)}</h2>'
    return f'<section id="{key}" aria-labelledby="{key}-title">\n{name}\n{body}\n</section>'


def heading(text: str, align: str = "left") -> str:
    """A column's heading; one without text is no heading."""
    kind = ' class="n"' if align == "right" else ""
    return f'<th scope="col"{kind}>{escape(text)}</th>' if text else f"<td{kind}></td>"


def scrolled(table: str, caption: str, content: Table | int) -> str:
    """The table in a box of its own that scrolls sideways, folded where it is long."""
    rows = content if isinstance(content, int) else len(content.rows)
    box = f'<div class="scroll" tabindex="0" role="group" aria-label="{escape(caption or "table")}">{table}</div>'
    if rows <= LONG_TABLE:
        return box
    return f"<details><summary>{rows:,} rows</summary>\n{box}\n</details>"


def code(text: str) -> str:
    """Lines to paste."""
    shown = "\n".join(map(escape, text.strip("\n").expandtabs(4).split("\n")))
    return f'<div class="code"><pre tabindex="0"><code>{shown}</code></pre></div>'
