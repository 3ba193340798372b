"""The protocol at which PyTorch and ONNX meet: above it nobody can tell which one it was."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt

from covscan.data.types import Batch
from covscan.models.types import Checkpoint
from covscan.report.types import SourceLine
from covscan.stats.tile import in_rows

if TYPE_CHECKING:
    import torch

Float = npt.NDArray[np.floating]
Position = Literal["input", "output", "logits"]
Role = Literal["layer", "activation", "norm", "block", "attention", "other"]


def call_name(name: str, call: int) -> str:
    """A module's name, with ``#2`` and on behind its later calls."""
    return name if call == 0 else f"{name}#{call + 1}"


def base_name(name: str) -> str:
    """The name of the module behind the name of one of its calls."""
    return name.partition("#")[0]


@dataclass(frozen=True, slots=True, order=True)
class SiteKey:
    """Names one tensor of the network: module name (``#2`` behind a second call) or ONNX value, and which side."""

    site: str
    position: Position


@dataclass(frozen=True, slots=True)
class Layout:
    """How a tensor is read as (samples, positions, channels).

    ``channel_axis`` and ``sample_axis`` are non-negative axes of the tensor as the module sees it; every other axis
    is a position. ``folded`` is how many consecutive rows of the sample axis belong to one sample (windowed attention
    folds windows into the batch); 1 for everything ordinary.
    """

    channel_axis: int
    sample_axis: int = 0
    folded: int = 1


@dataclass(frozen=True, slots=True)
class Site:
    """A tensor that is tapped.

    ``type`` is the class or the ONNX operator; ``shape`` has ``"N"`` on the sample axis; ``depth`` is the order of
    execution; ``same_as`` names the site that sees the very same tensor and is measured in its place; ``flat`` says
    where the activation behind or before this tensor is flat: |value| above it counts as saturated (None: never).
    ``source`` is the line of the user's code that makes the module, where there is one and it was found.
    """

    key: SiteKey
    type: str
    role: Role
    layout: Layout
    channels: int
    shape: tuple[int | str, ...]
    depth: int
    same_as: SiteKey | None = None
    saturation: "Saturation | None" = None
    source: SourceLine | None = None


@dataclass(frozen=True, slots=True)
class Saturation:
    """Values at or below ``low`` or at or above ``high`` lie where the activation is flat."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Norm:
    """An existing normalization at one checkpoint, arrays float64, None where it has none.

    ``kind`` is the family whatever the engine calls it. ``elements`` is how many values go into one statistic for one
    sample (S*C/G for GroupNorm, D for LayerNorm; for BatchNorm the positions of one sample). ``momentum`` is in
    PyTorch's convention, the weight of the new value.
    """

    kind: Literal["batch", "layer", "group", "instance", "rms"]
    eps: float
    weight: Float | None = None
    bias: Float | None = None
    running_mean: Float | None = None
    running_var: Float | None = None
    batches_tracked: int | None = None
    momentum: float | None = None
    groups: int | None = None
    elements: int | None = None
    uses_batch_statistics: bool = False
    frozen: bool = False


@dataclass(frozen=True, slots=True)
class Module:
    """One call of a module (or one ONNX node) in order of execution.

    ``inputs`` and ``output`` name the sites that were tapped there (empty, None where the tensor could not be read).
    ``has_parameters`` counts its own parameters, not those of its children. ``dropout`` is the drop probability of a
    dropout module. ``has_bias`` says whether a conv or linear layer adds one. ``weight_axes`` see ``Weights``.
    """

    name: str
    type: str
    role: Role
    depth: int
    inputs: tuple[SiteKey, ...]
    output: SiteKey | None
    has_parameters: bool = False
    has_bias: bool = False
    dropout: float | None = None
    parameters: tuple[str, ...] = ()
    """Full names of its own parameters and buffers, as the checkpoint's weights call them."""
    origin: str | None = None
    """Qualified name of the module that it is a call of, as far as an exporter left it; None where that is unknown."""
    nodes: tuple[str, ...] = ()
    """Names of the graph's nodes that it is made of, the one that gives its output last; empty where there is none."""
    gain_offset: float = 0.0
    """What a normalization adds to its weight before it multiplies by it (1 for Gemma's)."""


@dataclass(frozen=True, slots=True)
class Skip:
    """A place that cannot be measured, and why."""

    site: str
    reason: str


@dataclass(frozen=True, slots=True)
class Network:
    """What one forward pass showed: the sites to tap, the calls in order, and what cannot be seen."""

    sites: tuple[Site, ...]
    modules: tuple[Module, ...]
    skipped: tuple[Skip, ...]
    never_fired: tuple[str, ...]
    parameters: int | None = None
    notes: tuple[str, ...] = ()
    nondeterministic: tuple[str, ...] = ()
    """What differed between two runs on the same input with other random numbers."""
    fed: tuple[SiteKey, ...] = ()
    """Sites that hold an array of the data as it was fed; empty too where none was recognized."""

    def measured(self) -> tuple[Site, ...]:
        """The sites that are tapped themselves, without those that see a tensor already tapped."""
        return tuple(site for site in self.sites if site.same_as is None)


@dataclass(frozen=True, slots=True)
class Rows:
    """What was read of one tensor in one batch.

    ``given`` (rows, channels) floating; rows of one sample stand together, in ascending sample order. Where all of a
    tensor is read whose channels stand before its positions, (samples, channels, positions): to bring them into rows
    takes as long as all statistics of them. ``sample`` (rows,) int64 is the row's place in the batch (0 … n-1),
    ``position`` (rows,) int64 its position in the tensor. ``lasting`` says that the values lie in memory of their own,
    where no layer that follows can change them.
    """

    given: Float
    sample: npt.NDArray[np.int64]
    position: npt.NDArray[np.int64]
    lasting: bool = False

    @property
    def values(self) -> Float:
        """(rows, channels); a copy where they are given otherwise."""
        return in_rows(self.given)


@dataclass(frozen=True, slots=True)
class RemoteRows:
    """Rows that lie on a device until the end of the batch."""

    values: "torch.Tensor"
    sample: npt.NDArray[np.int64]
    position: npt.NDArray[np.int64]


class Recorder(Protocol):
    """Takes what a back end reads."""

    def record(self, key: SiteKey, rows: Rows, batch: Batch) -> None:
        """Reduce the rows of one site in one batch, or in a part of it. Called once for each sample."""
        ...

    def wants_replay(self, batch: Batch, work: int | None = None) -> bool:
        """Whether a module is to be replayed on this batch; ``work`` is its multiplications for one sample.

        Light modules are replayed on every batch, the others where the batch holds one of the chosen samples. To be
        asked of every batch, in order.
        """
        ...

    def skip(self, site: str, reason: str) -> None:
        """Note that a site could not be read at this checkpoint."""
        ...

    def replay(
        self,
        name: str,
        key: SiteKey,
        reference: str,
        actual: Rows,
        counterfactual: Rows,
        batch: Batch,
        work: int | None = None,
    ) -> None:
        """Take what module ``name`` gives at ``key`` on the same input with two sets of weights.

        ``work`` is what ``wants_replay`` was given; of a heavy module's rows those of the chosen samples count.
        ``actual`` with this checkpoint's weights, ``counterfactual`` with those of checkpoint ``reference`` (its id);
        both hold the same rows in the same order.
        """
        ...

    def unmoved(self, name: str, key: SiteKey, reference: str) -> None:
        """Note that every weight of module ``name`` is bit-equal at checkpoint ``reference``."""
        ...


@dataclass(frozen=True, slots=True)
class Reference:
    """Earlier weights for replays, called ``id``, opened by ``backend``, which is one of the same engine.

    ``names`` says what a call of the later network is called in the earlier one, where that differs.
    """

    id: str
    checkpoint: Checkpoint
    backend: "Backend"
    names: Mapping[str, str] = field(default_factory=dict)

    def name(self, call: str) -> str:
        """The earlier network's name of a call."""
        return self.names.get(call, call)


class Backend(Protocol):
    """One engine's way to open checkpoints and read what flows through the network."""

    @property
    def device(self) -> str:
        """Where the forward passes run."""
        ...

    def plan(self, checkpoint: Checkpoint, batch: Batch) -> Network:
        """Run one small batch and list what can be tapped. Raises UsageError where the model refuses the data."""
        ...

    def measure(
        self,
        checkpoint: Checkpoint,
        network: Network,
        batches: Iterable[Batch],
        recorder: Recorder,
        references: tuple[Reference, ...] = (),
    ) -> None:
        """Run every batch and hand what each measured site of ``network`` sees to ``recorder``.

        ``references`` are earlier weights that the replays use (excess shift), on the batches for which
        ``recorder.wants_replay(batch)``. The model is left as it was found.
        """
        ...

    def norms(self, checkpoint: Checkpoint, network: Network) -> Mapping[str, Norm]:
        """The existing normalizations, by module name without a call suffix."""
        ...

    def weights(self, checkpoint: Checkpoint) -> "Mapping[str, torch.Tensor | npt.NDArray[np.generic]]":
        """Weights by name, mapped from disk where the format allows, to compare checkpoints with."""
        ...
