"""Count, mean and sum of squared deviations per block of samples and channel."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and population variance per channel, arrays (..., channels) float64; NaN where ``count`` is 0."""

    count: Float64
    mean: Float64
    variance: Float64


class BlockMoments:
    """Streams rows into count, mean and M2 for each (block, channel), merged pairwise (Chan, Golub, LeVeque 1983).

    Inside one update deviations are taken from the update's own mean, so a large common offset costs no digits, in
    the dtype of the rows; everything kept is float64. Non-finite values are left out and nothing else is.
    """

    def __init__(self, blocks: int, channels: int) -> None:
        self.count = np.zeros((blocks, channels))  # (blocks, channels)
        self.mean = np.zeros((blocks, channels))
        self.m2 = np.zeros((blocks, channels))

    def update(self, values: npt.NDArray[np.floating], block: Index) -> None:
        """Take ``values`` (rows, channels) whose rows belong to ``block`` (rows,)."""
        if not len(values):
            return
        blocks, channels = self.count.shape
        member = np.zeros((blocks, len(values)), values.dtype)  # (blocks, rows), one 1 in each column
        member[block, np.arange(len(values))] = 1
        # The sum is finite in all but odd batches, and cheaper than looking at every value.
        with np.errstate(over="ignore", invalid="ignore"):
            total = values.sum(axis=0, dtype=np.float64)
        if np.isfinite(total).all():
            count = np.repeat(member.sum(axis=1, dtype=np.float64)[:, None], channels, axis=1)
            pivot = (total / len(values)).astype(values.dtype)
            deviation = values - pivot
        else:
            finite = np.isfinite(values)
            count = (member @ finite.astype(values.dtype)).astype(np.float64)
            safe = np.where(finite, values, 0)
            pivot = _safe_mean(safe, finite).astype(values.dtype)
            deviation = np.where(finite, safe - pivot, 0)
        with np.errstate(over="ignore", invalid="ignore"):
            first = (member @ deviation).astype(np.float64)
            second = (member @ np.square(deviation)).astype(np.float64)
        if not np.isfinite(second).all():  # squares that overflow the rows' own precision
            wide = deviation.astype(np.float64)
            first, second = member.astype(np.float64) @ wide, member.astype(np.float64) @ np.square(wide)
        shift = np.divide(first, count, out=np.zeros_like(first), where=count > 0)
        self._combine(count, pivot.astype(np.float64) + shift, np.maximum(second - first * shift, 0.0))

    def merge(self, other: "BlockMoments") -> None:
        """Add what another accumulator over the same blocks and channels has seen."""
        self._combine(other.count, other.mean, other.m2)

    def _combine(self, count: Float64, mean: Float64, m2: Float64) -> None:
        total = self.count + count
        share = np.divide(count, total, out=np.zeros_like(total), where=total > 0)
        delta = np.where(count > 0, mean - self.mean, 0.0)
        delta = np.where(self.count > 0, delta, np.where(count > 0, mean, 0.0))
        cross = np.where(self.count > 0, np.square(delta) * self.count * share, 0.0)
        self.m2 = self.m2 + np.where(count > 0, m2, 0.0) + cross
        self.mean = np.where(self.count > 0, self.mean + delta * share, delta)
        self.count = total

    def subsets(self, weights: npt.NDArray[np.floating]) -> Moments:
        """Moments of weighted selections of blocks: ``weights`` (replicates, blocks) gives (replicates, channels)."""
        n = weights @ self.count
        pivot = self.pooled_mean()
        offset = np.where(self.count > 0, self.mean - pivot, 0.0)
        first = weights @ (self.count * offset)
        second = weights @ (self.m2 + self.count * np.square(offset))
        safe = np.where(n > 0, n, np.nan)
        shift = first / safe
        return Moments(count=n, mean=pivot + shift, variance=np.maximum(second / safe - np.square(shift), 0.0))

    def pooled(self) -> Moments:
        """Moments of everything, arrays (channels,)."""
        whole = self.subsets(np.ones((1, len(self.count))))
        return Moments(count=whole.count[0], mean=whole.mean[0], variance=whole.variance[0])

    def pooled_mean(self) -> Float64:
        """(channels,) mean over all blocks, 0 where nothing was seen."""
        n = self.count.sum(axis=0)
        # Around one block's mean first: a sum of large equal means would lose the digits that tell them apart.
        anchor = self.mean[np.argmax(self.count > 0, axis=0), np.arange(self.count.shape[1])]
        rest = (self.count * np.where(self.count > 0, self.mean - anchor, 0.0)).sum(axis=0)
        return anchor + np.divide(rest, n, out=np.zeros_like(rest), where=n > 0)

    def state(self) -> dict[str, Any]:
        """The arrays to store or send."""
        return {"count": self.count, "mean": self.mean, "m2": self.m2}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from ``state()``."""
        made = cls(*state["count"].shape)
        made.count, made.mean, made.m2 = (np.array(state[name], np.float64) for name in ("count", "mean", "m2"))
        return made


def _safe_mean(values: npt.NDArray[np.floating], finite: npt.NDArray[np.bool_]) -> Float64:
    """(channels,) mean of the finite values, scaled so that the sum cannot overflow; 0 where there are none."""
    n = np.maximum(finite.sum(axis=0), 1)
    mean: Float64 = (values.astype(np.float64) / n).sum(axis=0)
    return mean
