"""What the training evidence says of each place."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import TYPE_CHECKING

from covscan.prove.types import MATERIAL
from covscan.report.training import Gain
from covscan.report.types import Verdict
from covscan.rules.evidence import Evidence
from covscan.rules.ranking import ranks

if TYPE_CHECKING:
    from covscan.prove.types import Estimate, PlaceTrial

PRIOR = 0.12
"""How much more a place is expected to gain that all cheaper evidence puts first than one that it puts last, once a
trial has measured both: the spread of the gains in a network times the share of a trial's error in it, roughly."""
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


def expected_scores(
    evidence: Evidence, forward: Mapping[tuple[str, str], float] | None = None
) -> Mapping[tuple[str, str], float]:
    """A score for each place that was tried, best first; ``forward`` are the scores of the forward evidence.

    Cheaper evidence is the prior: a place's rank by the probe and its rank by forward evidence, averaged. Where
    there was a training, the score is one half and half of the outlook, moved by the prior as ``PRIOR`` says: what a
    noisy measurement of the gain is shrunk to. Where there was only a step, the prior is the score. A place that
    dropped out of an early round never scores above one that was looked at longer.
    """
    if evidence.tried is None:
        return {}
    places = [trial for trial in evidence.tried.places if trial.gain is not None or trial.probe is not None]
    prior = _prior(places, forward or {})
    values = {
        trial.insertion.place: prior[trial.insertion.place]
        if trial.outlook is None
        else 0.5 + 0.5 * (trial.outlook + PRIOR * (prior[trial.insertion.place] - 0.5))
        for trial in places
    }
    places.sort(key=lambda trial: (-trial.horizon * trial.seeds, -values[trial.insertion.place]))
    found: dict[tuple[str, str], float] = {}
    ceiling = 1.0
    for number, trial in enumerate(places):
        ceiling = min(ceiling, max(0.0, values[trial.insertion.place]))
        found[trial.insertion.place] = max(0.0, ceiling - _TIE * number)
    return found


def _prior(places: Sequence["PlaceTrial"], forward: Mapping[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    """The mean of each place's ranks by the probe and by forward evidence, between 0 and 1."""
    keys = [trial.insertion.place for trial in places]
    probed = ranks([None if trial.probe is None else trial.probe.value for trial in places])
    ranked = ranks([forward.get(key) for key in keys])
    return {
        key: mean([rank for rank in (one, other) if rank is not None] or [0.5])
        for key, one, other in zip(keys, probed, ranked, strict=True)
    }


def as_gain(estimate: "Estimate | None") -> Gain | None:
    """An estimate as the report has it."""
    return None if estimate is None else Gain(value=estimate.value, low=estimate.low, high=estimate.high)
