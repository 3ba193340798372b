"""Ordering places by forward evidence: the average of within-network ranks, each signal with equal weight.

The signals are few, correlated and each weakly informative (Spearman 0.3 to 0.4 with the gain over 73 small
networks), which is why nothing is fitted. Values are those of the first checkpoint where that is the state
before training: a normalization changes how training goes from there, and there the signals told most. In a
series that starts later, ranks at the first and the last checkpoint are averaged, since neither is where
training began.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import mean

from covscan.report.types import Checkpoint
from covscan.rules.evidence import Evidence
from covscan.rules.lookup import first_to_last, last, statistics, untrained, value
from covscan.rules.places import Place

Signals = Mapping[str, float | None]

SHIFT = "shift of variance"
DEPTH = "depth"


def scores(evidence: Evidence, places: Sequence[Place]) -> list[tuple[float, dict[str, float | None]]]:
    """Score and ranks of each place.

    Places behind and in front of layers are ranked apart, since only like tensors compare.
    """
    found: dict[int, tuple[float, dict[str, float | None]]] = {}
    for position in ("after", "before"):
        chosen = [number for number, place in enumerate(places) if place.position == position]
        for number, ranks in zip(chosen, _ranks(evidence, [places[n] for n in chosen]), strict=True):
            known = [rank for rank in ranks.values() if rank is not None]
            found[number] = (mean(known) if known else 0.5, ranks)
    return [found[number] for number in range(len(places))]


def _ranks(evidence: Evidence, places: Sequence[Place]) -> list[dict[str, float | None]]:
    """Mean rank of each signal of each place over the checkpoints that count."""
    first, final = evidence.checkpoints[0], last(evidence)
    counted = [first] if untrained(evidence, first) or first is final else [first, final]
    shifts = _shifts(evidence)
    per_checkpoint = [_ranked([_signals(place, checkpoint, shifts) for place in places]) for checkpoint in counted]
    return [
        {name: _mean([ranks[number][name] for ranks in per_checkpoint]) for name in per_checkpoint[0][number]}
        for number in range(len(places))
    ]


def _signals(
    place: Place, checkpoint: Checkpoint, shifts: Mapping[tuple[str, str], float | None]
) -> dict[str, float | None]:
    own, consumer = statistics(place.site, checkpoint), statistics(place.consumer, checkpoint)
    flat = [
        share
        for site in place.flat
        if (found := statistics(site, checkpoint)) is not None
        for share in (found.saturated_share, found.dead_channels)
        if share is not None
    ]
    scale = own.channel_scale if own is not None else None
    return {
        "scale": abs(math.log(scale)) if scale is not None and scale > 0 else None,
        "mean to variance": own.mean_to_variance if own is not None else None,
        "cross-sample cosine": own.cross_sample_cosine if own is not None else None,
        "conditioning": consumer.conditioning if consumer is not None else None,
        "channel heterogeneity": own.channel_heterogeneity if own is not None else None,
        "flat units": max(flat) if flat else None,
        SHIFT: shifts.get((place.site.site, place.site.position)),
        DEPTH: float(place.order),
    }


def _shifts(evidence: Evidence) -> dict[tuple[str, str], float | None]:
    """|ln variance ratio| of each site from the first to the last checkpoint."""
    found: dict[tuple[str, str], float | None] = {}
    for site, shift in first_to_last(evidence):
        size = value(shift, "absolute_log_variance_ratio")
        found[site.site, site.position] = size if size is not None else value(shift, "log_variance_ratio")
    return found


def _ranked(signals: Sequence[Signals]) -> list[dict[str, float | None]]:
    """Each signal as its rank among the places that have it, between 0 and 1; ties share theirs."""
    ranked: list[dict[str, float | None]] = [dict.fromkeys(place) for place in signals]
    for name in signals[0] if signals else ():
        known = [found for place in signals if (found := place[name]) is not None]
        for number, place in enumerate(signals):
            mine = place[name]
            if mine is not None:
                below = sum(other < mine for other in known)
                ties = sum(other == mine for other in known)
                ranked[number][name] = (below + ties / 2) / len(known)
    return ranked


def _mean(ranks: Sequence[float | None]) -> float | None:
    known = [rank for rank in ranks if rank is not None]
    return mean(known) if known else None
