"""All that is kept of one site at one checkpoint."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from covscan.stats.counts import ChannelCounts
from covscan.stats.extremes import Extremes
from covscan.stats.moments import BlockMoments
from covscan.stats.origin import Origin
from covscan.stats.rows import RowSample
from covscan.stats.tile import Tile, offset_of


class SiteSummary:
    """Moments per block, counts, extremes and a sample of rows, updated together.

    ``samples`` counts the samples that gave at least one row; ``blocks`` is the number of jackknife blocks.
    """

    def __init__(
        self, channels: int, blocks: int, seed: int, saturation: tuple[float, float] = (-np.inf, np.inf)
    ) -> None:
        self.moments = BlockMoments(blocks, channels)
        self.counts = ChannelCounts(channels, *saturation)
        self.extremes = Extremes(channels)
        self.rows = RowSample(channels, seed)
        self.samples = 0
        self._pivot: npt.NDArray[np.floating] | None = None  # around what the next update is added up

    @property
    def blocks(self) -> int:
        """Number of jackknife blocks, empty ones included."""
        return len(self.moments.count)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.moments.count.shape[1]

    def update(self, values: npt.NDArray[np.floating], origin: Origin) -> None:
        """Take ``values`` (rows, channels), or (samples, channels, positions), whose rows come from ``origin``.

        The rows of one sample must all come in the same call.
        """
        if not self.samples:
            self._pivot = offset_of(values)
        tile = Tile(values, origin.grouping, self._pivot)
        self.samples += origin.samples
        self.moments.update(tile)
        self.counts.update(tile)
        self.extremes.update(tile)
        self.rows.update(values, origin)

    def merge(self, other: "SiteSummary") -> None:
        """Add what another summary of the same site has seen of other samples."""
        self.samples += other.samples
        self.moments.merge(other.moments)
        self.counts.merge(other.counts)
        self.extremes.merge(other.extremes)
        self.rows.merge(other.rows)

    def state(self) -> dict[str, dict[str, Any]]:
        """The arrays to store or send, by accumulator."""
        return {
            "moments": self.moments.state(),
            "counts": self.counts.state(),
            "extremes": self.extremes.state(),
            "rows": self.rows.state(),
            "summary": {"samples": np.int64(self.samples)},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Mapping[str, Any]]) -> Self:
        """Rebuild from ``state()``."""
        made = cls.__new__(cls)
        made.moments = BlockMoments.from_state(state["moments"])
        made.counts = ChannelCounts.from_state(state["counts"])
        made.extremes = Extremes.from_state(state["extremes"])
        made.rows = RowSample.from_state(state["rows"])
        made.samples = int(state["summary"]["samples"])
        made._pivot = None
        return made
