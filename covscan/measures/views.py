"""Cutting summaries into what the measures take: replicates of moments, of sorted samples, of Gram matrices."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from covscan.measures.distribution import DistributionPair, Drawn, pair_samples
from covscan.measures.geometry import GeometryPair, Gram, gram
from covscan.measures.moments import MomentPair
from covscan.measures.replicates import jackknife_error
from covscan.measures.sampling import Sampling
from covscan.stats import BlockSums, Moments, SiteSummary

Float64 = npt.NDArray[np.float64]

_DEAD_SHARE = 1e-3
"""A channel whose standard deviation is below this share of the median one counts as constant."""
_LEAST_SHARE = 0.1
"""Of the median standard deviation, by which a channel is measured at least where the samples differ: pixels that are
dark in all but one image would else decide over a data set, and the luck of that image over the interval."""
_SORTED_VALUES, _SORTED_CHANNELS, _SORTED_ROWS = 2**15, 64, 1024
GRAM_ROWS = 256


@dataclass(frozen=True, eq=False)
class Part:
    """Rows of one side: ``values`` (rows, channels) float64, finite, and their ``block`` (rows,)."""

    values: Float64
    block: npt.NDArray[np.int64]

    @cached_property
    def gram(self) -> Gram:
        """Gram matrix of up to 256 of the rows, over every kept channel."""
        return gram(self.values[:GRAM_ROWS])

    @cached_property
    def spread(self) -> Float64:
        """(channels,) how far apart the smallest and the largest value are."""
        spread: Float64 = np.ptp(self.values, axis=0) if len(self.values) else np.zeros(self.values.shape[1])
        return spread


class Kept:
    """One side's summary of a site, and what several comparisons need of its rows, worked out once."""

    def __init__(self, summary: SiteSummary) -> None:
        self.summary = summary
        self._moments: dict[bytes, Moments] = {}

    @cached_property
    def sums(self) -> BlockSums:
        """Its moments as sums."""
        return self.summary.moments.sums()

    def moments(self, weights: Float64) -> Moments:
        """Of selections of blocks by ``weights`` (replicates, blocks), once for equal ones."""
        key = weights.tobytes()
        if key not in self._moments:
            self._moments[key] = self.sums.subsets(weights)
        return self._moments[key]

    @cached_property
    def finite(self) -> npt.NDArray[np.bool_]:
        """(rows,) which rows are finite in every channel."""
        return np.asarray(np.isfinite(self.summary.rows.values).all(axis=1))

    @cached_property
    def whole(self) -> Part:
        """The finite rows, in the order of their hash."""
        return self.part(np.flatnonzero(self.finite))

    def part(self, rows: npt.NDArray[np.int64]) -> Part:
        """Some of the rows."""
        kept = self.summary.rows
        return Part(kept.values[rows].astype(np.float64), kept.block[rows])


@dataclass(frozen=True, slots=True)
class RowPair:
    """Rows of two sides, the same rows or not."""

    a: Part
    b: Part


def variance_floor(*moments: Moments, share: float = _DEAD_SHARE) -> float:
    """The square of a share of the median positive standard deviation; below 1e-3 a channel counts as constant."""
    deviations = np.concatenate([np.sqrt(m.variance[np.isfinite(m.variance)]) for m in moments])
    positive = deviations[deviations > 0]
    return float((share * np.median(positive)) ** 2) if len(positive) else 0.0


def moment_pair(a: Kept, b: Kept, sampling: Sampling) -> MomentPair:
    """The moments of two sides in every replicate of ``sampling``."""
    weights_a, weights_b = sampling.weights()
    one, other = a.moments(weights_a), b.moments(weights_b)
    whole_a, whole_b = one.replicate(0), other.replicate(0)
    live = _live(whole_a, whole_b)
    floor = variance_floor(whole_a, whole_b, share=_DEAD_SHARE if sampling.paired else _LEAST_SHARE)
    if not sampling.paired and floor:
        # Other data may be constant in a channel, at another value.
        live |= np.square(whole_b.mean - whole_a.mean) > floor
    return MomentPair(one, other, live, floor, _squared_error(one, other, sampling, floor))


def half_moment_pair(kept: Kept, first: Float64, second: Float64, sampling: Sampling, *, paired: bool) -> MomentPair:
    """Two halves of one side's samples, whose differences are sampling alone; ``paired`` as in what they are for."""
    replicates = kept.moments(sampling.weights()[0])
    whole = replicates.replicate(0)
    live = _live(whole, whole)
    floor = variance_floor(whole, share=_DEAD_SHARE if paired else _LEAST_SHARE)
    pooled = np.maximum(whole.variance, floor) if floor else np.ones_like(whole.variance)
    without = slice(1, None)
    mean, scale = jackknife_error(replicates.mean[without]), jackknife_error(np.sqrt(replicates.variance[without]))
    one = (np.square(mean) + np.square(scale)) / pooled
    # Each half has twice the sampling variance of the whole, and the two are independent.
    return MomentPair(kept.sums.subsets(first), kept.sums.subsets(second), live, floor, 4 * one)


def _live(a: Moments, b: Moments) -> npt.NDArray[np.bool_]:
    """(channels,) which vary on one side at least."""
    both = np.maximum(a.variance, b.variance)
    live: npt.NDArray[np.bool_] = (both > 0) & (both >= variance_floor(a, b))
    return live & np.isfinite(a.variance + b.variance)


def _squared_error(a: Moments, b: Moments, sampling: Sampling, floor: float) -> Float64:
    """(channels,) sampling variance of the differences of mean and standard deviation, standardized."""
    whole = (a.variance[0] + b.variance[0]) / 2
    pooled = np.maximum(whole, floor) if floor else np.ones_like(whole)
    mean = sampling.error(b.mean - a.mean)
    scale = sampling.error(np.sqrt(b.variance) - np.sqrt(a.variance))
    error: Float64 = (np.square(mean) + np.square(scale)) / pooled
    return error


def row_pair(a: Kept, b: Kept, *, paired: bool) -> RowPair:
    """Rows that are finite in every channel, in the order of their hash: those kept on both sides, or all of each."""
    if not paired:
        return RowPair(a.whole, b.whole)
    if np.array_equal(a.summary.rows.key, b.summary.rows.key):
        if np.array_equal(a.finite, b.finite):
            return RowPair(a.whole, b.whole)
        at_a = at_b = np.arange(len(a.finite))
    else:
        _, at_a, at_b = np.intersect1d(a.summary.rows.key, b.summary.rows.key, assume_unique=True, return_indices=True)
    finite = a.finite[at_a] & b.finite[at_b]
    return RowPair(a.part(at_a[finite]), b.part(at_b[finite]))


def distribution_pair(rows: RowPair, first: Float64, second: Float64) -> DistributionPair | None:
    """Sorted samples of up to 64 channels that vary; weights (replicates, blocks) choose the rows of either side."""
    channels = _varying(rows)
    if not len(channels) or min(len(rows.a.values), len(rows.b.values)) < 2:
        return None
    count = int(np.clip(_SORTED_VALUES // len(channels), 1, _SORTED_ROWS))
    a = rows.a.values[:count, channels]
    b = a if rows.b is rows.a else rows.b.values[:count, channels]
    one, other = Drawn(a, rows.a.block[:count], first), Drawn(b, rows.b.block[:count], second)
    return pair_samples(one, other) if one.everywhere and other.everywhere else None


def geometry_pair(rows: RowPair, first: Float64, second: Float64) -> GeometryPair | None:
    """Gram matrices of up to 256 rows over every kept channel; None where too few rows are left."""
    take_a, take_b = first[:, rows.a.block[:GRAM_ROWS]], second[:, rows.b.block[:GRAM_ROWS]]
    if min(take_a.sum(axis=1).min(), take_b.sum(axis=1).min()) < 4:
        return None
    return GeometryPair(rows.a.gram, rows.b.gram, take_a, take_b)


def _varying(rows: RowPair) -> npt.NDArray[np.int64]:
    varying = np.flatnonzero(rows.a.spread + rows.b.spread > 0)
    if len(varying) <= _SORTED_CHANNELS:
        return varying
    even = np.linspace(0, len(varying) - 1, _SORTED_CHANNELS).round().astype(np.int64)
    return varying[even]
