"""Every place where a normalization could go, best first."""

from covscan.report.types import Candidate
from covscan.rules.attention import qk_candidates
from covscan.rules.branches import branch_output
from covscan.rules.evidence import Evidence
from covscan.rules.kinds import choose
from covscan.rules.places import Place, places
from covscan.rules.scoring import scores


def find_candidates(evidence: Evidence) -> tuple[Candidate, ...]:
    """All candidates, sorted by score; equal scores put the deeper place first, and behind a layer before in front."""
    ranked = [candidate for candidate, _ in ranked_places(evidence)]
    branch = branch_output(evidence)
    apart = [*qk_candidates(evidence), *([branch.candidate()] if branch is not None else [])]
    taken = {(candidate.site, candidate.position) for candidate in apart}
    rest = [candidate for candidate in ranked if (candidate.site, candidate.position) not in taken]
    return tuple(sorted([*apart, *rest], key=lambda candidate: -candidate.score))


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
