"""Sample data that torch or safetensors wrote; never runs code from the file."""

import json
import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from covscan.config.settings import Settings
from covscan.containers import check_containers
from covscan.data.arrays import is_array
from covscan.data.contents import Contents, of_arrays
from covscan.data.mapped import MappedArray
from covscan.data.python_objects import read_object
from covscan.errors import UsageError

_BLOCKED = re.compile(r"(?:Unsupported global: GLOBAL|Unsupported class|Blocked) ([\w.]+)")
_DTYPES = {
    **{f"F{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    **{f"I{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"U{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    "BOOL": np.dtype(np.bool_),
}


def read_torch(path: Path, settings: Settings) -> Contents:
    """The tensor, the tuple or list of tensors, or the dict of tensors in the file; or a list of batches."""
    value = _plain(_load(path))
    if isinstance(value, list) and value and all(is_array(part) for part in value):
        value = tuple(value)
    if not (is_array(value) or isinstance(value, Mapping | tuple | list)):
        raise UsageError(
            "unreadable-data",
            f"{str(path)!r} holds no tensors",
            found=type(value).__qualname__,
            hint="save a tensor, a tuple of tensors or a dict of tensors",
        )
    return read_object(value, settings, name=path.name)


def read_safetensors(path: Path, settings: Settings) -> Contents:
    """The tensors of the file by name, mapped from disk."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        places = _places(path)
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            "unreadable-data",
            f"{str(path)!r} cannot be read as safetensors",
            found=str(error),
            hint="the file may be cut short: write it again",
        ) from error
    return of_arrays({**tensors, **places}, settings, f"{path.name}: {', '.join(tensors)}")


def _places(path: Path) -> dict[str, MappedArray]:
    """Where the arrays that numpy has a type for lie in a checked file: a length, a header in JSON, then data."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    return {
        name: MappedArray(path, _DTYPES[entry["dtype"]], tuple(entry["shape"]), 8 + length + entry["data_offsets"][0])
        for name, entry in header.items()
        if entry.get("dtype") in _DTYPES and entry["shape"]
    }


def _load(path: Path) -> Any:
    try:
        return _load_tensors(path)
    except pickle.UnpicklingError as error:
        blocked = _BLOCKED.search(str(error))
        raise UsageError(
            "unreadable-data",
            f"{str(path)!r} holds more than tensors in tuples, lists and dicts",
            found=blocked[1] if blocked else str(error).splitlines()[0],
            hint="save plain tensors; covscan never unpickles objects from sample data",
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # an unpickler that meets other bytes than it was made for raises anything
        raise UsageError(
            "unreadable-data",
            f"{str(path)!r} cannot be read by torch.load",
            found=(str(error).splitlines() or [type(error).__name__])[0],
            hint="the file may be cut short: write it again",
        ) from error


def _plain(value: Any) -> Any:
    """The value with dicts for mappings of other kinds, to which a pickle may have given attributes of its own."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    return value


def _load_tensors(path: Path) -> Any:
    """Mapped from disk where the format allows that; what torch warns of is either an error afterwards or nothing."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap" not in str(error):
                raise
            value = torch.load(path, map_location="cpu", weights_only=True)
    check_containers(value)
    return value
