"""Reduces what a back end reads to summaries, one per site."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from covscan.capture.types import Network, Rows, SiteKey, Skip
from covscan.data.types import Batch, Samples
from covscan.stats import BlockMoments, SiteSummary
from covscan.stats.origin import Grouping, Index, Origin
from covscan.stats.tile import Tile, offset_of

_REPLAY_SHARE = 16
_REPLAY_RUN = 32
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

    def __init__(self, network: Network, samples: Samples, seed: int) -> None:
        self._seed = seed
        self._blocks = samples.blocks
        self._sites = {site.key: site for site in network.measured()}
        self._summaries: dict[SiteKey, SiteSummary] = {}
        self._replays: dict[tuple[SiteKey, str], Replay] = {}
        self._skipped: dict[str, str] = {}
        self._every = max(1, samples.count // _REPLAY_RUN // max(1, samples.count // _REPLAY_SHARE // _REPLAY_RUN))
        self._batch: Batch | None = None
        self._origins: list[tuple[Index, Index, Origin]] = []
        self._offsets: dict[int, int] = {}

    def record(self, key: SiteKey, rows: Rows, batch: Batch) -> None:
        """Reduce the rows of one site in one batch."""
        channels = rows.given.shape[1]
        summary = self._summaries.get(key)
        if summary is None:
            bounds = self._sites[key].saturation
            saturation = (bounds.low, bounds.high) if bounds else (-np.inf, np.inf)
            summary = self._summaries[key] = SiteSummary(channels, self._blocks, self._seed, saturation)
        if channels != summary.channels:
            self.skip(key.site, f"{channels} channels in a later batch, {summary.channels} in the first")
            return
        summary.update(rows.given, self._origin(rows, batch))

    def _origin(self, rows: Rows, batch: Batch) -> Origin:
        """Where ``rows`` come from, worked out once for all sites that are read at the same places of a batch."""
        if batch is not self._batch:
            self._batch, self._origins = batch, []
        for sample, position, origin in self._origins:
            if sample is rows.sample and position is rows.position:
                return origin
        origin = Origin(batch.index[rows.sample], rows.position, batch.block[rows.sample])
        self._origins.append((rows.sample, rows.position, origin))
        return origin

    def wants_replay(self, batch: Batch, work: int | None = None) -> bool:
        """True for light modules, else where the batch holds one of the chosen samples."""
        chosen = self._chosen(batch)
        return _is_light(work) or bool(chosen.any())

    def _chosen(self, batch: Batch) -> npt.NDArray[np.bool_]:
        """(n,) the samples on which heavy modules are replayed, whatever batches they come in.

        Runs of 32 consecutive samples, evenly spread: 1/16 of all, and at least one run. Consecutive ones, so that few
        batches hold them. A part of a batch that was asked about before has the same ones.
        """
        index = batch.index.tolist()
        if index[0] not in self._offsets:
            known = len(self._offsets)
            self._offsets.update((sample, known + place) for place, sample in enumerate(index))
        run = np.array([self._offsets[sample] for sample in index]) // _REPLAY_RUN
        chosen: npt.NDArray[np.bool_] = run % self._every == 0
        return chosen

    def replay(
        self,
        name: str,
        key: SiteKey,
        reference: str,
        actual: Rows,
        counterfactual: Rows,
        batch: Batch,
        work: int | None = None,
    ) -> None:
        """Reduce one module's output with two sets of weights on the same input."""
        del name
        place = (key, reference)
        if place not in self._replays:
            shape = (self._blocks, actual.given.shape[1])
            self._replays[place] = Replay(BlockMoments(*shape), BlockMoments(*shape))
        kept = self._replays[place]
        if kept.actual is None or kept.counterfactual is None:
            return
        chosen = np.ones(batch.n, bool) if _is_light(work) else self._chosen(batch)
        here = None if chosen.all() else chosen[actual.sample]
        grouping = self._origin(actual, batch).grouping if here is None else Grouping(batch.block[actual.sample[here]])
        for side, rows in ((kept.actual, actual), (kept.counterfactual, counterfactual)):
            values = rows.given if here is None else rows.values[here]
            side.update(Tile(values, grouping, offset_of(values)))

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


def _is_light(work: int | None) -> bool:
    return work is not None and work <= _LIGHT_WORK
