"""What is asked of an insertion and what came of it. No torch, no numpy."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from covscan.surgery.difference import Difference
    from covscan.surgery.types import Insertion


@dataclass(frozen=True, slots=True)
class Request:
    """A normalization to put in, and the files to write; ``code`` is None for ONNX, which needs none."""

    site: str
    position: Literal["before", "after"]
    norm: str
    output: Path
    code: Path | None = None


@dataclass(frozen=True, slots=True)
class Training:
    """By how much batch statistics move the normalized tensor in training mode, root mean square, in its sd.

    ``expected`` for Gaussian values, ``independent`` rows in a batch; ``measured`` is None where the data holds no
    two batches.
    """

    batch_size: int
    independent: float
    expected: float
    measured: float | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished insertion. ``renamed`` are beginnings of keys, before and after; ``load`` says how to open it."""

    insertion: "Insertion"
    written: tuple[Path, ...]
    difference: "Difference"
    training: Training | None
    calibrated_on: int
    """Rows that mean and variance come from; 0 for a gate, which needs none."""
    renamed: tuple[tuple[str, str], ...]
    load: tuple[str, ...]
    notes: tuple[str, ...]
