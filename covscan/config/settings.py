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
    reference_data: str | Iterable[Any] | Callable[..., Any] | None = None
    """As ``data``: what they are compared with, through one checkpoint; None compares checkpoints."""
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
    loss: str | Callable[..., Any] | None = None
    """``cross_entropy``, ``mse``, ``bce``, ``file.py:function`` or (from Python) a function of output and target."""
    optimizer: str | Callable[..., Any] | None = None
    """What the user trains with: ``sgd``, ``momentum``, ``adam``, ``adamw``, ``rmsprop``, or a function."""
    lr: float | None = None
    """The learning rate that the user trains with."""
    evidence: Literal["forward", "gradient", "probe", "trial"] | None = None
    """The best tier of evidence to use; None takes the best that the other settings allow."""
    trial_steps: int | None = None
    """Training steps to spend at most; None lets covscan choose from what a step costs."""
    train_samples: int = 4096
    """At most this many samples are held for short trainings."""
    per_channel: bool = False
    """Write per-channel statistics into the report as well."""
    cache: bool = True
    """Take what was measured before from the cache on disk, and keep what is new there."""
    jobs: int = 1
    """Checkpoints measured at the same time, each in a process of its own."""
    threads: int | None = None
    """Threads that compute in each process; None takes one for each core. Sums round by it, in the last digits."""
