"""Values as TOML: made by hand, since what is written has comments and an order that tell the reader something."""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

WIDTH = 100
"""A list that takes more columns has one value a line."""
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SHORT = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def assignment(key: str, value: Any) -> str:
    """``key = value``; a long list is broken into lines. Raises ValueError for what TOML cannot say."""
    line = f"{_key(key)} = {to_toml(value)}"
    if len(line) <= WIDTH or not isinstance(value, list | tuple):
        return line
    rows = "".join(f"    {to_toml(each)},\n" for each in value)
    return f"{_key(key)} = [\n{rows}]"


def to_toml(value: Any) -> str:
    """A value on one line. Raises ValueError for what TOML cannot say: None, and text that is no Unicode."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(str(key))} = {to_toml(each)}" for key, each in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(to_toml, value))}]"
    raise ValueError(f"TOML has no {'null' if value is None else type(value).__name__}")


def _key(text: str) -> str:
    return text if _BARE.fullmatch(text) else _string(text)


def _string(text: str) -> str:
    return f'"{"".join(_SHORT.get(character) or _character(character) for character in text)}"'


def _character(character: str) -> str:
    """The character, or its number where it shows nothing or moves the cursor."""
    code = ord(character)
    if 0xD800 <= code <= 0xDFFF:
        raise ValueError("TOML has no text that is no Unicode")
    if character.isprintable():
        return character
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
