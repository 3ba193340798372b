"""Sequences of different lengths as one padded array and its mask."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from covscan.data.arrays import Array
from covscan.data.masks import Mask
from covscan.errors import UsageError


def pad(rows: Sequence[Any], name: str, labels: Sequence[str]) -> tuple[Array, Mask | None]:
    """Stack rows (length, ...) into (rows, longest, ...), zeros at the end, with True where there is data.

    The mask is None where all rows are of one length. Integers stay integers (int64) if no row holds a float.
    ``labels`` name the rows in error messages. Raises UsageError where rows differ in more than their length.
    """
    arrays = [_row(row, name, label) for row, label in zip(rows, labels, strict=True)]
    filled = [array for array in arrays if array.size] or arrays[:1]
    for array, label in zip(arrays, labels, strict=True):
        if array.size and array.shape[1:] != filled[0].shape[1:]:
            raise UsageError(
                "bad-array",
                f"{name}, {label}: rows may differ in length only",
                found=f"shape {array.shape} after {filled[0].shape}",
                hint="give all rows the same inner shape",
            )
    lengths = np.array([len(array) for array in arrays])
    dtype = np.result_type(*{array.dtype for array in filled})
    padded = np.zeros((len(arrays), int(lengths.max()), *filled[0].shape[1:]), dtype)
    for place, array in enumerate(arrays):
        if array.size:
            padded[place, : len(array)] = array
    if (lengths == lengths[0]).all():
        return padded, None
    return padded, np.arange(padded.shape[1]) < lengths[:, None]


def _row(row: Any, name: str, label: str) -> Array:
    try:
        array = np.asarray(row)
        if array.dtype == object:
            array = np.asarray(row, np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        found = "sequences of different lengths inside, or something else than numbers"
        raise UsageError("bad-array", f"{name}, {label}: not an array of numbers", found=found) from error
    if array.dtype.kind not in "biuf" or array.ndim == 0:
        raise UsageError("bad-array", f"{name}, {label}: not a list of numbers", found=repr(row)[:60])
    return array
