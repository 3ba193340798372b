"""Suggestions from trainings: where even the lower end of the interval is a material gain."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from covscan.render.content.gains import change
from covscan.report.types import Candidate, Suggestion
from covscan.rules.candidates import judged_places
from covscan.rules.evidence import Evidence
from covscan.rules.kinds import choose
from covscan.rules.patches import patch
from covscan.rules.places import Place
from covscan.rules.verdicts import as_gain, promising, verdict
from covscan.rules.words import listed, number

if TYPE_CHECKING:
    from covscan.prove.types import Estimate, PlaceTrial, Trials

_STEADY = 0.8


def tried_suggestions(evidence: Evidence) -> Iterator[Suggestion]:
    """The places that promise a gain by the best evidence of the run, best first."""
    trials = evidence.tried
    if trials is None:
        return
    final = trials.final()
    for candidate, place in judged_places(evidence):
        trial = trials.of(candidate.site, candidate.position)
        if trial in final and promising(trial):
            yield _suggestion(evidence, trials, trial, candidate, place)


def _suggestion(
    evidence: Evidence, trials: "Trials", trial: "PlaceTrial", candidate: Candidate, place: Place
) -> Suggestion:
    judged = verdict(trial)
    alike = _exchangeable(trials, trial)
    return Suggestion(
        rank=0,
        site=candidate.site,
        position=candidate.position,
        norm=candidate.norm,
        score=candidate.score,
        reason=_reason(evidence, trials, trial, candidate, place, alike),
        confidence=_confidence(trial, judged, alike),
        tier=candidate.tier,
        evidence={
            "ranks": dict(candidate.evidence),
            "intervention": trials.intervention,
            "start": trials.start,
            "horizon": trial.horizon,
            "seeds": trial.seeds,
            "best_rate": trial.rate,
            "everywhere": _value(trials.everywhere),
            "last_only": _value(last_only(trials)),
            "over_fixed_affine": _value(trial.over_affine),
            "rivals": {name: estimate.value for name, estimate in trials.rivals.items()},
        },
        patch=patch(evidence, place, candidate.norm),
        runner_up=candidate.runner_up,
        verdict=judged,
        gain=candidate.gain,
        gain_at_rate=candidate.gain_at_rate,
        gain_of_fixed_affine=as_gain(trial.affine),
        stays_first=trial.stays_first,
        exchangeable_with=alike,
    )


def last_only(trials: "Trials") -> "Estimate | None":
    """The gain of the last place in front of the head alone."""
    last = None if trials.last is None else trials.of(*trials.last)
    return None if last is None else last.gain


def _exchangeable(trials: "Trials", trial: "PlaceTrial") -> list[str]:
    """The places of the last round that cannot be told from the best one, where this is one of them."""
    final = trials.final()
    group = [each for each in final if each.gain is not None and (each.exchangeable or each is final[0])]
    if trial not in group:
        return []
    return [f"{each.insertion.position} {each.insertion.site}" for each in group if each is not trial]


def _confidence(trial: "PlaceTrial", judged: str, alike: list[str]) -> Literal["low", "medium", "high"]:
    """``high`` where no other place would be better: it stays first, or who is first does not matter."""
    if judged != "recommended":
        return "low" if trial.gain is None else "medium"
    return "high" if (trial.stays_first or 0.0) >= _STEADY or alike else "medium"


def _reason(
    evidence: Evidence,
    trials: "Trials",
    trial: "PlaceTrial",
    candidate: Candidate,
    place: Place,
    alike: list[str],
) -> str:
    if candidate.gain is None:
        assert candidate.one_step is not None
        words = f"One step of {trials.optimizer} with it changes the loss by {change(candidate.one_step)} more"
        return f"{words} than without, on other samples than the step was taken on; {choose(evidence, place).reason}."
    how = f"Trained {trials.intervention} for {trial.horizon} steps with {trial.seeds} seeds, it changes the area"
    best = f"at the best learning rate ({number(trial.rate or 0.0)})"
    said = [f"{how} under the training loss by {change(candidate.gain)} {best}"]
    if candidate.gain_at_rate is not None:
        said.append(f"at your own rate by {change(candidate.gain_at_rate)}")
    return ", ".join(said) + "." + _beside(trials, trial, alike)


def _beside(trials: "Trials", trial: "PlaceTrial", alike: list[str]) -> str:
    """Sentences about what else was tried."""
    said = []
    if trial.affine is not None and trial.over_affine is not None:
        affine = as_gain(trial.affine)
        assert affine is not None
        enough = (trial.over_affine.low or 0.0) <= 0
        what = (
            "which is about as good: fix the scale instead" if enough else "so statistics taken while training matter"
        )
        said.append(f"Constants of the same initial standardization give {change(affine)}, {what}.")
    if alike:
        said.append(f"{listed(alike)} cannot be told from it.")
    rivals = {name: estimate for name, estimate in trials.rivals.items() if (estimate.low or 0.0) > 0}
    for name, estimate in rivals.items():
        gain = as_gain(estimate)
        assert gain is not None
        said.append(f"Without any normalization, {name} gives {change(gain)}.")
    return "".join(f" {sentence}" for sentence in said)


def _value(estimate: "Estimate | None") -> float | None:
    return None if estimate is None else estimate.value
