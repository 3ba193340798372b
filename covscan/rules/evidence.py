"""What the rules judge: the measured parts of the report, the network's structure, and its normalizations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from covscan.report.types import (
    Candidate,
    Checkpoint,
    Comparison,
    Coverage,
    Data,
    Finding,
    Model,
    Shift,
    Site,
    Suggestion,
)

if TYPE_CHECKING:
    from covscan.capture.types import Network
    from covscan.measures.norms import NormEvidence
    from covscan.prove.gradient_types import Gradients
    from covscan.prove.types import Trials


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything a rule may look at; plain values, so that judging needs neither torch nor numpy.

    ``norms`` is by checkpoint id, then module name. ``weights_nonfinite`` names, by checkpoint id, the
    weights that hold NaN or infinity, ``data_nonfinite`` says of each data set how many values do.
    ``train_batch_size`` is the user's per-device batch, None where it was not said. ``sequence`` says whether
    positions are tokens or time steps rather than pixels, by site name. ``trials`` is what training with a
    normalization gave, None where nothing was trained. ``gradients`` is what was measured with a loss, None
    where there was none. ``comparison`` says what the columns are where they are two sides and no series.
    """

    model: Model
    checkpoints: Sequence[Checkpoint]
    data: Data
    coverage: Coverage
    sites: Sequence[Site]
    shifts: Sequence[Shift]
    network: "Network"
    norms: Mapping[str, Mapping[str, "NormEvidence"]] = field(default_factory=dict)
    weights_nonfinite: Mapping[str, Sequence[str]] = field(default_factory=dict)
    data_nonfinite: Mapping[str, int] = field(default_factory=dict)
    train_batch_size: int | None = None
    nondeterministic: Sequence[str] = ()
    trials: "Trials | None" = None
    gradients: "Gradients | None" = None
    comparison: Comparison | None = None

    @property
    def kind(self) -> Literal["checkpoints", "data", "models"]:
        """What differs between the columns: training, the samples, or the whole model."""
        return "checkpoints" if self.comparison is None else self.comparison.kind

    @property
    def tried(self) -> "Trials | None":
        """The trials that places can be judged by; None too where the budget did not reach for a single place."""
        return self.trials if self.trials is not None and self.trials.places else None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rules made of the evidence."""

    findings: tuple[Finding, ...]
    candidates: tuple[Candidate, ...]
    suggestions: tuple[Suggestion, ...]
    notes: tuple[str, ...]
