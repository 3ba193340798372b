"""Measures of shift that need whole one-dimensional distributions, from the kept rows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

BINS = 10
_PSEUDO_COUNT = 0.5
"""Added to every bin, so that an empty one gives a large number and not infinity."""


@dataclass(frozen=True, slots=True)
class DistributionPair:
    """Two samples of each channel, sorted together once, with the rows that each replicate takes.

    ``values`` (channels, rows of A + rows of B) ascending, ``order`` the row each came from, ``take_a``
    (replicates, rows of A) and ``take_b`` 0 or 1, ``scale`` (channels,) the pooled standard deviation,
    ``counts_a`` (replicates, channels, bins) and ``counts_b`` how many taken values fall between the frozen edges.
    """

    values: Float64
    order: Int
    take_a: Int
    take_b: Int
    scale: Float64
    counts_a: Float64
    counts_b: Float64

    def cdf_differences(self, replicate: int) -> Float64:
        """(channels, rows) F_A - F_B behind each sorted value; exact integers until the last division."""
        a, b = self.take_a[replicate], self.take_b[replicate]
        total_a, total_b = int(a.sum()), int(b.sum())
        if total_a == total_b:
            signed = np.concatenate([a, -b])[self.order]
            return np.cumsum(signed, axis=1) / total_a
        in_a = np.concatenate([a, np.zeros_like(b)])[self.order]
        in_b = np.concatenate([np.zeros_like(a), b])[self.order]
        return np.cumsum(in_a, axis=1) / total_a - np.cumsum(in_b, axis=1) / total_b


def pair_samples(a: Float64, b: Float64, take_a: Int, take_b: Int, scale: Float64) -> DistributionPair:
    """Sort two samples (rows, channels) together; bins are the deciles of all of ``a``."""
    both = np.concatenate([a, b]).T  # (channels, rows)
    order = np.argsort(both, axis=1, kind="stable")
    edges = np.quantile(a, np.arange(1, BINS) / BINS, axis=0)  # (bins - 1, channels)
    return DistributionPair(
        values=np.take_along_axis(both, order, axis=1),
        order=order,
        take_a=take_a,
        take_b=take_b,
        scale=scale,
        counts_a=_bin_counts(a, edges, take_a),
        counts_b=_bin_counts(b, edges, take_b),
    )


def _bin_counts(values: Float64, edges: Float64, take: Int) -> Float64:
    """(replicates, channels, bins) how many taken values lie in each bin."""
    below = (values[None] > edges[:, None]).sum(axis=0)  # (rows, channels) bin of each value
    counts = np.stack([take @ (below == number) for number in range(BINS)], axis=-1)
    return counts.astype(np.float64)


def wasserstein_1(pair: DistributionPair) -> Float64:
    """Mean over channels of the earth mover's distance, in pooled standard deviations: integral of |F_A - F_B|.

    Range 0 to infinity; moves with mean, scale and shape alike. Without a shift sampling gives
    1.615 sqrt(2 (1/n_A + 1/n_B) / pi) for a Gaussian. Blind to correlations between channels.
    """
    gaps = np.diff(pair.values, axis=1)
    distances = [
        (np.abs(pair.cdf_differences(r)[:, :-1]) * gaps).sum(axis=1) / pair.scale for r in range(len(pair.take_a))
    ]
    return np.array([distance.mean() for distance in distances])


def kolmogorov_smirnov(pair: DistributionPair) -> Float64:
    """Mean over channels of the largest difference between the two distribution functions.

    Range 0 to 1; unchanged by any monotone map of the values, so it sees order and not size. Without a shift sampling
    gives 0.869 sqrt(1/n_A + 1/n_B).
    """
    last = np.ones((len(pair.values), 1), bool)
    distinct = np.concatenate([np.diff(pair.values, axis=1) > 0, last], axis=1)
    largest = [np.where(distinct, np.abs(pair.cdf_differences(r)), 0).max(axis=1) for r in range(len(pair.take_a))]
    return np.array([channel.mean() for channel in largest])


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
