"""Every place where a normalization could go, best first."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from covscan.report.types import Candidate
from covscan.rules.attention import qk_candidates
from covscan.rules.branches import branch_output
from covscan.rules.evidence import Evidence
from covscan.rules.kinds import choose
from covscan.rules.places import Place, places
from covscan.rules.scoring import scores
from covscan.rules.verdicts import as_gain, expected_scores, verdict

if TYPE_CHECKING:
    from covscan.prove.types import Trials


def find_candidates(evidence: Evidence) -> tuple[Candidate, ...]:
    """All candidates, sorted by score; equal scores put the deeper place first, and behind a layer before in front."""
    ranked = [candidate for candidate, _ in judged_places(evidence)]
    branch = None if evidence.tried is not None else branch_output(evidence)
    apart = [*qk_candidates(evidence), *([branch.candidate()] if branch is not None else [])]
    taken = {(candidate.site, candidate.position) for candidate in apart}
    rest = [candidate for candidate in ranked if (candidate.site, candidate.position) not in taken]
    return tuple(sorted([*apart, *rest], key=lambda candidate: -candidate.score))


def judged_places(evidence: Evidence) -> list[tuple[Candidate, Place]]:
    """The candidates by the best evidence there is: what was trained, else what forward passes showed."""
    ranked = ranked_places(evidence)
    if evidence.tried is None:
        return ranked
    forward: dict[tuple[str, str], float] = {(one.site, one.position): one.score for one, _ in ranked}
    scores_by_place = expected_scores(evidence, forward)
    judged = [(_tried(evidence.tried, candidate, scores_by_place), place) for candidate, place in ranked]
    return sorted(judged, key=lambda item: -item[0].score)


def _tried(trials: "Trials", candidate: Candidate, found: Mapping[tuple[str, str], float]) -> Candidate:
    trial = trials.of(candidate.site, candidate.position)
    if trial is None or trial.insertion.place not in found:
        return replace(candidate, score=0.0)
    norm = trial.insertion.norm
    return replace(
        candidate,
        norm=norm,
        runner_up=candidate.runner_up if norm != candidate.runner_up else candidate.norm,
        score=found[trial.insertion.place],
        tier="trial" if trial.gain is not None else "probe",
        verdict=verdict(trial),
        gain=as_gain(trial.gain),
        gain_at_rate=as_gain(trial.at_rate),
        one_step=as_gain(trial.probe),
    )


def ranked_places(evidence: Evidence) -> list[tuple[Candidate, Place]]:
    """The candidates with the places that they stand for, best first."""
    found = places(evidence)
    ranked = []
    for place, (score, ranks) in zip(found, scores(evidence, found), strict=True):
        choice = choose(evidence, place)
        candidate = Candidate(
            site=place.name,
            position=place.position,
            norm=choice.norm,
            score=score,
            evidence=ranks,
            runner_up=choice.runner_up,
        )
        ranked.append((candidate, place))
    ranked.sort(key=lambda item: (-item[0].score, item[0].position == "before", -item[1].order, item[0].site))
    return ranked
