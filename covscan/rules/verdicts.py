"""What the training evidence says of each place."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from covscan.report.types import Gain, Verdict
from covscan.rules.evidence import Evidence

if TYPE_CHECKING:
    from covscan.prove.types import Estimate, PlaceTrial

MATERIAL = 0.02
"""A gain below two percent of the area under the loss is not worth a change of the model."""
_TIE = 1e-6


def verdict(trial: "PlaceTrial") -> Verdict:
    """``recommended`` asks for a gain that is material for sure, and for more than a fixed affine gives."""
    found = trial.gain or trial.probe
    if found is None or found.low is None or found.high is None:
        return "no evidence"
    if trial.gain is not None and found.low > MATERIAL and _beats_affine(trial):
        return "recommended"
    if found.high < -MATERIAL:
        return "would likely harm"
    return "worth testing" if found.value > MATERIAL else "no evidence"


def _beats_affine(trial: "PlaceTrial") -> bool:
    over = trial.over_affine
    return over is not None and over.low is not None and over.low > 0


def promising(trial: "PlaceTrial") -> bool:
    """Whether a place is worth a suggestion: even the lower end of the interval is material."""
    found = trial.gain or trial.probe
    return found is not None and found.low is not None and found.low > MATERIAL


def expected_scores(evidence: Evidence) -> Mapping[tuple[str, str], float]:
    """A score for each place that was tried: one half and half of the gain, in the order of the trials.

    A place that dropped out of an early round never scores above one that was looked at longer.
    """
    if evidence.trials is None:
        return {}
    found: dict[tuple[str, str], float] = {}
    ceiling = 1.0
    for rank, trial in enumerate(evidence.trials.places):
        estimate = trial.gain or trial.probe
        if estimate is None:
            continue
        ceiling = min(ceiling, 0.5 + 0.5 * max(-1.0, min(1.0, estimate.value)))
        found[trial.insertion.place] = max(0.0, ceiling - _TIE * rank)
    return found


def as_gain(estimate: "Estimate | None") -> Gain | None:
    """An estimate as the report has it."""
    return None if estimate is None else Gain(value=estimate.value, low=estimate.low, high=estimate.high)
