"""What the readers of each kind of data hand over: runs of samples of one shape."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from covscan.config.settings import Settings
from covscan.data.arrays import Array
from covscan.data.mapped import MappedArray
from covscan.data.sampling import Index, choose_rows, empty
from covscan.data.structure import Structure, take_apart
from covscan.errors import UsageError


@dataclass(frozen=True, slots=True)
class Run:
    """Samples whose arrays have the same shapes, so that they can be cut into any batches.

    ``arrays`` follow ``structure.leaves``; those numbered in ``constants`` belong to every batch as a whole,
    axis 0 of the others is the row. ``rows`` (n,) are the rows that are read and ``index`` (n,) the samples'
    numbers in the data set, ascending. ``mask`` (rows, positions) is True at data where the reader padded
    ragged sequences.
    """

    structure: Structure
    arrays: tuple[Array | MappedArray, ...]
    constants: frozenset[int]
    rows: Index
    index: Index
    mask: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """An opened data set; ``target`` is the part that holds labels unless the user names another."""

    runs: tuple[Run, ...]
    description: str
    available: int | None
    target: str | None = None
    temporary: Path | None = None
    """A folder to delete once the samples are no longer needed."""


def of_arrays(value: Any, settings: Settings, description: str, *, target: str | None = None) -> Contents:
    """Contents of arrays that hold the whole data set, from which the samples are chosen."""
    structure, arrays = take_apart(value)
    count, constants = sample_count(structure, arrays)
    if count == 0:
        raise empty(description)
    if not any(array.size for array in arrays):
        raise UsageError("empty-data", f"{description}: the samples hold no values", hint="save arrays with values")
    rows = choose_rows(count, settings.samples, settings.seed)
    run = Run(structure, tuple(arrays), constants, rows, rows)
    return Contents((run,), describe_text(description, structure), count, target)


def of_chosen(
    value: Any,
    index: Index,
    available: int,
    description: str,
    mask: npt.NDArray[np.bool_] | None = None,
    target: str | None = None,
) -> Contents:
    """Contents of arrays that hold the chosen samples only, ``index`` being their numbers in the data set."""
    structure, arrays = take_apart(value)
    _, constants = sample_count(structure, arrays)
    run = Run(structure, tuple(arrays), constants, np.arange(len(index), dtype=np.int64), index, mask)
    return Contents((run,), description, available, target)


def sample_count(structure: Structure, arrays: Sequence[Array | MappedArray]) -> tuple[int, frozenset[int]]:
    """How many samples the arrays hold, and which are constants: 0-d, or one value beside many samples.

    Raises UsageError where the arrays disagree, or where none has a sample axis.
    """
    lengths = {len(array) for array in arrays if array.ndim and array.size != 1}
    lengths = lengths or {len(array) for array in arrays if array.ndim}
    shapes = zip(structure.leaves, arrays, strict=True)
    found = ", ".join(f"{name} {array.shape}" for name, array in list(shapes)[:12])
    if not lengths:
        raise UsageError(
            "bad-batch",
            "the data has no array with a sample axis",
            found=found or "no arrays at all",
            hint="axis 0 of every array is the sample",
        )
    if len(lengths) > 1:
        raise UsageError(
            "unequal-lengths",
            "the arrays of the data hold different numbers of samples",
            found=found,
            hint="axis 0 of every array is the sample; what is the same for all samples must be a 0-d array",
        )
    count = lengths.pop()
    return count, frozenset(place for place, array in enumerate(arrays) if array.shape[:1] != (count,))


def describe_text(description: str, structure: Structure) -> str:
    """Say which text was left out."""
    return f"{description}, without the text in {', '.join(structure.text)}" if structure.text else description
