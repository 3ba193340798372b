"""What a tool is scored by: pure functions of scores and gains, and intervals over networks."""

import math
from collections.abc import Callable, Sequence

import numpy as np

Numbers = Sequence[float]


def ranks(values: Numbers) -> np.ndarray:
    """Ranks from 1, ties averaged."""
    _, place, counts = np.unique(np.asarray(values, float), return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def spearman(a: Numbers, b: Numbers) -> float:
    """Rank correlation; 0 where either side does not tell its values apart."""
    first, second = ranks(a), ranks(b)
    first, second = first - first.mean(), second - second.mean()
    size = math.sqrt(float((first**2).sum() * (second**2).sum()))
    return float((first * second).sum() / size) if size > 0 else 0.0


def regret(scores: Numbers, gains: Numbers) -> float:
    """What the place with the highest score misses, between 0 (the best place) and 1 (the worst); ties averaged."""
    chosen = [gain for score, gain in zip(scores, gains, strict=True) if score == max(scores)]
    spread = max(gains) - min(gains)
    return (max(gains) - sum(chosen) / len(chosen)) / spread if spread > 0 else 0.0


def random_regret(gains: Numbers) -> float:
    """The expectation of ``regret`` where every place is as likely."""
    return regret([0.0] * len(gains), gains)


def ndcg(scores: Numbers, gains: Numbers, k: int = 3) -> float:
    """Discounted gain of the k highest scores over that of the k best places; relevance is max(gain, 0).

    Tied scores share the mean relevance of their group, which is the expectation over their orders. 1 where no
    place gains anything.
    """
    relevance = np.maximum(np.asarray(gains, float), 0)
    discount = 1 / np.log2(np.arange(2, len(relevance) + 2))
    discount[k:] = 0
    shared = np.array([relevance[np.asarray(scores) == score].mean() for score in scores])
    ideal = float((np.sort(relevance)[::-1] * discount).sum())
    found = float((shared[np.argsort(-np.asarray(scores, float), kind="stable")] * discount).sum())
    return found / ideal if ideal > 0 else 1.0


def random_ndcg(gains: Numbers, k: int = 3) -> float:
    """The expectation of ``ndcg`` over random orders."""
    return ndcg([0.0] * len(gains), gains, k)


def auroc(scores: Numbers, positive: Sequence[bool]) -> float | None:
    """The share of pairs in which the positive one scores higher, ties half; None without both kinds."""
    chosen = np.asarray(positive, bool)
    above, below = int(chosen.sum()), int((~chosen).sum())
    if not above or not below:
        return None
    return float((ranks(scores)[chosen].sum() - above * (above + 1) / 2) / (above * below))


def drawn_again(
    count: int, statistic: Callable[[np.ndarray], float | None], draws: int = 2000, seed: int = 0
) -> tuple[float, float] | None:
    """The middle 95 % of a statistic of networks' numbers, drawn again with replacement; None with fewer than three."""
    if count < 3:
        return None
    drawn = np.random.default_rng(seed).integers(count, size=(draws, count))
    found = [result for rows in drawn if (result := statistic(rows)) is not None]
    if not found:
        return None
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
