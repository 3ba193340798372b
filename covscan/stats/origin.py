"""Which sample, position and block each row of an update comes from, and what follows from that alone."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from covscan.stats.hashing import UInt64, hash_pair

Float64 = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_ROW_STREAM = 4
_SHORT, _LONG = 8, 128
"""Rows to a run: sums of fewer are no quicker than a product, sums of more lose digits in float32."""
_SLAB = 2**17
"""Values worked on at once, so that they stay in the cache from one pass to the next."""


class Grouping:
    """The blocks that have rows in an update, and sums over them.

    ``present`` (blocks here,) ascending, ``count`` (blocks here,) their rows. Where rows stand in equal runs of one
    block, as those of one sample do, they are summed run by run; else by a product with a 0-1 matrix.
    """

    def __init__(self, block: Index) -> None:
        starts = np.flatnonzero(np.diff(block, prepend=-1))
        run = int(np.gcd.reduce(np.append(starts[1:], len(block)) - starts))
        self._run = next((length for length in range(min(run, _LONG), _SHORT - 1, -1) if run % length == 0), 1)
        self.present, place = np.unique(block[:: self._run], return_inverse=True)
        self._member = np.zeros((len(self.present), len(place)))  # (blocks here, runs)
        self._member[place, np.arange(len(place))] = 1
        self.count: Float64 = self._member.sum(axis=1) * self._run

    def total(self, values: npt.NDArray[np.number]) -> Float64:
        """(blocks here, channels) sums of ``values`` (rows, channels)."""
        member = np.repeat(self._member.astype(values.dtype), self._run, axis=1)
        return (member @ values).astype(np.float64)

    def deviations(self, values: npt.NDArray[np.floating], pivot: npt.NDArray[np.floating]) -> tuple[Float64, Float64]:
        """(blocks here, channels) sums of ``values - pivot`` and of its squares, in the dtype of the rows.

        Infinite where a square overflows that dtype.
        """
        if self._run == 1:
            deviation = values - pivot
            return self.total(deviation), self.total(np.square(deviation))
        runs = values.reshape(-1, self._run, values.shape[1])
        first, second = np.empty((2, len(runs), values.shape[1]), values.dtype)
        ones = np.ones(self._run, values.dtype)
        many = max(1, _SLAB // (self._run * values.shape[1]))
        slab = np.empty((many, *runs.shape[1:]), values.dtype)
        for start in range(0, len(runs), many):
            part = slice(start, start + many)
            deviation = np.subtract(runs[part], pivot, out=slab[: len(runs[part])])
            np.matmul(ones, deviation, out=first[part])
            np.matmul(ones, np.square(deviation, out=deviation), out=second[part])
        return self._member @ first.astype(np.float64), self._member @ second.astype(np.float64)


@dataclass(frozen=True)
class Origin:
    """Where rows come from: ``sample`` numbers, ``position`` and ``block``, each (rows,) int64.

    Sites that are read at the same places share one, and what it has worked out.
    """

    sample: Index
    position: Index
    block: Index

    @cached_property
    def samples(self) -> int:
        """How many samples gave at least one row."""
        return len(np.unique(self.sample))

    @cached_property
    def grouping(self) -> Grouping:
        """The rows by block."""
        return Grouping(self.block)

    def keys(self, seed: int) -> UInt64:
        """(rows,) hashes by which rows are sampled."""
        known: dict[int, UInt64] = self.__dict__.setdefault("_keys", {})
        if seed not in known:
            known[seed] = hash_pair(self.sample, self.position, seed, _ROW_STREAM)
        return known[seed]
