"""Smallest and largest finite value of each channel."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from covscan.stats.finiteness import ALL_FINITE, Finite, finite_values


class Extremes:
    """Exact extremes per channel, arrays (channels,) float64; +inf and -inf where nothing finite was seen."""

    def __init__(self, channels: int) -> None:
        self.low = np.full(channels, np.inf)
        self.high = np.full(channels, -np.inf)

    def update(self, values: npt.NDArray[np.floating], finite: Finite = None) -> None:
        """Take ``values`` (rows, channels); ``finite`` is ``finite_values(values)`` where that is known already."""
        if not len(values):
            return
        finite = finite_values(values) if finite is None else finite
        if finite is ALL_FINITE:
            low, high = values.min(axis=0), values.max(axis=0)
        else:
            low = np.where(finite, values, np.inf).min(axis=0)
            high = np.where(finite, values, -np.inf).max(axis=0)
        self.low = np.minimum(self.low, low)
        self.high = np.maximum(self.high, high)

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
