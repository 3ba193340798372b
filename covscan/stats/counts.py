"""How many values of each channel are zero, saturated or not finite."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from covscan.stats.tile import ALL_FINITE, Tile


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

    def update(self, tile: Tile) -> None:
        """Take the rows of an update."""
        values = tile.values
        self.total += tile.rows
        self.zero += tile.zeros
        if tile.finite is not ALL_FINITE:
            self.nonfinite += tile.counted(~tile.finite)
        # Extremes are of finite values alone, and what is not finite is not saturated.
        if (tile.low <= self.low).any():
            self.saturated += tile.counted((values <= self.low) & tile.finite)
        if (tile.high >= self.high).any():
            self.saturated += tile.counted((values >= self.high) & tile.finite)

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
