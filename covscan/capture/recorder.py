"""Reduces what a back end reads to summaries, one per site."""

from dataclasses import dataclass

import numpy as np

from covscan.capture.types import Network, Rows, SiteKey, Skip
from covscan.data.types import Batch, Samples
from covscan.stats import BlockMoments, SiteSummary

_REPLAY_SHARE = 16
_REPLAY_LEAST = 32
_LIGHT_WORK = 2**19
"""Multiplications for one sample that cost less than reading its rows does."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Moments of one module's output on the same input, with this checkpoint's weights and with another's.

    Both are None where every weight is bit-equal, which makes the difference exactly nothing.
    """

    actual: BlockMoments | None
    counterfactual: BlockMoments | None


@dataclass(frozen=True, slots=True)
class CheckpointSummary:
    """All that is kept of one checkpoint; ``replays`` by site and reference checkpoint's id."""

    sites: dict[SiteKey, SiteSummary]
    replays: dict[tuple[SiteKey, str], Replay]
    skipped: tuple[Skip, ...]


class SummaryRecorder:
    """The Recorder that streams rows into one SiteSummary per measured site."""

    def __init__(self, network: Network, samples: Samples, batch_size: int, seed: int) -> None:
        self._seed = seed
        self._blocks = samples.blocks
        self._sites = {site.key: site for site in network.measured()}
        self._summaries: dict[SiteKey, SiteSummary] = {}
        self._replays: dict[tuple[SiteKey, str], Replay] = {}
        self._skipped: dict[str, str] = {}
        self._every = _replay_spacing(samples.count, batch_size)
        self._ordinal: dict[int, int] = {}

    def record(self, key: SiteKey, rows: Rows, batch: Batch) -> None:
        """Reduce the rows of one site in one batch."""
        channels = rows.values.shape[1]
        summary = self._summaries.get(key)
        if summary is None:
            bounds = self._sites[key].saturation
            saturation = (bounds.low, bounds.high) if bounds else (-np.inf, np.inf)
            summary = self._summaries[key] = SiteSummary(channels, self._blocks, self._seed, saturation)
        if channels != summary.channels:
            self.skip(key.site, f"{channels} channels in a later batch, {summary.channels} in the first")
            return
        summary.update(rows.values, batch.index[rows.sample], rows.position, batch.block[rows.sample])

    def wants_replay(self, batch: Batch, work: int | None = None) -> bool:
        """True for light modules, else for every so-many-th batch: 1/16 of the samples, and at least 32."""
        ordinal = self._ordinal.setdefault(int(batch.index[0]), len(self._ordinal))
        return ordinal % self._every == 0 or (work is not None and work <= _LIGHT_WORK)

    def replay(self, name: str, key: SiteKey, reference: str, actual: Rows, counterfactual: Rows, batch: Batch) -> None:
        """Reduce one module's output with two sets of weights on the same input."""
        del name
        place = (key, reference)
        if place not in self._replays:
            shape = (self._blocks, actual.values.shape[1])
            self._replays[place] = Replay(BlockMoments(*shape), BlockMoments(*shape))
        kept = self._replays[place]
        if kept.actual is None or kept.counterfactual is None:
            return
        block = batch.block[actual.sample]
        kept.actual.update(actual.values, block)
        kept.counterfactual.update(counterfactual.values, block)

    def unmoved(self, name: str, key: SiteKey, reference: str) -> None:
        """Note that a module's weights are bit-equal at the reference."""
        del name
        self._replays[(key, reference)] = Replay(None, None)

    def skip(self, site: str, reason: str) -> None:
        """Note why a site could not be read; the first reason stands."""
        self._skipped.setdefault(site, reason)

    def summary(self) -> CheckpointSummary:
        """What was recorded; sites that were skipped on the way are left out."""
        sites = {key: kept for key, kept in self._summaries.items() if key.site not in self._skipped}
        skipped = tuple(Skip(site, reason) for site, reason in self._skipped.items())
        return CheckpointSummary(sites, self._replays, skipped)


def _replay_spacing(samples: int, batch_size: int) -> int:
    wanted = max(_REPLAY_LEAST, samples // _REPLAY_SHARE)
    batches = max(1, -(-samples // batch_size))
    return max(1, batches // max(1, -(-wanted // batch_size)))
