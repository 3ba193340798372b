"""Measures of shift that need whole one-dimensional distributions, from the kept rows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

BINS = 10
_PSEUDO_COUNT = 0.5
"""Added to every bin, so that an empty one gives a large number and not infinity."""
_SAME = 1e-5
"""Of a standard deviation, below which two values are one: two engines round differently, and where many values are
alike (words of a small vocabulary, grey levels) a comparison by rank would take that for a shift."""


@dataclass(frozen=True, slots=True)
class DistributionPair:
    """Two samples of each channel, compared once for every replicate.

    ``area`` (replicates, channels) is the area between the two distribution functions in pooled standard deviations,
    ``largest`` (replicates, channels) their largest difference, ``counts_a`` (replicates, channels, bins) and
    ``counts_b`` how many of the values that a replicate takes fall between the frozen edges.
    """

    area: Float64
    largest: Float64
    counts_a: Float64
    counts_b: Float64


def pair_samples(a: Float64, b: Float64, take_a: Int, take_b: Int) -> DistributionPair:
    """Compare two samples (rows, channels); replicates take the rows where ``take_a`` (replicates, rows) is 1.

    Bins are the deciles of all of ``a``.
    """
    both = np.ascontiguousarray(np.concatenate([a, b]).T)  # (channels, rows)
    order = np.argsort(both, axis=1, kind="stable")
    gaps = np.diff(np.take_along_axis(both, order, axis=1), axis=1)
    scale = np.sqrt((a.var(axis=0) + b.var(axis=0)) / 2)
    gaps /= np.where(scale > 0, scale, 1.0)[:, None]
    distinct = gaps > _SAME
    area, largest = np.zeros((2, len(take_a), len(both)))
    for replicate, (one, other) in enumerate(zip(take_a, take_b, strict=True)):
        # Behind the last value both are 1, and between equal values neither function is defined.
        apart = np.abs(_cdf_difference(one, other, order)[:, :-1])
        area[replicate] = np.einsum("cr,cr->c", apart, gaps)
        largest[replicate] = np.max(apart, axis=1, where=distinct, initial=0.0)
    edges = np.quantile(a, np.arange(1, BINS) / BINS, axis=0) + _SAME * scale  # (bins - 1, channels)
    return DistributionPair(area, largest, _bin_counts(a, edges, take_a), _bin_counts(b, edges, take_b))


def _cdf_difference(take_a: Int, take_b: Int, order: Int) -> Float64:
    """(channels, rows) F_A - F_B behind each sorted value; exact integers until the division."""
    total_a, total_b = int(take_a.sum()), int(take_b.sum())
    if total_a == total_b:
        return np.cumsum(np.concatenate([take_a, -take_b])[order], axis=1) / total_a
    in_a = np.concatenate([take_a, np.zeros_like(take_b)])[order]
    in_b = np.concatenate([np.zeros_like(take_a), take_b])[order]
    return np.cumsum(in_a, axis=1) / total_a - np.cumsum(in_b, axis=1) / total_b


def _bin_counts(values: Float64, edges: Float64, take: Int) -> Float64:
    """(replicates, channels, bins) how many taken values lie in each bin."""
    below = (values[None] > edges[:, None]).sum(axis=0)  # (rows, channels) bin of each value
    weights = take.astype(np.float64)
    return np.stack([weights @ (below == number).astype(np.float64) for number in range(BINS)], axis=-1)


def wasserstein_1(pair: DistributionPair) -> Float64:
    """Mean over channels of the earth mover's distance, in pooled standard deviations: integral of |F_A - F_B|.

    Range 0 to infinity; moves with mean, scale and shape alike. Without a shift sampling gives
    1.615 sqrt(2 (1/n_A + 1/n_B) / pi) for a Gaussian. Blind to correlations between channels.
    """
    return pair.area.mean(axis=1)


def kolmogorov_smirnov(pair: DistributionPair) -> Float64:
    """Mean over channels of the largest difference between the two distribution functions.

    Range 0 to 1; unchanged by any monotone map of the values, so it sees order and not size. Without a shift sampling
    gives 0.869 sqrt(1/n_A + 1/n_B).
    """
    return pair.largest.mean(axis=1)


def population_stability_index(pair: DistributionPair) -> Float64:
    """Mean over channels of sum (p - q) ln(p/q) over ten bins, the deciles of the earlier checkpoint.

    Range 0 to infinity; 0.1 and 0.25 are credit scoring's marks for moderate and major. Without a shift sampling gives
    9 (1/n_A + 1/n_B). Sees nothing that happens inside a bin.
    """
    p, q = _shares(pair)
    return ((p - q) * np.log(p / q)).sum(axis=2).mean(axis=1)


def jensen_shannon(pair: DistributionPair) -> Float64:
    """Mean over channels of the Jensen-Shannon divergence in nats over ten bins, the deciles of the earlier checkpoint.

    Range 0 to ln 2. Without a shift sampling gives 9/8 (1/n_A + 1/n_B). Sees nothing inside a bin (Lin 1991).
    """
    p, q = _shares(pair)
    middle = (p + q) / 2
    divergence = (p * np.log(p / middle) + q * np.log(q / middle)) / 2
    return np.maximum(divergence.sum(axis=2).mean(axis=1), 0.0)


def _shares(pair: DistributionPair) -> tuple[Float64, Float64]:
    smooth_a, smooth_b = pair.counts_a + _PSEUDO_COUNT, pair.counts_b + _PSEUDO_COUNT
    return smooth_a / smooth_a.sum(axis=2, keepdims=True), smooth_b / smooth_b.sum(axis=2, keepdims=True)
