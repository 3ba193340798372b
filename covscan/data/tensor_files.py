"""Sample data that torch or safetensors wrote; never runs code from the file."""

import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from covscan.config.settings import Settings
from covscan.data.arrays import is_array
from covscan.data.contents import Contents, of_arrays
from covscan.data.python_objects import read_object
from covscan.errors import UsageError

_BLOCKED = re.compile(r"(?:Unsupported global: GLOBAL|Unsupported class|Blocked) ([\w.]+)")


def read_torch(path: Path, settings: Settings) -> Contents:
    """The tensor, the tuple or list of tensors, or the dict of tensors in the file; or a list of batches."""
    value = _load(path)
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
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            "unreadable-data",
            f"{str(path)!r} cannot be read as safetensors",
            found=str(error),
            hint="the file may be cut short: write it again",
        ) from error
    return of_arrays(tensors, settings, f"{path.name}: {', '.join(tensors)}")


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
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            "unreadable-data",
            f"{str(path)!r} cannot be read by torch.load",
            found=(str(error).splitlines() or [type(error).__name__])[0],
            hint="the file may be cut short: write it again",
        ) from error


def _load_tensors(path: Path) -> Any:
    """Mapped from disk where the format allows that; what torch warns of is either an error afterwards or nothing."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap" not in str(error):
                raise
            return torch.load(path, map_location="cpu", weights_only=True)
