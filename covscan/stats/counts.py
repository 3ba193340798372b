"""How many values of each channel are zero, saturated or not finite."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt


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

    def update(self, values: npt.NDArray[np.floating]) -> None:
        """Take ``values`` (rows, channels)."""
        self.total += len(values)
        self.zero += len(values) - np.count_nonzero(values, axis=0)
        with np.errstate(over="ignore", invalid="ignore"):
            suspect = not np.isfinite(values.sum(dtype=np.float64))
        finite: npt.NDArray[np.bool_] | bool = True
        if suspect:
            finite = np.isfinite(values)
            self.nonfinite += len(values) - np.count_nonzero(finite, axis=0)
        if np.isfinite(self.low):
            self.saturated += np.count_nonzero((values <= self.low) & finite, axis=0)
        if np.isfinite(self.high):
            self.saturated += np.count_nonzero((values >= self.high) & finite, axis=0)

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
