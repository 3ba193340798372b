"""The settings of one measurement, already parsed and checked for what can be checked without opening a file."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

Device = Literal["auto", "cpu", "cuda", "mps"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one run of covscan measures, and on what."""

    model: str | Callable[..., Any] | None = None
    """``package.module:function``, ``file.py:function``, or (from Python) the factory itself."""
    model_args: tuple[tuple[str, Any], ...] = ()
    """Keyword arguments of the factory, in the order given."""
    checkpoints: tuple[str, ...] = ()
    """Paths, globs and directories as the user gave them, in that order."""
    trust: bool = False
    """Allow a whole pickled module to be unpickled, which runs code from the file."""
    data: str | Iterable[Any] | Callable[..., Any] | None = None
    """A path, ``file.py:function``, or (from Python) arrays, a mapping of arrays, or an iterable of batches."""
    target: str | None = None
    """Name of the array that holds the labels."""
    mask: str | None = None
    """Name of the array that says which positions hold data (non-zero) and which are padding (zero)."""
    samples: int = 512
    """At most this many samples are read, chosen by ``seed``."""
    batch_size: int = 32
    seed: int = 0
    device: Device = "auto"
    positions: int | None = 32
    """Positions (pixels, tokens) read per sample and site; None reads all of them."""
    sites: tuple[str, ...] = ()
    """Globs of site names to keep; empty keeps all."""
    exclude: tuple[str, ...] = ()
    """Globs of site names to leave out."""
    train_batch_size: int | None = None
    """The per-device batch size of the user's training, which decides between batch and other normalizations."""
    per_channel: bool = False
    """Write per-channel statistics into the report as well."""
