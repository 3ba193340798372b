"""Cutting summaries into what the measures take: replicates of moments, of sorted samples, of Gram matrices."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from covscan.measures.distribution import DistributionPair, pair_samples
from covscan.measures.geometry import GeometryPair, gram
from covscan.measures.moments import MomentPair
from covscan.measures.replicates import Groups, jackknife_error
from covscan.stats import Moments, RowSample, SiteSummary

Float64 = npt.NDArray[np.float64]

_DEAD_SHARE = 1e-3
"""A channel whose standard deviation is below this share of the median one counts as constant."""
_SORTED_VALUES, _SORTED_CHANNELS, _SORTED_ROWS = 2**15, 64, 1024
_GRAM_ROWS = 256


@dataclass(frozen=True, slots=True)
class PairedRows:
    """The same rows at two checkpoints: values (rows, channels) float64 each, and their blocks (rows,)."""

    a: Float64
    b: Float64
    block: npt.NDArray[np.int64]


def variance_floor(*moments: Moments) -> float:
    """Variance below which a channel counts as constant: (1e-3 of the median positive standard deviation)^2."""
    deviations = np.concatenate([np.sqrt(m.variance[np.isfinite(m.variance)]) for m in moments])
    positive = deviations[deviations > 0]
    return float((_DEAD_SHARE * np.median(positive)) ** 2) if len(positive) else 0.0


def moment_pair(a: SiteSummary, b: SiteSummary, weights: Float64, groups: Groups) -> MomentPair:
    """Paired replicates of two checkpoints: ``weights`` (replicates, blocks) goes to both."""
    whole_a, whole_b = a.moments.pooled(), b.moments.pooled()
    floor, live = _live(whole_a, whole_b)
    bias = np.zeros(a.channels)
    if groups.count > 1:
        without = groups.leave_one_out()
        bias = _squared_error(a.moments.subsets(without), b.moments.subsets(without), whole_a, whole_b, floor)
    return MomentPair(a.moments.subsets(weights), b.moments.subsets(weights), live, floor, bias)


def half_moment_pair(summary: SiteSummary, first: Float64, second: Float64, groups: Groups) -> MomentPair:
    """Two halves of one checkpoint, whose differences are sampling alone."""
    whole = summary.moments.pooled()
    floor, live = _live(whole, whole)
    without = summary.moments.subsets(groups.leave_one_out())
    pooled = np.maximum(whole.variance, floor) if floor else np.ones_like(whole.variance)
    one = (np.square(jackknife_error(without.mean)) + np.square(jackknife_error(np.sqrt(without.variance)))) / pooled
    # Each half has twice the sampling variance of the whole, and the two are independent.
    return MomentPair(summary.moments.subsets(first), summary.moments.subsets(second), live, floor, 4 * one)


def _live(a: Moments, b: Moments) -> tuple[float, npt.NDArray[np.bool_]]:
    floor = variance_floor(a, b)
    both = np.maximum(a.variance, b.variance)
    return floor, np.isfinite(a.variance + b.variance) & (both > 0) & (both >= floor)


def _squared_error(a: Moments, b: Moments, whole_a: Moments, whole_b: Moments, floor: float) -> Float64:
    """(channels,) sampling variance of the paired differences of mean and standard deviation, standardized."""
    pooled = np.maximum((whole_a.variance + whole_b.variance) / 2, floor) if floor else np.ones_like(whole_a.variance)
    mean = jackknife_error(b.mean - a.mean)
    scale = jackknife_error(np.sqrt(b.variance) - np.sqrt(a.variance))
    error: Float64 = (np.square(mean) + np.square(scale)) / pooled
    return error


def paired_rows(a: RowSample, b: RowSample) -> PairedRows:
    """Rows kept at both checkpoints and finite in every channel, in the order of their hash."""
    if np.array_equal(a.key, b.key):
        at_a = at_b = np.arange(len(a.key))
    else:
        _, at_a, at_b = np.intersect1d(a.key, b.key, assume_unique=True, return_indices=True)
    values_a, values_b = a.values[at_a].astype(np.float64), b.values[at_b].astype(np.float64)
    finite = np.isfinite(values_a).all(axis=1) & np.isfinite(values_b).all(axis=1)
    return PairedRows(values_a[finite], values_b[finite], a.block[at_a][finite])


def distribution_pair(rows: PairedRows, first: Float64, second: Float64) -> DistributionPair | None:
    """Sorted samples of up to 64 channels that vary; weights (replicates, blocks) choose the rows of either side."""
    channels = _varying(rows)
    if not len(channels) or len(rows.a) < 2:
        return None
    count = int(np.clip(_SORTED_VALUES // len(channels), 1, _SORTED_ROWS))
    a, b, block = rows.a[:count, channels], rows.b[:count, channels], rows.block[:count]
    take_a, take_b = first[:, block].astype(np.int64), second[:, block].astype(np.int64)
    if not (take_a.sum(axis=1).all() and take_b.sum(axis=1).all()):
        return None
    return pair_samples(a, b, take_a, take_b)


def geometry_pair(rows: PairedRows, weights: Float64) -> GeometryPair | None:
    """Gram matrices of up to 256 rows over every kept channel; None where too few rows are left."""
    a, b, block = rows.a[:_GRAM_ROWS], rows.b[:_GRAM_ROWS], rows.block[:_GRAM_ROWS]
    take = weights[:, block]
    if len(a) < 4 or take.sum(axis=1).min() < 4:
        return None
    return GeometryPair(gram(a), gram(b), take)


def _varying(rows: PairedRows) -> npt.NDArray[np.int64]:
    spread = np.ptp(rows.a, axis=0) + np.ptp(rows.b, axis=0) if len(rows.a) else np.zeros(rows.a.shape[1])
    varying = np.flatnonzero(spread > 0)
    if len(varying) <= _SORTED_CHANNELS:
        return varying
    even = np.linspace(0, len(varying) - 1, _SORTED_CHANNELS).round().astype(np.int64)
    return varying[even]
