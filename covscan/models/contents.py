"""Read the weights of a saved checkpoint, whatever its format."""

import contextlib
import dataclasses
from typing import Any

from covscan.memory import bounded
from covscan.models import READERS, STEPS
from covscan.models.detection import detect
from covscan.models.formats import Saved
from covscan.models.steps import trainer_state
from covscan.registry import resolve


def read(saved: Saved, *, trust: bool) -> Any:
    """What the checkpoint holds: tensors by name, maybe inside other mappings; a module if trusted."""
    with _bounded(saved, trust):
        return resolve(READERS[saved.format])(saved, trust=trust)


def stated_steps(saved: Saved, *, trust: bool) -> dict[str, int]:
    """The training counters that the checkpoint states about itself. A damaged file shows here."""
    with _bounded(saved, trust):
        found: dict[str, int] = resolve(STEPS[saved.format])(saved, trust=trust)
    return found


def _bounded(saved: Saved, trust: bool) -> contextlib.AbstractContextManager[None]:
    """What is trusted may do what it likes, so it may take what it likes."""
    if saved.format != "onnx":
        import torch  # noqa: F401 - its own import is not to count

    if trust:
        return contextlib.nullcontext()
    return bounded(sum(path.stat().st_size for path in saved.weights if path.is_file()), repr(str(saved.path)))


def read_folder(saved: Saved, *, trust: bool = False) -> Any:
    """The weights in a Hugging Face directory."""
    return read(_weights_of(saved), trust=trust)


def folder_steps(saved: Saved, *, trust: bool = False) -> dict[str, int]:
    """The counters of a Hugging Face directory: those of its weights, and the trainer's."""
    return trainer_state(saved.path) | stated_steps(_weights_of(saved), trust=trust)


def _weights_of(saved: Saved) -> Saved:
    return dataclasses.replace(saved, format=detect(saved.weights[0]) or "torch")
