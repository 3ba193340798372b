"""Which sample, position and block each row of an update comes from, and what follows from that alone."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from covscan.stats.hashing import UInt64, hash_pair

Float64 = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_ROW_STREAM = 4
_SHORT, _LONG = 8, 128
"""Rows to a run: sums of fewer are no quicker than a product, sums of more lose digits in float32."""
_ROWS = 512
"""Rows that a product adds up in float32: of 4,000 the sums of squares were off by 1e-5."""
SLAB = 2**17
"""Values worked on at once, so that they stay in the cache from one pass to the next."""


def longest_run(rows: int) -> int:
    """The longest runs of equal length, neither too short nor too long, into which ``rows`` can be cut; else 1."""
    return next((length for length in range(min(rows, _LONG), _SHORT - 1, -1) if rows % length == 0), 1)


class Grouping:
    """The blocks that have rows in an update, and sums over them.

    ``present`` (blocks here,) ascending, ``count`` (blocks here,) their rows. Where rows stand in equal runs of one
    block, as those of one sample do, ``run`` is the length of one and they are summed run by run; else it is 1, and
    sums are products with a 0-1 matrix.
    """

    def __init__(self, block: Index) -> None:
        starts = np.flatnonzero(np.diff(block, prepend=-1))
        run = int(np.gcd.reduce(np.append(starts[1:], len(block)) - starts))
        self.run = longest_run(run)
        self._block = block
        self._of_every: dict[int, Grouping] = {}
        self.present, place = np.unique(block[:: self.run], return_inverse=True)
        self._member = np.zeros((len(self.present), len(place)))  # (blocks here, runs)
        self._member[place, np.arange(len(place))] = 1
        self._apart = bool(np.array_equal(place, np.arange(len(self.present))))
        self.count: Float64 = self._member.sum(axis=1) * self.run

    def of_every(self, rows: int) -> "Grouping":
        """Of samples that have so many ``rows`` each, instead of their rows."""
        if rows not in self._of_every:
            self._of_every[rows] = Grouping(self._block[::rows])
        return self._of_every[rows]

    def slabs(self, values: npt.NDArray[np.number]) -> Iterator[tuple[slice, npt.NDArray[Any]]]:
        """(runs, rows of each, channels) of as many runs of ``values`` (rows, channels) as fit into the cache."""
        runs = values.reshape(-1, self.run, values.shape[1])
        many = max(1, SLAB // (self.run * values.shape[1]))
        for start in range(0, len(runs), many):
            place = slice(start, start + many)
            yield place, runs[place]

    def by_block(self, sums: npt.NDArray[np.number]) -> Float64:
        """(blocks here, channels) of ``sums`` (runs, channels) over each run."""
        return sums.astype(np.float64) if self._apart else self._member @ sums.astype(np.float64)

    def total(self, values: npt.NDArray[np.number]) -> Float64:
        """(blocks here, channels) sums of ``values`` (rows, channels), in their own precision a few rows at a time."""
        member = np.repeat(self._member.astype(values.dtype), self.run, axis=1)
        total = np.zeros((len(member), values.shape[1]))
        for start in range(0, len(values), _ROWS):
            part = slice(start, start + _ROWS)
            total += member[:, part] @ values[part]
        return total


@dataclass(frozen=True)
class Origin:
    """Where rows come from: ``sample`` numbers, ``position`` and ``block``, each (rows,) int64.

    Sites that are read at the same places share one, and what it has worked out; ``known`` is for what others work out
    from it.
    """

    sample: Index
    position: Index
    block: Index
    known: dict[Any, Any] = field(default_factory=dict)

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
        if seed not in self.known:
            self.known[seed] = hash_pair(self.sample, self.position, seed, _ROW_STREAM)
        keys: UInt64 = self.known[seed]
        return keys
