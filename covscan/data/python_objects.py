"""Sample data from Python: arrays, mappings, data sets, iterables, and functions that return one of these."""

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from covscan.config.loading import load_object
from covscan.config.settings import Settings
from covscan.data.arrays import is_array
from covscan.data.contents import Contents, describe_text, of_arrays
from covscan.data.sampling import choose_rows, empty
from covscan.data.spool import Spool, spool_batches
from covscan.data.structure import Structure
from covscan.data.user_code import user_code
from covscan.errors import UsageError

Reopen = Callable[[str], Contents]


def read_function(spec: str, settings: Settings, open_path: Reopen) -> Contents:
    """Contents of what ``file.py:function`` returns or, if it is no function, of the object itself."""
    return read_object(load_object(spec, what="--data"), settings, open_path, name=spec)


def read_object(value: Any, settings: Settings, open_path: Reopen | None = None, name: str = "") -> Contents:
    """Contents of a Python object.

    A tuple of arrays, a list of arrays of one length and different kinds, an array and a mapping of arrays
    hold the whole data set. A torch ``Dataset`` yields samples: of one with a length the samples are chosen
    by seed. Any other iterable yields batches, of which the first samples are read, as they are of data sets
    without a length. A function is called without arguments, once. Raises UsageError.
    """
    label = name or f"a {type(value).__name__} from Python"
    if _is_function(value):
        with user_code(label, settings.seed):
            made = value()
        return read_object(made, settings, open_path, name=name or f"{_name(value)}()")
    if isinstance(value, str | Path) and open_path is not None:
        return open_path(str(value))
    if _is_frame(value):
        from covscan.data.columns import of_columns

        columns = {str(column): value[column].to_numpy() for column in value.columns}
        index = choose_rows(len(value), settings.samples, settings.seed)
        return of_columns({key: array[index] for key, array in columns.items()}, index, len(value), settings, label)
    if _is_whole(value):
        return of_arrays(value, settings, label)
    if _yields_samples(value):
        return _samples_of(value, settings, label)
    if isinstance(value, Iterable):
        return _batches_of(value, settings, label)
    raise UsageError(
        "unreadable-data",
        f"{label} is no sample data",
        found=f"{type(value).__module__}.{type(value).__qualname__}",
        hint="give arrays, a mapping of arrays, a DataLoader, an iterable of batches, or a function of one",
    )


def _is_function(value: Any) -> bool:
    return isinstance(value, type) or (
        callable(value) and not hasattr(value, "__iter__") and not _yields_samples(value)
    )


def _name(value: Any) -> str:
    return str(getattr(value, "__qualname__", type(value).__qualname__))


def _is_frame(value: Any) -> bool:
    """Whether it is a pandas DataFrame, or one like it."""
    return hasattr(value, "columns") and hasattr(value, "to_numpy")


def _is_whole(value: Any) -> bool:
    """Whether the object holds every sample itself: an array, a tuple or mapping of them, numbers."""
    if isinstance(value, tuple):
        return bool(value) and all(is_array(part) or part is None for part in value)
    if isinstance(value, list):
        return _leads_to_number(value) or _is_inputs_and_labels(value)
    return is_array(value) or isinstance(value, Mapping)


def _is_inputs_and_labels(values: list[Any]) -> bool:
    """Whether a list holds arrays of one length but of different kinds, which batches never are."""
    if len(values) < 2 or not all(is_array(value) for value in values):
        return False
    return len({value.shape[:1] for value in values}) == 1 and len({(value.ndim, value.dtype) for value in values}) > 1


def _leads_to_number(value: Any) -> bool:
    while isinstance(value, list) and value:
        value = value[0]
    return isinstance(value, int | float)


def _yields_samples(value: Any) -> bool:
    """Whether it is a data set of torch or of Hugging Face, whose items are single samples."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.utils.data.Dataset):
        return True
    return type(value).__module__.partition(".")[0] == "datasets" and hasattr(value, "__iter__")


def _samples_of(value: Any, settings: Settings, label: str) -> Contents:
    if not hasattr(value, "__len__") or not hasattr(value, "__getitem__"):
        return _batches_of(value, settings, label, single=True)
    with user_code(label, settings.seed):
        available = len(value)
    if available == 0:
        raise empty(label)
    structure: Structure | None = None
    with Spool() as spool:
        for index in choose_rows(available, settings.samples, settings.seed).tolist():
            with user_code(f"sample {index} of {label}", settings.seed + index):
                sample = value[index]
            structure = spool.add(sample, 1, single=True, index=index)
        return _contents(spool, structure, label, available)


def _batches_of(value: Iterable[Any], settings: Settings, label: str, *, single: bool = False) -> Contents:
    with Spool() as spool:
        with user_code(label, settings.seed):
            iterator = iter(value)
            structure = spool_batches(iterator, spool, settings.samples, single=single)
            if hasattr(iterator, "close"):
                iterator.close()
        if spool.count == 0:
            raise empty(label)
        return _contents(spool, structure, label, None)


def _contents(spool: Spool, structure: Structure | None, label: str, available: int | None) -> Contents:
    description = label if structure is None else describe_text(label, structure)
    return Contents(spool.runs(), description, available, temporary=spool.folder)
