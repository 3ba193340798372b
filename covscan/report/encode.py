"""Writes a report as JSON that people can read and diff."""

import math
from collections.abc import Iterable
from functools import cache, lru_cache
from json.encoder import encode_basestring
from typing import Any

from msgspec import UNSET, Struct

INDENT = "  "
SIGNIFICANT_DIGITS = 6


def to_json(value: Struct | dict[str, Any] | list[Any]) -> str:
    """Write a report (or another record, or plain objects and arrays) as JSON text that ends in a newline.

    Keys stand in declared order, floats have 6 significant digits, and an object or array of scalars takes
    one line; equal records give equal text. Raises ValueError naming the path where a value is not one that
    the contract allows (NaN, infinity, a foreign type): that is a bug in whatever made the record.
    """
    pieces: list[str] = []
    try:
        _write(value, "", pieces)
    except _FaultError as fault:
        raise ValueError(fault.says("$" + "".join(reversed(fault.steps)))) from None
    pieces.append("\n")
    return "".join(pieces)


class _FaultError(Exception):
    """A value that JSON cannot hold; ``steps`` lead to it, the last one first."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.steps: list[str] = []

    def says(self, path: str) -> str:
        """The message, with where it is."""
        return self._text.format(path=path)


def _write(value: Any, indent: str, pieces: list[str]) -> None:
    """Add the text of ``value`` to ``pieces``."""
    if not isinstance(value, _CONTAINERS):
        pieces.append(_scalar(value))
        return
    is_array = isinstance(value, list | tuple)
    opening, closing = "[]" if is_array else "{}"
    entries = list(_entries(value))
    label: Any = ""
    try:
        if not any(isinstance(entry, _CONTAINERS) for _, entry in entries):
            texts = []
            for label, entry in entries:
                texts.append(_scalar(entry) if is_array else _key(str(label)) + _scalar(entry))
            pieces.append(opening + ", ".join(texts) + closing)
            return
        deeper = indent + INDENT
        separator = opening + "\n" + deeper
        for label, entry in entries:
            pieces.append(separator if is_array else separator + _key(str(label)))
            _write(entry, deeper, pieces)
            separator = ",\n" + deeper
        pieces.append(f"\n{indent}{closing}")
    except _FaultError as fault:
        fault.steps.append(f"[{label}]" if is_array else f".{label}")
        raise


_CONTAINERS = (Struct, dict, list, tuple)
_WORDS = {None: "null", True: "true", False: "false"}


def _entries(container: Any) -> Iterable[tuple[Any, Any]]:
    """The keys or places of what ``container`` holds, and what it holds there."""
    if isinstance(container, Struct):
        fields = ((name, getattr(container, field)) for name, field in _fields(type(container)))
        return ((name, entry) for name, entry in fields if entry is not UNSET)
    return container.items() if isinstance(container, dict) else enumerate(container)


@cache
def _fields(kind: type[Struct]) -> tuple[tuple[str, str], ...]:
    """Under which name each field is written."""
    return tuple(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))


@lru_cache(4096)
def _key(name: str) -> str:
    return f"{_text(name)}: "


def _scalar(value: Any) -> str:
    if isinstance(value, float):
        return _number(float(value))
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool):
        return _WORDS[value]
    if isinstance(value, int):
        return int.__repr__(value)
    raise _FaultError(f"the report holds a {type(value).__name__} at {{path}}, which JSON cannot hold")


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise _FaultError(f"the report holds {value} at {{path}}; what could not be measured is null with a status")
    return repr(rounded(value))


def rounded(value: float) -> float:
    """The value as it reads once it was written: what a run measured equals what its report says."""
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") + 0.0  # -0.0 becomes 0.0, its equal


def _text(value: str) -> str:
    """A JSON string; a lone surrogate, from an undecodable file name, is spelled out."""
    return encode_basestring(value.encode("utf-8", "backslashreplace").decode("utf-8"))
