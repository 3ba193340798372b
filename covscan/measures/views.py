"""Cutting summaries into what the measures take: replicates of moments, of sorted samples, of Gram matrices."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from covscan.measures.distribution import DistributionPair, pair_samples
from covscan.measures.geometry import GeometryPair, gram
from covscan.measures.moments import MomentPair
from covscan.measures.replicates import Groups, jackknife_error
from covscan.measures.sampling import Sampling
from covscan.stats import Moments, RowSample, SiteSummary

Float64 = npt.NDArray[np.float64]

_DEAD_SHARE = 1e-3
"""A channel whose standard deviation is below this share of the median one counts as constant."""
_LEAST_SHARE = 0.1
"""Of the median standard deviation, by which a channel is measured at least where the samples differ: pixels that are
dark in all but one image would else decide over a data set, and the luck of that image over the interval."""
_SORTED_VALUES, _SORTED_CHANNELS, _SORTED_ROWS = 2**15, 64, 1024
_GRAM_ROWS = 256


@dataclass(frozen=True, slots=True)
class RowPair:
    """Rows of two sides: values (rows, channels) float64 each, and their blocks (rows,); the same rows or not."""

    a: Float64
    b: Float64
    block_a: npt.NDArray[np.int64]
    block_b: npt.NDArray[np.int64]


def variance_floor(*moments: Moments, share: float = _DEAD_SHARE) -> float:
    """The square of a share of the median positive standard deviation; below 1e-3 a channel counts as constant."""
    deviations = np.concatenate([np.sqrt(m.variance[np.isfinite(m.variance)]) for m in moments])
    positive = deviations[deviations > 0]
    return float((share * np.median(positive)) ** 2) if len(positive) else 0.0


def moment_pair(a: SiteSummary, b: SiteSummary, sampling: Sampling) -> MomentPair:
    """The moments of two sides in every replicate of ``sampling``."""
    whole_a, whole_b = a.moments.pooled(), b.moments.pooled()
    live = _live(whole_a, whole_b)
    floor = variance_floor(whole_a, whole_b, share=_DEAD_SHARE if sampling.paired else _LEAST_SHARE)
    if not sampling.paired and floor:
        # Other data may be constant in a channel, at another value.
        live |= np.square(whole_b.mean - whole_a.mean) > floor
    weights_a, weights_b = sampling.weights()
    one, other = a.moments.subsets(weights_a), b.moments.subsets(weights_b)
    return MomentPair(one, other, live, floor, _squared_error(one, other, sampling, floor))


def half_moment_pair(
    summary: SiteSummary, first: Float64, second: Float64, groups: Groups, *, paired: bool
) -> MomentPair:
    """Two halves of one side's samples, whose differences are sampling alone; ``paired`` as in what they are for."""
    whole = summary.moments.pooled()
    live = _live(whole, whole)
    floor = variance_floor(whole, share=_DEAD_SHARE if paired else _LEAST_SHARE)
    without = summary.moments.subsets(groups.leave_one_out())
    pooled = np.maximum(whole.variance, floor) if floor else np.ones_like(whole.variance)
    one = (np.square(jackknife_error(without.mean)) + np.square(jackknife_error(np.sqrt(without.variance)))) / pooled
    # Each half has twice the sampling variance of the whole, and the two are independent.
    return MomentPair(summary.moments.subsets(first), summary.moments.subsets(second), live, floor, 4 * one)


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


def row_pair(a: RowSample, b: RowSample, *, paired: bool) -> RowPair:
    """Rows that are finite in every channel, in the order of their hash: those kept on both sides, or all of each."""
    if not paired:
        return _own_rows(a, b)
    if np.array_equal(a.key, b.key):
        at_a = at_b = np.arange(len(a.key))
    else:
        _, at_a, at_b = np.intersect1d(a.key, b.key, assume_unique=True, return_indices=True)
    values_a, values_b = a.values[at_a].astype(np.float64), b.values[at_b].astype(np.float64)
    finite = np.isfinite(values_a).all(axis=1) & np.isfinite(values_b).all(axis=1)
    block = a.block[at_a][finite]
    return RowPair(values_a[finite], values_b[finite], block, block)


def _own_rows(a: RowSample, b: RowSample) -> RowPair:
    finite_a, finite_b = np.isfinite(a.values).all(axis=1), np.isfinite(b.values).all(axis=1)
    return RowPair(
        a.values[finite_a].astype(np.float64),
        b.values[finite_b].astype(np.float64),
        a.block[finite_a],
        b.block[finite_b],
    )


def distribution_pair(rows: RowPair, first: Float64, second: Float64) -> DistributionPair | None:
    """Sorted samples of up to 64 channels that vary; weights (replicates, blocks) choose the rows of either side."""
    channels = _varying(rows)
    if not len(channels) or min(len(rows.a), len(rows.b)) < 2:
        return None
    count = int(np.clip(_SORTED_VALUES // len(channels), 1, _SORTED_ROWS))
    a, b = rows.a[:count, channels], rows.b[:count, channels]
    take_a = first[:, rows.block_a[:count]].astype(np.int64)
    take_b = second[:, rows.block_b[:count]].astype(np.int64)
    if not (take_a.sum(axis=1).all() and take_b.sum(axis=1).all()):
        return None
    return pair_samples(a, b, take_a, take_b)


def geometry_pair(rows: RowPair, first: Float64, second: Float64) -> GeometryPair | None:
    """Gram matrices of up to 256 rows over every kept channel; None where too few rows are left."""
    a, b = rows.a[:_GRAM_ROWS], rows.b[:_GRAM_ROWS]
    take_a, take_b = first[:, rows.block_a[:_GRAM_ROWS]], second[:, rows.block_b[:_GRAM_ROWS]]
    if min(take_a.sum(axis=1).min(), take_b.sum(axis=1).min()) < 4:
        return None
    return GeometryPair(gram(a), gram(b), take_a, take_b)


def _varying(rows: RowPair) -> npt.NDArray[np.int64]:
    varying = np.flatnonzero(_spread(rows.a) + _spread(rows.b) > 0)
    if len(varying) <= _SORTED_CHANNELS:
        return varying
    even = np.linspace(0, len(varying) - 1, _SORTED_CHANNELS).round().astype(np.int64)
    return varying[even]


def _spread(values: Float64) -> Float64:
    spread: Float64 = np.ptp(values, axis=0) if len(values) else np.zeros(values.shape[1])
    return spread
