"""Candidates that covscan would act on: those of a network in which something is wrong in absolute terms."""

from collections.abc import Iterator

from msgspec.structs import replace

from covscan.report.types import Candidate, Suggestion
from covscan.rules.attention import qk_suggestions
from covscan.rules.blind_spots import may_be_folded
from covscan.rules.branches import branch_output
from covscan.rules.candidates import ranked_places
from covscan.rules.evidence import Evidence
from covscan.rules.gates import Sign, enough, signs
from covscan.rules.kinds import choose
from covscan.rules.patches import patch
from covscan.rules.places import Place
from covscan.rules.tried import tried_suggestions
from covscan.rules.words import number

_MOST = 3
_NEAR_BEST = 0.1
_TOP_SIGNALS = 2


def suggest(evidence: Evidence) -> tuple[Suggestion, ...]:
    """At most three suggestions, best first; none where nothing is wrong, or where a normalization already acts.

    None either for a single ONNX file into whose convolutions BatchNorm may have been folded: there nobody can tell.

    Beside the best candidate those that score within 0.1 of it and put the normalization behind or in front
    of another layer. Where trainings were run, they decide (``covscan.rules.tried``).
    """
    if evidence.tried is not None:
        from_trials = [*qk_suggestions(evidence), *tried_suggestions(evidence)][:_MOST]
        return tuple(_ranked(suggestion, rank) for rank, suggestion in enumerate(from_trials, start=1))
    suggested = [*qk_suggestions(evidence), *_branch(evidence)][:_MOST]
    found = signs(evidence)
    ranked = ranked_places(evidence)
    if ranked and enough(found) and not may_be_folded(evidence):
        best = ranked[0][0].score
        taken: set[str] = set()
        for candidate, place in ranked:
            if len(suggested) >= _MOST or candidate.score < best - _NEAR_BEST:
                break
            if place.consumer.site in taken or place.site.site in taken:
                continue
            taken |= {place.consumer.site, place.site.site}
            suggested.append(_suggestion(evidence, candidate, place, found))
    return tuple(_ranked(suggestion, rank) for rank, suggestion in enumerate(suggested, start=1))


def _suggestion(evidence: Evidence, candidate: Candidate, place: Place, found: list[Sign]) -> Suggestion:
    choice = choose(evidence, place)
    where = "behind" if candidate.position == "after" else "in front of"
    wrong = "; ".join(sign.text for sign in found[:_TOP_SIGNALS])
    top = sorted(
        ((name, rank) for name, rank in candidate.evidence.items() if rank is not None), key=lambda item: -item[1]
    )[:_TOP_SIGNALS]
    leading = " and ".join(name for name, _ in top)
    return Suggestion(
        rank=0,
        site=candidate.site,
        position=candidate.position,
        norm=candidate.norm,
        score=candidate.score,
        reason=f"In this network {wrong}. {candidate.norm} {where} {candidate.site}, trained from scratch, has "
        f"the highest ranks here ({leading}; score {number(candidate.score)}); {choice.reason}.",
        confidence="low",
        tier="forward",
        evidence={
            "signs": [{"kind": s.kind, "strong": s.strong, "text": s.text, "checkpoint": s.checkpoint} for s in found],
            "ranks": dict(candidate.evidence),
            "intervention": "normalization in from the start of training, learning rate tuned again",
            "confidence": "forward evidence alone",
        },
        patch=patch(evidence, place, candidate.norm),
        runner_up=candidate.runner_up,
    )


def _branch(evidence: Evidence) -> Iterator[Suggestion]:
    branch = branch_output(evidence)
    if branch is None:
        return
    candidate = branch.candidate()
    yield Suggestion(
        rank=0,
        site=candidate.site,
        position=candidate.position,
        norm=candidate.norm,
        score=candidate.score,
        reason=f"The residual stream's variance grows {number(branch.growth.factor)}-fold over "
        f"{len(branch.growth.sites)} blocks though each branch reads a normalized input. {candidate.norm} on what the "
        "branches give makes it grow linearly; scaling them by 1/sqrt(depth) is cheaper and does it too.",
        confidence="low",
        tier="forward",
        evidence={"growth": branch.growth.factor, "confidence": "forward evidence alone"},
        patch=branch.patch() if evidence.model.engine == "torch" else f"# {candidate.norm} behind {candidate.site}",
        runner_up="1/sqrt(depth) scaling",
    )


def _ranked(suggestion: Suggestion, rank: int) -> Suggestion:
    return replace(suggestion, rank=rank)
