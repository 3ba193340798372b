"""Sample data from CSV, TSV and the like; only the chosen rows are kept."""

import csv
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from covscan.config.settings import Settings
from covscan.data.columns import of_columns
from covscan.data.contents import Contents
from covscan.data.lines import lines_of
from covscan.data.sampling import choose_rows
from covscan.errors import UsageError

_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})
_TRUTH = {"true": 1.0, "false": 0.0}
_DELIMITERS = "\t;,|"


def read_csv(path: Path, settings: Settings) -> Contents:
    """The columns of the table, as ``columns.of_columns`` says.

    The delimiter is the most frequent of tab, semicolon, comma and bar in the first line, else a comma or
    white space; a first line of numbers alone is data, and columns are then named by their place. Cells may
    be numbers, true/false, lists in JSON, or empty (NaN).
    """
    try:
        names, available = _survey(path)
        index = choose_rows(available, settings.samples, settings.seed)
        wanted = set(index.tolist())
        rows = [row for number, row in enumerate(_rows(path, names)) if number in wanted]
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        raise UsageError("unreadable-data", f"{str(path)!r} cannot be read as a table", found=str(error)) from error
    columns = {name: _column([row[place] for row in rows]) for place, name in enumerate(names)}
    return of_columns(columns, index, available, settings, path.name)


def _survey(path: Path) -> tuple[list[str], int]:
    """The names of the columns and how many rows of data there are."""
    with _open(path) as stream:
        first = next(_cells(stream, path), [])
    header = _is_header(first)
    names = [cell.strip() for cell in first] if header else [str(place) for place in range(len(first))]
    doubled = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubled:
        raise UsageError("unreadable-data", f"{str(path)!r} has two columns of one name", found=", ".join(doubled))
    return names, sum(1 for _ in _rows(path, names))


def _rows(path: Path, names: list[str]) -> Iterator[list[str]]:
    with _open(path) as stream:
        for number, row in enumerate(_cells(stream, path)):
            if number == 0 and _is_header(row):
                continue
            if len(row) != len(names):
                raise UsageError(
                    "unreadable-data",
                    f"{str(path)!r}: rows of different widths",
                    found=f"{len(row)} cells in row {number + 1}, {len(names)} columns in the first",
                    hint="quote cells that hold the delimiter",
                )
            yield row


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _cells(stream: TextIO, path: Path) -> Iterator[list[str]]:
    """The rows of the table, without empty lines and without comments at its head."""
    line = ""
    rest = lines_of(stream, path, packed=path.suffix == ".gz")
    for line in rest:
        if line.strip() and not line.startswith("#"):
            break
    else:
        return
    delimiter = max(_DELIMITERS, key=line.count)

    def lines() -> Iterator[str]:
        yield line
        yield from rest

    if delimiter not in line and '"' not in line and len(line.split()) > 1:
        yield from (cells for each in lines() if (cells := each.split()))
        return
    table = csv.reader(lines(), delimiter=delimiter if delimiter in line else ",", skipinitialspace=True)
    yield from (row for row in table if row)


def _is_header(cells: list[str]) -> bool:
    return any(isinstance(_column([cell]), list) and not cell.startswith("[") for cell in cells)


def _column(cells: list[str]) -> Any:
    """The cells as int64, as float64, as lists, or as the text they are."""
    if all(cell.lstrip().startswith("[") for cell in cells):
        try:
            return [json.loads(cell) for cell in cells]
        except (ValueError, RecursionError):
            return cells
    try:
        return np.array([int(cell) for cell in cells], np.int64)
    except (ValueError, OverflowError):
        pass
    try:
        return np.array([_number(cell.strip()) for cell in cells], np.float64)
    except ValueError:
        return cells


def _number(cell: str) -> float:
    lower = cell.lower()
    if lower in _MISSING:
        return float("nan")
    return _TRUTH[lower] if lower in _TRUTH else float(cell)
