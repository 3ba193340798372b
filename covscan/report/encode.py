"""Writes a report as JSON that people can read and diff."""

import json
import math
from collections.abc import Iterator
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
    return "".join(_lines(value, "$", "")) + "\n"


def _lines(value: Any, path: str, indent: str) -> Iterator[str]:
    entries = _entries(value, path)
    if entries is None:
        yield _scalar(value, path)
        return
    is_object = isinstance(value, dict | Struct)
    opening, closing = "{}" if is_object else "[]"
    if not any(_is_container(entry) for _, _, entry in entries):
        yield opening + ", ".join(label + _scalar(entry, where) for label, where, entry in entries) + closing
        return
    deeper = indent + INDENT
    separator = "\n"
    yield opening
    for label, where, entry in entries:
        yield f"{separator}{deeper}{label}"
        yield from _lines(entry, where, deeper)
        separator = ",\n"
    yield f"\n{indent}{closing}"


def _entries(value: Any, path: str) -> list[tuple[str, str, Any]] | None:
    """(label to write, path, value) of what a container holds; None for a scalar."""
    if isinstance(value, Struct):
        names = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
        fields = [(encoded, getattr(value, name)) for encoded, name in names]
        return [(_key(name), f"{path}.{name}", entry) for name, entry in fields if entry is not UNSET]
    if isinstance(value, dict):
        return [(_key(name), f"{path}.{name}", entry) for name, entry in value.items()]
    if isinstance(value, list | tuple):
        return [("", f"{path}[{index}]", entry) for index, entry in enumerate(value)]
    return None


def _is_container(value: Any) -> bool:
    return isinstance(value, dict | list | tuple | Struct)


def _key(name: Any) -> str:
    return f"{_text(str(name))}: "


def _scalar(value: Any, path: str) -> str:
    if isinstance(value, float):
        return _number(float(value), path)
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, int):
        return json.dumps(value)
    raise ValueError(f"the report holds a {type(value).__name__} at {path}, which JSON cannot hold")


def _number(value: float, path: str) -> str:
    if not math.isfinite(value):
        raise ValueError(f"the report holds {value} at {path}; what could not be measured is null with a status")
    return repr(rounded(value))


def rounded(value: float) -> float:
    """The value as it reads once it was written: what a run measured equals what its report says."""
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") + 0.0  # -0.0 becomes 0.0, its equal


def _text(value: str) -> str:
    """A JSON string; a lone surrogate, from an undecodable file name, is spelled out."""
    return json.dumps(value.encode("utf-8", "backslashreplace").decode("utf-8"), ensure_ascii=False)
