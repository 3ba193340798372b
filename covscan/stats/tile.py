"""Reducing the rows of one update for all accumulators at once, while they lie in the cache."""

import itertools
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from covscan.stats.origin import SLAB, Float64, Grouping, Index, longest_run

Values = npt.NDArray[np.floating]

ALL_FINITE: Final = np.ones((1, 1), bool)
"""Stands for a mask of True everywhere, which nobody has to look at."""
_OFFSET = 2.0
"""Squared mean over variance up to which a variance may come from sums of squares: beyond it these hold too few of its
digits. In float32 the variances of 256 rows are then off by 5e-7 at most, and by 1e-7 where nothing is offset."""
_LOOK, _MOST_FAR = 64, 1 / 8
"""Rows looked at to see whether there is an offset, and channels that must have one: others are worked out again."""
_SMALL = 1e-30
"""Sums of squares below this hold squares that float32 has not all digits of, or none."""
_ROUNDING = 64
"""Units in the last place by which a mean of equal values may be off."""


class Tile:
    """The values of some blocks, and what they come to.

    ``values`` (rows, channels), or (samples, channels, positions) with as many rows of each sample. ``low`` and
    ``high`` (channels,) are the extremes of the finite ones, infinite where there are none; ``zeros`` (channels,) int64
    counts values of zero; ``finite`` is ``ALL_FINITE``, or of the shape of the values and False where one is NaN or
    infinite. Sums are of deviations from ``pivot`` (channels,), in the dtype of the values, or from zero.
    """

    def __init__(self, values: Values, block: Index | Grouping, pivot: Values | None = None) -> None:
        self.values = values
        self.grouping = block if isinstance(block, Grouping) else Grouping(block)
        channels = values.shape[1]
        self.rows = values.size // max(channels, 1)
        self.finite: npt.NDArray[np.bool_] = ALL_FINITE
        self.zeros = np.zeros(channels, np.int64)
        self._pivot = pivot
        if not self.rows:
            self.low, self.high = np.full(channels, np.inf), np.full(channels, -np.inf)
            return
        with np.errstate(over="ignore", invalid="ignore"):
            self._reduce()
        if not (np.isfinite(self.low).all() and np.isfinite(self.high).all()):
            self.finite = np.isfinite(values)
            axes = (0, 2) if values.ndim == 3 else 0
            self.low = np.where(self.finite, values, np.inf).min(axis=axes)
            self.high = np.where(self.finite, values, -np.inf).max(axis=axes)

    def counted(self, there: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """(channels,) how many of ``there``, of the shape of the values, are True."""
        return counted(there) if there.ndim == 2 else np.add.reduce(there, axis=(0, 2), dtype=np.int64)

    def _reduce(self) -> None:
        if self.values.ndim == 3:
            self._reduce_planes()
        elif self.grouping.run > 1:
            self._reduce_runs()
        else:
            self._reduce_rows()

    def _reduce_rows(self) -> None:
        group, values, pivot = self.grouping, self.values, self._pivot
        self.low, self.high = np.minimum.reduce(values, axis=0), np.maximum.reduce(values, axis=0)
        self.zeros += counted(values == 0)
        deviation = values if pivot is None else values - pivot
        self._first, self._second = group.total(deviation), group.total(np.square(deviation))

    def _reduce_runs(self) -> None:
        group, values, pivot = self.grouping, self.values, self._pivot
        low, high, first, second = np.empty((4, len(values) // group.run, values.shape[1]), values.dtype)
        for place, rows in group.slabs(values):
            np.minimum.reduce(rows, axis=1, out=low[place])
            np.maximum.reduce(rows, axis=1, out=high[place])
            self.zeros += counted((rows == 0).reshape(-1, values.shape[1]))
            _sums_of_runs(rows if pivot is None else rows - pivot, first[place], second[place])
        self.low, self.high = np.minimum.reduce(low, axis=0), np.maximum.reduce(high, axis=0)
        self._first, self._second = group.by_block(first), group.by_block(second)

    def _reduce_planes(self) -> None:
        samples, channels, positions = self.values.shape
        run = longest_run(positions)
        low, high = np.empty((2, samples, channels), self.values.dtype)
        first, second = np.empty((2, samples, channels))
        ones = np.ones(run, self.values.dtype)
        many = max(1, SLAB // positions)
        for sample, start in itertools.product(range(samples), range(0, channels, many)):
            place = sample, slice(start, start + many)
            planes = self.values[place]
            np.minimum.reduce(planes, axis=1, out=low[place])
            np.maximum.reduce(planes, axis=1, out=high[place])
            zero = planes == 0
            if zero.any():
                few = np.add.reduce(zero.view(np.uint8).reshape(-1, run), axis=1, dtype=np.uint8)
                self.zeros[place[1]] += few.reshape(-1, positions // run).sum(axis=1, dtype=np.int64)
            runs = (planes if self._pivot is None else planes - self._pivot[place[1], None]).reshape(-1, run)
            for sums, found in ((first, runs @ ones), (second, np.einsum("rn,rn->r", runs, runs))):
                np.sum(found.reshape(-1, positions // run), axis=1, dtype=np.float64, out=sums[place])
        self.low, self.high = low.min(axis=0), high.max(axis=0)
        group = self.grouping.of_every(positions)
        self._first, self._second = group.total(first), group.total(second)

    @cached_property
    def moments(self) -> tuple[Float64, Float64, Float64]:
        """(blocks here, channels) count, mean and sum of squared deviations of the finite values of each block.

        The count is (blocks here, 1) where it is the same for all channels.
        """
        group = self.grouping
        if self.finite is not ALL_FINITE:
            return _around_mean(group, in_rows(self.values), in_rows(self.finite))
        count = group.count[:, None]
        with np.errstate(over="ignore", invalid="ignore"):
            mean = self._first / count
            m2 = np.maximum(self._second - self._first * mean, 0.0)
            if self._pivot is not None:
                mean += self._pivot
        doubtful = ~self._told()
        if doubtful.any():
            rest = self.values if doubtful.all() else self.values.compress(doubtful, axis=1)
            _, mean[:, doubtful], m2[:, doubtful] = _around_mean(group, in_rows(rest), ALL_FINITE)
        return count, mean, m2

    def _told(self) -> npt.NDArray[np.bool_]:
        """(channels,) whose variance the sums tell well enough."""
        with np.errstate(over="ignore", invalid="ignore"):
            whole, squares = self._first.sum(axis=0), self._second.sum(axis=0)
            told: npt.NDArray[np.bool_] = self.rows * squares >= (1 + 1 / _OFFSET) * np.square(whole)
        told &= (squares >= _SMALL) & (squares < np.inf)
        told |= (self.low == self.high) & (self.low == (0.0 if self._pivot is None else self._pivot))
        return told


def in_rows(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(rows, channels) of what is that already, or (samples, channels, positions)."""
    return values if values.ndim == 2 else np.moveaxis(values, 1, 2).reshape(-1, values.shape[1])


def offset_of(values: Values) -> Values | None:
    """(channels,) around what ``values`` and others like them are best added up; None where zero does as well.

    A look at a few of them, which are as in ``Tile``: where it was wrong nothing but time is lost.
    """
    if values.ndim == 3:
        few = in_rows(values[:, :, :: max(1, len(values) * values.shape[2] // _LOOK)])
    else:
        few = values[:: max(1, len(values) // _LOOK)]
    if not len(few):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        mean = _rough_mean(few)
        far = np.square(mean) > _OFFSET * np.square(few - mean).mean(axis=0)
    return _exact_if_constant(mean, few[0]) if np.count_nonzero(far) > _MOST_FAR * len(far) else None


def _sums_of_runs(rows: Values, first: Values, second: Values) -> None:
    """Sums of ``rows`` (runs, rows of each, channels) and of their squares, into (runs, channels)."""
    np.matmul(np.ones(rows.shape[1], rows.dtype), rows, out=first)
    np.einsum("rnc,rnc->rc", rows, rows, out=second)  # needs no array of squares


def counted(there: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """(channels,) how many of ``there`` (rows, channels) are True; most often none is, which is quick to see."""
    if not there.any():
        return np.zeros(there.shape[1], np.int64)
    # Summed as bytes by 128 rows, which cannot overflow: numpy sums booleans through 64-bit integers otherwise.
    parts = [
        np.add.reduce(there[row : row + 128].view(np.uint8), axis=0, dtype=np.uint8)
        for row in range(0, len(there), 128)
    ]
    return np.add.reduce(parts, axis=0, dtype=np.int64)


def _around_mean(group: Grouping, values: Values, finite: npt.NDArray[np.bool_]) -> tuple[Float64, Float64, Float64]:
    """``Tile.moments`` by deviations from the update's own mean, so that a large offset costs no digits."""
    if finite is ALL_FINITE:
        count = group.count[:, None]  # the same for every channel
        pivot = _exact_if_constant(_rough_mean(values), values[0])
    else:
        count = group.total(finite.astype(values.dtype))
        safe = np.where(finite, values, 0)
        first_there = values[np.argmax(finite, axis=0), np.arange(values.shape[1])]
        pivot = _exact_if_constant(_safe_mean(safe, finite).astype(values.dtype), first_there)
        values = np.where(finite, values, pivot)  # deviates by nothing
    first, second = _sums(group, values, pivot)
    shift = np.divide(first, count, out=np.zeros_like(first), where=count > 0)
    m2 = np.maximum(second - first * shift, 0.0)
    return count, pivot.astype(np.float64) + shift, m2


def _rough_mean(values: Values) -> Values:
    """(channels,) a mean good enough to subtract, in the dtype of the values; a product is the quickest sum."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.full(len(values), 1 / len(values), values.dtype) @ values
    return np.where(np.isfinite(mean), mean, 0).astype(values.dtype)


def _sums(group: Grouping, values: Values, pivot: Values) -> tuple[Float64, Float64]:
    """(blocks here, channels) sums of the deviations from ``pivot`` and of their squares."""
    with np.errstate(over="ignore", invalid="ignore"):
        first, second = _deviations(group, values, pivot)
    lost = np.logical_not(np.asarray(np.isfinite(second).all(axis=0)))
    if values.dtype != np.float64:
        small = (second < _SMALL).any(axis=0)
        if small.any():
            lost |= small & _differs(values, pivot)
    if lost.any():
        # Squares that overflow the rows' own precision, or of which it has no digits left.
        wide = values[:, lost].astype(np.float64)
        first[:, lost], second[:, lost] = _deviations(group, wide, pivot[lost].astype(np.float64))
    return first, second


def _deviations(group: Grouping, values: Values, pivot: Values) -> tuple[Float64, Float64]:
    """(blocks here, channels) sums of ``values - pivot`` and of its squares, in the dtype of the rows.

    Infinite where a square overflows that dtype.
    """
    if group.run == 1:
        deviation = values - pivot
        return group.total(deviation), group.total(np.square(deviation))
    first, second = np.empty((2, len(values) // group.run, values.shape[1]), values.dtype)
    for place, rows in group.slabs(values):
        _sums_of_runs(rows - pivot, first[place], second[place])
    return group.by_block(first), group.by_block(second)


def _differs(values: Values, pivot: Values) -> npt.NDArray[np.bool_]:
    """(channels,) whether any value is another than ``pivot``."""
    # As bytes: numpy looks for a True along an axis of booleans far slower (1.6 ms an update against 1.1).
    other = np.not_equal(values, pivot).view(np.uint8)
    found: npt.NDArray[np.bool_] = np.bitwise_or.reduce(other, axis=0).astype(bool)
    return found


def _exact_if_constant(mean: Values, first: Values) -> Values:
    """(channels,) ``mean``, or the ``first`` value where that is as near as rounding takes a mean.

    Constant channels deviate from it by exactly nothing: rounding would leave them a variance, and a logarithm of that.
    """
    near = np.abs(first - mean) <= _ROUNDING * np.finfo(mean.dtype).eps * np.abs(mean)
    return np.where(near, first, mean)


def _safe_mean(values: Values, finite: npt.NDArray[np.bool_]) -> Float64:
    """(channels,) mean of the finite values, scaled so that the sum cannot overflow; 0 where there are none."""
    n = np.maximum(finite.sum(axis=0), 1)
    mean: Float64 = (values.astype(np.float64) / n).sum(axis=0)
    return mean
