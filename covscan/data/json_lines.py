"""Sample data from JSON Lines: lists of numbers or token ids, numbers, or objects with named fields."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from covscan.config.settings import Settings
from covscan.data.columns import to_arrays
from covscan.data.contents import Contents, of_chosen
from covscan.data.lines import lines_of
from covscan.data.sampling import choose_rows
from covscan.errors import UsageError


def read_json_lines(path: Path, settings: Settings) -> Contents:
    """One sample a line; empty lines are no samples. Only the chosen lines are parsed.

    Fields keep their names; lists alone have none. Integers alone stay integers (token ids). Lists of
    different lengths are padded at the end with 0, and the first padded field gives the mask. Raises
    UsageError that names the line.
    """
    try:
        available = sum(1 for _ in _lines(path))
        index = choose_rows(available, settings.samples, settings.seed)
        wanted = set(index.tolist())
        chosen = [line for number, line in enumerate(_lines(path)) if number in wanted]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("unreadable-data", f"{str(path)!r} cannot be read as text", found=str(error)) from error
    values = [_parse(path, number, line) for number, line in chosen]
    labels = [f"line {number} of {path.name}" for number, _ in chosen]
    description = f"{path.name}: {available} lines"
    if isinstance(values[0], dict):
        columns = _fields(values, labels)
        arrays, mask = to_arrays(columns, settings.target, labels)
        description += f", {', '.join(arrays)}"
        return of_chosen(arrays, index, available, _padded(description, mask), mask)
    wrong = next((place for place, value in enumerate(values) if not isinstance(value, list | int | float)), None)
    if wrong is not None:
        raise _bad_line(labels[wrong], f"{type(values[wrong]).__name__} {values[wrong]!r}"[:60])
    arrays, mask = to_arrays({"each line": values}, None, labels)
    return of_chosen(arrays["each line"], index, available, _padded(description, mask), mask)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with their numbers from 1."""
    with path.open(encoding="utf-8-sig") as stream:
        yield from ((number, line) for number, line in enumerate(lines_of(stream, path), 1) if line.strip())


def _parse(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _bad_line(f"line {number} of {path.name}", str(error)) from error


def _fields(values: list[Any], labels: list[str]) -> dict[str, list[Any]]:
    names = list(values[0])
    for value, label in zip(values, labels, strict=True):
        if not isinstance(value, dict) or set(value) != set(names):
            found = ", ".join(map(str, value)) if isinstance(value, dict) else type(value).__name__
            raise _bad_line(label, f"{found}, where {labels[0]} has {', '.join(names)}")
    return {name: [value[name] for value in values] for name in names}


def _bad_line(label: str, found: str) -> UsageError:
    return UsageError(
        "bad-line",
        f"{label} is not a sample like the others",
        found=found,
        hint="every line is a list of numbers, or an object with the same fields",
    )


def _padded(description: str, mask: Any) -> str:
    return description if mask is None else f"{description}, padded to one length and masked"
