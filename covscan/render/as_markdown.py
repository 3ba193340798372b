"""The report as GitHub's Markdown, for a pull request or a job summary."""

import re
from collections.abc import Iterable, Iterator

from covscan.render.blocks import Block, Code, Column, Items, Line, Prose, Section, Span, Table
from covscan.render.document import document
from covscan.render.fitting import fitted
from covscan.render.look import Look
from covscan.report.types import Report

SPECIAL = re.compile(r"([\\`*_\[\]|#~$])")
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
LONGEST_TABLE = 500
"""Rows of one table."""
LARGEST = 1_000_000
"""Bytes; GitHub drops a job summary above 1 MiB without a word, and the step may write more than this to it."""


def render(report: Report, look: Look) -> str:
    """The same sections as the text has; every name stands in a code span, so that none is read as markup."""
    return draw(document(report, look))


def draw(sections: Iterable[Section]) -> str:
    """Sections of any document, one under the other.

    At most ``LARGEST`` bytes of UTF-8: rows are left out where it would be more, and a line says how many.
    """
    return "\n\n".join(fitted(list(sections), drawn, LARGEST)) + "\n"


def drawn(section: Section) -> str:
    """The section as Markdown, without an empty line at its end."""
    title = "# covscan" if not section.title else f"## {escape(section.title)}"
    return "\n\n".join([title, *(_block(block) for block in section.blocks if not _is_empty(block))])


def _is_empty(block: Block) -> bool:
    return isinstance(block, Items) and not block.lines


def _block(block: Block) -> str:
    match block:
        case Prose():
            return _line(block.line)
        case Items():
            return "\n".join(f"- {_line(line)}" for line in block.lines)
        case Code():
            return _fenced(block)
        case Table():
            return "\n".join(_table(block))


def _table(table: Table) -> Iterator[str]:
    yield _row([escape(column.heading) for column in table.columns])
    yield _row([_rule(column) for column in table.columns])
    for cells in table.rows[:LONGEST_TABLE]:
        drawn = [_line(cell, in_table=True) for cell in cells]
        yield _row(drawn + [""] * (len(table.columns) - len(drawn)))
    left_out = len(table.rows) - LONGEST_TABLE
    if left_out > 0:
        yield _row([f"{left_out} more rows: see the JSON report", *[""] * (len(table.columns) - 1)])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(column: Column) -> str:
    return "---:" if column.align == "right" else "---"


def _line(line: Line, *, in_table: bool = False) -> str:
    return "".join(_span(span, in_table) for span in line).strip()


def _span(span: Span, in_table: bool) -> str:
    text = span.text
    if not any(character.isalnum() for character in text):
        return escape(text)
    match span.tone:
        case "name" | "code":
            return _code(text, in_table)
        case "strong" | "large" | "error":
            lead, core, tail = _trimmed(text)
            return f"{lead}**{escape(core)}**{tail}"
        case _:
            return escape(text)


def _trimmed(text: str) -> tuple[str, str, str]:
    core = text.strip()
    lead, _, tail = text.partition(core)
    return lead, core, tail


def escape(text: str) -> str:
    """Prose whose every character is shown as it is."""
    entities = "".join(ENTITIES.get(character, character) for character in text)
    return SPECIAL.sub(r"\\\1", entities)


def _code(text: str, in_table: bool) -> str:
    fence = "`" * (_longest_run(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    shown = text.replace("|", "\\|") if in_table else text
    return f"{fence}{pad}{shown}{pad}{fence}"


def _fenced(code: Code) -> str:
    fence = "`" * max(_longest_run(code.text) + 1, 3)
    return f"{fence}{code.language}\n{code.text.strip(chr(10))}\n{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
