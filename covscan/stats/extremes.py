"""Smallest and largest finite value of each channel."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from covscan.stats.tile import Tile


class Extremes:
    """Exact extremes per channel, arrays (channels,) float64; +inf and -inf where nothing finite was seen."""

    def __init__(self, channels: int) -> None:
        self.low = np.full(channels, np.inf)
        self.high = np.full(channels, -np.inf)

    def update(self, tile: Tile) -> None:
        """Take the rows of an update."""
        self.low = np.minimum(self.low, tile.low)
        self.high = np.maximum(self.high, tile.high)

    def merge(self, other: "Extremes") -> None:
        """Add what another accumulator over the same channels has seen."""
        self.low = np.minimum(self.low, other.low)
        self.high = np.maximum(self.high, other.high)

    def state(self) -> dict[str, Any]:
        """The arrays to store or send."""
        return {"low": self.low, "high": self.high}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from ``state()``."""
        made = cls(len(state["low"]))
        made.low, made.high = np.array(state["low"], np.float64), np.array(state["high"], np.float64)
        return made
