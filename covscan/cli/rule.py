"""``covscan rule``: explain a finding, or list what there is."""

import sys
from collections.abc import Mapping
from typing import Any

from covscan.catalog import page, pages
from covscan.cli.streams import deliver, look_for
from covscan.cli.values import read_wishes
from covscan.errors import ExitCode
from covscan.render.blocks import Column, Section, Span, Table, Tone, line
from covscan.render.look import Look


def run(words: Mapping[str, Any]) -> int:
    """Run the command; ``words`` are its parameters. Returns the exit code."""
    look = look_for(sys.stdout, read_wishes(words))
    code = words["code"]
    deliver(sys.stdout, _list(look) if code is None else _explain(code, look))
    return ExitCode.OK


def _list(look: Look) -> str:
    from covscan.render.as_text import draw

    columns = (Column("code"), Column("severity"), Column("name"), Column("summary", wraps=True))
    rows = tuple(
        (
            line(Span(page.code, "strong")),
            line(Span(page.severity, _tone(page.severity))),
            line(page.name),
            line(page.summary),
        )
        for page in pages()
    )
    return draw([Section("Rules", (Table(columns, rows),))], look)


def _tone(severity: str) -> Tone:
    tones: dict[str, Tone] = {"error": "error", "warning": "warning", "info": "info"}
    return tones.get(severity, "plain")


def _explain(word: str, look: Look) -> str:
    found = page(word)
    text = f"# {found.code} {found.name}\n\n{found.summary}\n\n{found.body.strip()}\n"
    if not look.terminal:
        return text
    from covscan.render.as_page import render_page

    return render_page(text, look)
