"""Names and messages that somebody else chose, made safe and short enough to show."""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence

UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories that move the cursor, reverse the text, or show nothing at all."""


_COMMAND = re.compile(r"::(?=[a-z]+(?:-[a-z]+)*(?: [^:]*)?::)|(?:^|(?<=\s))::|##\[")

HEADS = (0.5, 0.65, 0.35, 0.8, 0.2, 0.05)
"""Where names are cut, in the order of preference."""


def printable(text: str) -> str:
    """The text with control, formatting and undefined characters spelled out: it stays on its line.

    So is the start of what a build server would take for a command where the text begins a line of a log, which it may
    after wrapping (``::error::``, ``##[error]``). Names such as ``onnx::MatMul_3`` stay as they are.
    """
    if not (text.isascii() and text.isprintable()):
        text = "".join(_spelled(character) for character in text)
    return _COMMAND.sub(lambda found: f"{found[0][0]}\\x{ord(found[0][1]):02x}{found[0][2:]}", text)


def _spelled(character: str) -> str:
    if unicodedata.category(character) not in UNPRINTABLE:
        return character
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def shorten(text: str, width: int, ellipsis: str, head: float = 0.5) -> str:
    """The text in at most ``width`` columns, cut in the middle; ``head`` is the share kept before the cut."""
    if columns(text) <= width:
        return text
    room = max(width - len(ellipsis), 2)
    start = _leading(text, max(int(room * head), 1))
    return start + ellipsis + _leading(text[::-1], room - columns(start))[::-1]


def shorten_all(texts: Sequence[str], width: int, ellipsis: str) -> dict[str, str]:
    """Each text in at most ``width`` columns, cut where most of them stay different from each other."""
    cuts = [{text: shorten(text, width, ellipsis, head) for text in texts} for head in HEADS]
    return max(cuts, key=lambda cut: len(set(cut.values())))


def _leading(text: str, width: int) -> str:
    used = 0
    for index, character in enumerate(text):
        used += _cells(character)
        if used > width:
            return text[:index]
    return text


def columns(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return len(text) if text.isascii() else sum(_cells(character) for character in text)


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def nearest(name: str, known: Iterable[str]) -> str:
    """What to say to somebody who gave an unknown name: the nearest known one, else all of them."""
    choices = sorted(known)
    close = difflib.get_close_matches(name.lower(), [choice.lower() for choice in choices], n=1)
    if close:
        original = next(choice for choice in choices if choice.lower() == close[0])
        return f"did you mean '{original}'?"
    return f"choose one of {', '.join(choices)}"
