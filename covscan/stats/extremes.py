"""Smallest and largest finite value of each channel."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from covscan.stats.finiteness import ALL_FINITE

_WIDTH = 1024
"""Values side by side from which on a reduction over rows gets no quicker."""


class Extremes:
    """Exact extremes per channel, arrays (channels,) float64; +inf and -inf where nothing finite was seen."""

    def __init__(self, channels: int) -> None:
        self.low = np.full(channels, np.inf)
        self.high = np.full(channels, -np.inf)

    def update(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
        """Take ``values`` (rows, channels); what it returns is ``finite_values(values)``, which extremes show."""
        if not len(values):
            return ALL_FINITE
        with np.errstate(invalid="ignore"):
            low, high = _fold(np.minimum, values), _fold(np.maximum, values)
        finite = ALL_FINITE
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            finite = np.isfinite(values)
            low = np.where(finite, values, np.inf).min(axis=0)
            high = np.where(finite, values, -np.inf).max(axis=0)
        self.low = np.minimum(self.low, low)
        self.high = np.maximum(self.high, high)
        return finite

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


def _fold(extreme: np.ufunc, values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """(channels,) extreme of ``values`` (rows, channels), NaN where a NaN is among them.

    Rows of few channels are reduced several at once: numpy is quick along long rows.
    """
    rows, channels = values.shape
    beside = next((number for number in (16, 8, 4, 2) if rows % number == 0 and number * channels <= _WIDTH), 1)
    folded = extreme.reduce(values.reshape(rows // beside, beside * channels), axis=0)
    result: npt.NDArray[np.floating] = extreme.reduce(folded.reshape(beside, channels), axis=0)
    return result
