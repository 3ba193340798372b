"""Ordering places by forward evidence: within-network ranks, half of the weight on depth, half on five signals.

How deep a place lies is the strongest single sign of what a normalization gains there (``benchmarks/normgain``: the
order from last to first agrees with the measured gains better than any statistic does), which is why it has half of the
weight. The rest is the mean of the ranks of five signals, with equal weights, because they are few, correlated and each
weakly informative. Scale and shift are those of the tensor that would be normalized; what is said of samples against
each other is taken at what the next layer reads, so that places behind a layer and in front of one compare. Values are
those of the first checkpoint where that is the state before training: a normalization changes how training goes from
there, and there the signals told most. In a series that starts later, ranks at the first and the last checkpoint are
averaged, since neither is where training began.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import mean

from covscan.report.types import Checkpoint
from covscan.rules.evidence import Evidence
from covscan.rules.lookup import first_to_last, last, statistics, untrained, value
from covscan.rules.places import Place
from covscan.rules.ranking import ranks as ranks_of

Signals = Mapping[str, float | None]

SHIFT = "distribution shift"
DEPTH = "depth"


def scores(evidence: Evidence, places: Sequence[Place]) -> list[tuple[float, dict[str, float | None]]]:
    """Score and ranks of each place, among all places of the network."""
    return [(_score(ranks), ranks) for ranks in _ranks(evidence, places)]


def _score(ranks: Signals) -> float:
    """Half the rank of the depth, half the mean rank of the other signals."""
    known = [rank for name, rank in ranks.items() if rank is not None and name != DEPTH]
    depth = ranks[DEPTH]
    assert depth is not None
    return (depth + mean(known)) / 2 if known else depth


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
    scale = own.channel_scale if own is not None else None
    return {
        "scale": abs(math.log(scale)) if scale is not None and scale > 0 else None,
        "mean to variance": consumer.mean_to_variance if consumer is not None else None,
        "conditioning": consumer.conditioning if consumer is not None else None,
        "cross-sample cosine": consumer.cross_sample_cosine if consumer is not None else None,
        SHIFT: shifts.get((place.site.site, place.site.position)),
        DEPTH: 2.0 * place.order + (place.position == "after"),
    }


def _shifts(evidence: Evidence) -> dict[tuple[str, str], float | None]:
    """Jensen-Shannon divergence of each site from the first to the last checkpoint."""
    return {(site.site, site.position): value(shift, "jensen_shannon") for site, shift in first_to_last(evidence)}


def _ranked(signals: Sequence[Signals]) -> list[dict[str, float | None]]:
    """Each signal as its rank among the places that have it."""
    ranked: list[dict[str, float | None]] = [{} for _ in signals]
    for name in signals[0] if signals else ():
        for number, rank in enumerate(ranks_of([place[name] for place in signals])):
            ranked[number][name] = rank
    return ranked


def _mean(ranks: Sequence[float | None]) -> float | None:
    known = [rank for rank in ranks if rank is not None]
    return mean(known) if known else None
