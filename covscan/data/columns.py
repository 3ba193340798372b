"""The columns of a table, or the fields of its lines, as arrays."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from covscan.config.settings import Settings
from covscan.data.arrays import Array
from covscan.data.contents import Contents, of_chosen
from covscan.data.masks import Mask
from covscan.data.ragged import pad
from covscan.data.sampling import Index
from covscan.errors import UsageError

LABEL_COLUMNS = ("target", "targets", "label", "labels", "class")
_ROW_NUMBERS = ("", "Unnamed: 0", "__index_level_0__")


def of_columns(
    columns: Mapping[str, Any], index: Index, available: int, settings: Settings, description: str
) -> Contents:
    """Contents of a table, of which ``columns`` holds the chosen rows.

    Columns of lists are arrays by name, ragged ones padded at the end. In a table of numbers alone the
    columns become one float32 array "features" (rows, columns) in their order, without the labels and the
    mask; beside columns of lists each keeps its name. Labels are what ``--target`` names, else a column
    called label, target or class. Row numbers that pandas wrote are left out. Raises UsageError.
    """
    known = {name: values for name, values in columns.items() if name not in _ROW_NUMBERS or name == settings.target}
    target = settings.target or next((name for name in known if name.lower() in LABEL_COLUMNS), None)
    labels = [f"row {number}" for number in index]
    arrays, mask = to_arrays(known, target, labels)
    joined = [name for name, array in arrays.items() if array.ndim == 1 and name not in (target, settings.mask)]
    if joined and not any(array.ndim > 1 and name != settings.mask for name, array in arrays.items()):
        features = np.column_stack([arrays.pop(name).astype(np.float32) for name in joined])
        arrays = {"features": features, **arrays}
    notes = [f"{available} rows", f"{len(known)} columns"]
    if target in known and settings.target is None:
        notes.append(f"column {target!r} taken as labels")
    if len(known) < len(columns):
        notes.append("row numbers left out")
    return of_chosen(arrays, index, available, f"{description}: {', '.join(notes)}", mask, target)


def to_arrays(
    columns: Mapping[str, Any], target: str | None, labels: Sequence[str]
) -> tuple[dict[str, Array], Mask | None]:
    """Each column as an array, and the mask of the first column that had to be padded.

    Text labels become the numbers of the sorted distinct texts. Other text is an error that names all such
    columns.
    """
    arrays: dict[str, Array] = {}
    mask: Mask | None = None
    text = []
    for name, values in columns.items():
        first = next((value for value in values if value is not None), None)
        if isinstance(first, str | bytes):
            text.append(name)
            arrays[name] = np.unique([str(value) for value in values], return_inverse=True)[1].astype(np.int64)
        elif isinstance(first, list | tuple | np.ndarray):
            arrays[name], padding = pad(values, name, labels)
            mask = padding if mask is None else mask
        else:
            arrays[name] = _numbers(values, name)
    if set(text) - {target}:
        names = ", ".join(repr(name) for name in text if name != target)
        raise UsageError(
            "text-column",
            f"the data has text in {names}",
            hint="leave it out, turn it into numbers or token ids, or name labels with --target",
        )
    return arrays, mask


def _numbers(values: Any, name: str) -> Array:
    """A column of numbers; missing values are NaN."""
    try:
        array = np.asarray(values)
        if array.dtype == object:
            array = array.astype(np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise UsageError("bad-array", f"column {name!r} does not hold numbers", found=str(error)) from error
    if array.dtype.kind not in "biuf":
        raise UsageError("bad-array", f"column {name!r} does not hold numbers", found=str(array.dtype))
    return array
