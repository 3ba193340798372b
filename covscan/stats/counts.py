"""How many values of each channel are zero, saturated or not finite."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from covscan.stats.finiteness import ALL_FINITE, Finite, finite_values


class ChannelCounts:
    """Exact counts per channel, arrays (channels,) int64.

    A value is saturated at or below ``low`` or at or above ``high``; infinite bounds switch a side off. ``total``
    counts every value read, NaN and infinity included.
    """

    FIELDS = ("total", "zero", "saturated", "nonfinite")

    def __init__(self, channels: int, low: float = -np.inf, high: float = np.inf) -> None:
        self.low, self.high = low, high
        self.total = np.zeros(channels, np.int64)
        self.zero = np.zeros(channels, np.int64)
        self.saturated = np.zeros(channels, np.int64)
        self.nonfinite = np.zeros(channels, np.int64)

    def update(self, values: npt.NDArray[np.floating], finite: Finite = None) -> None:
        """Take ``values`` (rows, channels); ``finite`` is ``finite_values(values)`` where that is known already."""
        finite = finite_values(values) if finite is None else finite
        self.total += len(values)
        self.zero += _count(values == 0)
        if finite is not ALL_FINITE:
            self.nonfinite += _count(~finite)
        if np.isfinite(self.low):
            self.saturated += _count((values <= self.low) & finite)
        if np.isfinite(self.high):
            self.saturated += _count((values >= self.high) & finite)

    def merge(self, other: "ChannelCounts") -> None:
        """Add what another accumulator over the same channels has seen."""
        for name in self.FIELDS:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def state(self) -> dict[str, Any]:
        """The arrays to store or send."""
        return {"bounds": np.array([self.low, self.high]), **{name: getattr(self, name) for name in self.FIELDS}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from ``state()``."""
        made = cls(len(state["total"]), *(float(bound) for bound in state["bounds"]))
        for name in cls.FIELDS:
            setattr(made, name, np.array(state[name], np.int64))
        return made


def _count(there: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """(channels,) how many of ``there`` (rows, channels) are True; most often none is, which is quick to see."""
    if not there.any():
        return np.zeros(there.shape[1], np.int64)
    # Summed as bytes by 128 rows, which cannot overflow: numpy sums booleans through 64-bit integers otherwise.
    parts = [
        np.add.reduce(there[row : row + 128].view(np.uint8), axis=0, dtype=np.uint8)
        for row in range(0, len(there), 128)
    ]
    return np.add.reduce(parts, axis=0, dtype=np.int64)
