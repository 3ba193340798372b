"""Read safetensors files, single and sharded; their tensors stay on disk until they are used."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from covscan.errors import UsageError
from covscan.models.detection import truncated
from covscan.models.formats import Saved
from covscan.models.room import unmapped
from covscan.models.steps import counters_in, trainer_state


def read_safetensors(saved: Saved, *, trust: bool = False) -> dict[str, torch.Tensor]:
    """Every tensor by its name, memory-mapped. Raises UsageError, which names the shard."""
    tensors: dict[str, torch.Tensor] = {}
    for path in saved.weights:
        tensors |= _tensors(path)
    return tensors


def stated_steps(saved: Saved, *, trust: bool = False) -> dict[str, int]:
    """The training counters in the files' ``__metadata__``, or in the trainer's state beside them."""
    found = trainer_state(saved.path)
    for path in saved.weights:
        found |= counters_in(_metadata(path))
    return found


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _metadata(path: Path) -> dict[str, Any]:
    with _opened(path) as file:
        return dict(file.metadata() or {})


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise unmapped(path, error) or _explain(path, error) from error
    except RuntimeError as error:  # torch's own, where there is no room for the map
        raise unmapped(path, error) or error from error


def _explain(path: Path, error: Exception) -> UsageError:
    text = str(error)
    if path.is_file():
        return truncated(path, text)
    return UsageError("unreadable-file", f"{str(path)!r} cannot be read", found=text)
