"""On which line each key of a TOML file stands; tomllib does not say."""

import re
from collections.abc import Mapping
from typing import NamedTuple

Key = tuple[str | int, ...]
"""Names of tables and keys from the outside in; a number is a place in an array of tables, from 0."""

_STRING = r"""\"{3}(?:\\[\s\S]|[^\\])*?\"{3,5}|'{3}[\s\S]*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'"""
_PART = re.compile(rf"[ \t]*(?P<part>{_STRING}|[A-Za-z0-9_-]+)[ \t]*(?P<dot>\.?)")
_IN_VALUE = re.compile(rf"{_STRING}|#[^\n]*|[\[\]{{}}\n]|[^\[\]{{}}\n#\"']+")
_BETWEEN = re.compile(r"(?:\s|#[^\n]*)*")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_SHORT = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


class _Dotted(NamedTuple):
    """A dotted key and where the text behind it begins."""

    parts: tuple[str, ...]
    end: int


def key_lines(text: str) -> Mapping[Key, int]:
    """The line, from 1, of each table and of each key that a line of its own defines.

    ``text`` is TOML that tomllib has read, so that nothing is checked here. Keys inside inline tables and arrays have
    no line of their own: look for the longest key above them that has one.
    """
    lines: dict[Key, int] = {}
    counts: dict[Key, int] = {}
    table: Key = ()
    line, counted = 1, 0
    place = _skip(text, 0)
    while place < len(text):
        line, counted = line + text.count("\n", counted, place), place
        if text[place] == "[":
            several = text.startswith("[[", place)
            dotted = _dotted(text, place + 1 + several)
            table = _located(dotted.parts, counts, several)
            place = text.index("]", dotted.end) + 1 + several
        else:
            dotted = _dotted(text, place)
            _put(lines, (*table, *dotted.parts), line)
            place = _behind_value(text, text.index("=", dotted.end) + 1)
        _put(lines, table, line)
        place = _skip(text, place)
    return lines


def _put(lines: dict[Key, int], key: Key, line: int) -> None:
    """Note a key, and the tables around it that nothing has named before."""
    for length in range(1, len(key) + 1):
        lines.setdefault(key[:length], line)


def _located(parts: tuple[str, ...], counts: dict[Key, int], several: bool) -> Key:
    """A table's key with the place in each array of tables on the way; a double bracket begins the next place."""
    found: Key = ()
    for index, part in enumerate(parts):
        found = (*found, part)
        if several and index == len(parts) - 1:
            counts[found] = counts.get(found, -1) + 1
        if found in counts:
            found = (*found, counts[found])
    return found


def _dotted(text: str, place: int) -> _Dotted:
    parts: list[str] = []
    while True:
        match = _PART.match(text, place)
        assert match is not None, "TOML that tomllib has read"
        parts.append(_plain(match["part"]))
        place = match.end()
        if not match["dot"]:
            return _Dotted(tuple(parts), place)


def _plain(part: str) -> str:
    if part.startswith("'"):
        return part[1:-1]
    return _ESCAPE.sub(_unescaped, part[1:-1]) if part.startswith('"') else part


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    return chr(int(code, 16)) if code else _SHORT.get(match[3], match[3])


def _behind_value(text: str, place: int) -> int:
    """Behind the line break that ends a value: the first one outside of strings and brackets."""
    depth = 0
    while place < len(text):
        match = _IN_VALUE.match(text, place)
        assert match is not None, "TOML that tomllib has read"
        depth += (match[0] in {"[", "{"}) - (match[0] in {"]", "}"})
        place = match.end()
        if match[0] == "\n" and depth == 0:
            break
    return place


def _skip(text: str, place: int) -> int:
    """Over white space, line breaks and comments."""
    match = _BETWEEN.match(text, place)
    return match.end() if match is not None else place
