"""Makes the picture of a terminal that the README shows: covscan run on samples/digits-sigmoid, drawn by rich.

    python samples/pictures/terminal.py

writes terminal.svg and terminal-dark.svg beside this file. Nothing in them is drawn by hand: the text is what covscan
printed, with its colours, down to the findings, and its suggestions.
"""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, MONOKAI, TerminalTheme
from rich.text import Text

HERE = Path(__file__).parent
RUN = HERE.parent / "digits-sigmoid"
WORDS = ["analyze", "--model", "nets.py:plain", "--data", "sample.npz", "--target", "y", "--plot", "fc3:out", "plain/"]
WIDTH = 100
THEMES: dict[str, TerminalTheme] = {"terminal.svg": DEFAULT_TERMINAL_THEME, "terminal-dark.svg": MONOKAI}
LEFT_OUT = "\x1b[2m…\x1b[0m"


def printed() -> str:
    """What covscan prints on a terminal of ``WIDTH`` columns."""
    environment = {**os.environ, "COLUMNS": str(WIDTH), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "covscan", *WORDS, "--color", "always", "--no-config", "--quiet"]
    done = subprocess.run(command, cwd=RUN, env=environment, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode("utf-8")


def cut(text: str) -> list[str]:
    """The rows down to the findings, and the suggestions."""
    rows = text.splitlines()
    plain = [Text.from_ansi(row).plain for row in rows]
    findings = next(number for number, row in enumerate(plain) if row.startswith("Findings"))
    suggestions = plain.index("Suggestions")
    end = next(number for number, row in enumerate(plain) if row.startswith("Candidates"))
    return [*rows[:findings], LEFT_OUT, "", *rows[suggestions : end - 1]]


def picture(rows: list[str], theme: TerminalTheme) -> str:
    """The rows as SVG; it fetches no font, so that it looks the same wherever it may load nothing."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(Text.from_ansi(f"\x1b[1m$ covscan {' '.join(WORDS)}\x1b[0m"))
    for row in rows:
        console.print(Text.from_ansi(row))
    local = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    local = local.replace("font-family: Fira Code,", "font-family: Menlo, Consolas, DejaVu Sans Mono,")
    svg = console.export_svg(title="covscan", theme=theme, code_format=local, unique_id="covscan")
    return "\n".join(row.rstrip() for row in svg.splitlines()) + "\n"


def main() -> None:
    rows = cut(printed())
    for name, theme in THEMES.items():
        (HERE / name).write_text(picture(rows, theme), encoding="utf-8")


if __name__ == "__main__":
    main()
