"""What training evidence would have to find out: the places in the order in which forward evidence ranks them."""

from covscan.prove.types import Question
from covscan.rules.branches import growing_branches
from covscan.rules.candidates import ranked_places
from covscan.rules.evidence import Evidence
from covscan.rules.places import Place
from covscan.surgery.types import FAMILIES, Insertion

LIKE_BATCHNORM = {"SyncBatchNorm": "BatchNorm2d"}


def question(evidence: Evidence) -> Question:
    """The candidates of the forward evidence as insertions."""
    ranked = ranked_places(evidence)
    chosen = [(place, _insertion(place, candidate.norm), candidate.runner_up) for candidate, place in ranked]
    behind = sorted((item for item in chosen if item[0].position == "after"), key=lambda item: item[0].order)
    everywhere = behind or sorted(chosen, key=lambda item: item[0].order)
    others = {
        insertion.place: _insertion(place, other) for place, insertion, other in chosen if _kind(other) in FAMILIES
    }
    return Question(
        places=tuple(insertion for _, insertion, _ in chosen),
        others=others,
        everywhere=tuple(insertion for _, insertion, _ in everywhere),
        last=everywhere[-1][1].place if everywhere else None,
        branches=tuple(
            Insertion(layer.name, "after", "Scale", layer.site.channels, layer.site.channel_axis)
            for layer in growing_branches(evidence)
        ),
    )


def _insertion(place: Place, norm: str | None) -> Insertion:
    return Insertion(place.name, place.position, _kind(norm), place.site.channels, place.site.channel_axis)


def _kind(norm: str | None) -> str:
    return LIKE_BATCHNORM.get(norm or "", norm or "")
