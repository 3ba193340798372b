"""The training counters that a checkpoint states about itself, and which of them order a series."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from covscan.errors import UsageError
from covscan.memory import read_whole

_LARGEST = 1 << 28  # bytes; the Trainer logs a few lines for each step

COUNTERS = (
    "global_step",
    "step",
    "steps",
    "current_step",
    "iteration",
    "iterations",
    "iter",
    "iter_num",
    "n_iter",
    "num_iterations",
    "num_updates",
    "epoch",
    "current_epoch",
    "epochs",
)
"""Names of counters, the one that tells most first."""


def counters_in(stated: Mapping[Any, Any]) -> dict[str, int]:
    """The entries of ``stated`` that are counters: whole numbers, or text or tensors that hold one."""
    found = {name: _whole(stated[name]) for name in COUNTERS if name in stated}
    return {name: value for name, value in found.items() if value is not None}


def trainer_state(path: Path) -> dict[str, int]:
    """The counters in the ``trainer_state.json`` that Hugging Face's Trainer leaves beside the weights."""
    file = (path if path.is_dir() else path.parent) / "trainer_state.json"
    if not file.is_file():
        return {}
    try:
        content = json.loads(read_whole(file, _LARGEST))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            "unreadable-file", f"{str(file)!r} is no trainer state", found=f"{type(error).__name__}: {error}"
        ) from error
    return counters_in(content) if isinstance(content, Mapping) else {}


def common_counter(stated: Sequence[Mapping[str, int]]) -> list[int] | None:
    """The values of the first counter that every checkpoint states and no two state alike."""
    for name in COUNTERS:
        values = [each[name] for each in stated if name in each]
        if len(values) == len(stated) == len(set(values)):
            return values
    return None


def _whole(value: Any) -> int | None:
    if hasattr(value, "item") and getattr(value, "numel", lambda: value.size)() == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
        return round(number) if number == round(number) else None
    except (ValueError, OverflowError):
        return None
