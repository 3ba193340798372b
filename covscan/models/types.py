"""What the readers of models hand to capture."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import onnx
    import torch


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One saved state of the network, in its place in the series.

    ``id`` is unique within the series and stable (the file's stem, widened by its folder where stems collide);
    ``step`` is None where neither the file's metadata nor its name holds one.
    """

    id: str
    path: Path
    step: int | None
    sha256: str


@dataclass(frozen=True, slots=True)
class Series:
    """Checkpoints in training order; ``order`` says how that order was found."""

    checkpoints: tuple[Checkpoint, ...]
    order: Literal["metadata", "name", "given"]


class TorchSource(Protocol):
    """A series that opens as ``torch.nn.Module`` (factory + weights, ``.pt2``, Hugging Face, pickled module)."""

    engine: Literal["torch"]
    series: Series
    description: str
    notes: list[str]
    """Sentences for the reader: what was chosen where a file left a choice."""
    foreign: bool
    """Whether what the network computes came out of a file that nobody vouched for."""

    def check(self, checkpoint: Checkpoint) -> None:
        """Raise UsageError where the files of ``checkpoint`` are not what they were when they were hashed."""
        ...

    def identity(self) -> str | None:
        """A digest of what decides on the network besides the checkpoint's content; None where that cannot be told."""
        ...

    def module(self, checkpoint: Checkpoint) -> "torch.nn.Module":
        """The network in eval mode on the CPU with the weights of ``checkpoint``.

        The same module object may be returned each time with other weights in it. Raises UsageError.
        """
        ...

    def weights(self, checkpoint: Checkpoint) -> "Mapping[str, torch.Tensor]":
        """Parameters and buffers by the names that ``module(...)`` uses; memory-mapped where the format allows."""
        ...


class ScriptSource(Protocol):
    """A series of TorchScript archives, whose inside does not run Python hooks."""

    engine: Literal["torchscript"]
    series: Series
    description: str
    notes: list[str]
    """Sentences for the reader: what was chosen where a file left a choice."""

    def check(self, checkpoint: Checkpoint) -> None:
        """Raise UsageError where the files of ``checkpoint`` are not what they were when they were hashed."""
        ...

    def identity(self) -> str | None:
        """As in ``TorchSource``."""
        ...

    def module(self, checkpoint: Checkpoint) -> "torch.jit.ScriptModule":
        """The archive, loaded on the CPU, in eval mode."""
        ...


class OnnxSource(Protocol):
    """A series of ONNX files, one per checkpoint."""

    engine: Literal["onnx"]
    series: Series
    description: str
    notes: list[str]
    """Sentences for the reader: what was chosen where a file left a choice."""

    def check(self, checkpoint: Checkpoint) -> None:
        """Raise UsageError where the files of ``checkpoint`` are not what they were when they were hashed."""
        ...

    def identity(self) -> str | None:
        """As in ``TorchSource``."""
        ...

    def proto(self, checkpoint: Checkpoint) -> "onnx.ModelProto":
        """The graph without its external data, checked; ``checkpoint.path`` is where external data is relative to.

        Large weights in the file itself are external data of that file.
        """
        ...

    def whole(self, checkpoint: Checkpoint) -> "onnx.ModelProto":
        """``proto`` with the weights that lie in the file, to be written elsewhere."""
        ...


Source = TorchSource | ScriptSource | OnnxSource
