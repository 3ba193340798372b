"""Count, mean and sum of squared deviations per block of samples and channel."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from covscan.stats.origin import Float64, Index
from covscan.stats.tile import Tile


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and population variance per channel, arrays (..., channels) float64; NaN where ``count`` is 0."""

    count: Float64
    mean: Float64
    variance: Float64

    def replicate(self, number: int) -> "Moments":
        """One row of moments of several selections, arrays (channels,)."""
        return Moments(self.count[number], self.mean[number], self.variance[number])


@dataclass(frozen=True, slots=True)
class BlockSums:
    """Per block and channel the count (or (blocks, 1) where all channels have the same) and sums around ``pivot``.

    ``first`` and ``second`` (blocks, channels) are sums of deviations from ``pivot`` (channels,) and of their squares.
    """

    count: Float64
    pivot: Float64
    first: Float64
    second: Float64

    def subsets(self, weights: npt.NDArray[np.floating]) -> Moments:
        """See ``BlockMoments.subsets``."""
        n = weights @ self.count
        safe = np.where(n > 0, n, np.nan)
        shift, variance = weights @ self.first, weights @ self.second
        shift /= safe
        variance /= safe
        variance -= np.square(shift)
        np.maximum(variance, 0.0, out=variance)
        shift += self.pivot
        return Moments(np.broadcast_to(n, shift.shape), shift, variance)


class BlockMoments:
    """Streams rows into count, mean and M2 for each (block, channel), merged pairwise (Chan, Golub, LeVeque 1983).

    Inside one update deviations are taken from the update's own mean, so a large common offset costs no digits, in
    the dtype of the rows; everything kept is float64. Non-finite values are left out and nothing else is.
    """

    def __init__(self, blocks: int, channels: int) -> None:
        self.count = np.zeros((blocks, channels))  # (blocks, channels)
        self.mean = np.zeros((blocks, channels))
        self.m2 = np.zeros((blocks, channels))

    def update(self, tile: Tile) -> None:
        """Take the rows of an update, whose blocks are among these."""
        if tile.rows:
            self._combine(tile.grouping.present, *tile.moments)

    def merge(self, other: "BlockMoments") -> None:
        """Add what another accumulator over the same blocks and channels has seen."""
        self._combine(np.arange(len(self.count)), other.count, other.mean, other.m2)

    def _combine(self, place: Index, count: Float64, mean: Float64, m2: Float64) -> None:
        """Merge moments of the blocks at ``place`` (blocks here,), arrays (blocks here, channels or 1)."""
        before = self.count[place]
        if not before.any() and count.all():
            self.count[place], self.mean[place], self.m2[place] = count, mean, m2
            return
        old, total = self.mean[place], before + count
        if before.all() and count.all():  # as nearly always: nothing to leave out, and half the passes
            share = count / total
            delta = np.subtract(mean, old)
            towards = delta * share
            self.mean[place] = np.add(old, towards, out=old)
            self.m2[place] += np.add(m2, np.multiply(delta, np.multiply(towards, before, out=towards), out=delta))
        else:
            share = np.divide(count, total, out=np.zeros_like(total), where=total > 0)
            # Where one side is empty the other's mean stands: a difference to a mean of nothing means nothing.
            delta = np.where(count > 0, mean - np.where(before > 0, old, 0.0), 0.0)
            self.m2[place] += np.where(count > 0, m2, 0.0) + np.where(before > 0, delta * delta * before * share, 0.0)
            self.mean[place] = np.where(before > 0, old + delta * share, delta)
        self.count[place] = total

    def sums(self) -> "BlockSums":
        """The moments as sums around one pivot, of which any selection of blocks is a product away."""
        pivot = self.pooled_mean()
        offset = np.where(self.count > 0, self.mean - pivot, 0.0)
        first = self.count * offset
        second = np.multiply(first, offset, out=offset)
        second += self.m2
        same = bool((self.count == self.count[:, :1]).all())
        return BlockSums(self.count[:, :1] if same else self.count, pivot, first, second)

    def subsets(self, weights: npt.NDArray[np.floating]) -> Moments:
        """Moments of weighted selections of blocks: ``weights`` (replicates, blocks) gives (replicates, channels)."""
        return self.sums().subsets(weights)

    def pooled(self) -> Moments:
        """Moments of everything, arrays (channels,)."""
        return self.subsets(np.ones((1, len(self.count)))).replicate(0)

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
