"""One measuring pass over an ONNX graph: run, read, replay, and keep nothing."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from covscan.capture.onnx_branches import Prepared
from covscan.capture.onnx_constants import Array
from covscan.capture.onnx_feeding import Chunk, bind, cut, fill
from covscan.capture.onnx_reading import joined, read_rows
from covscan.capture.onnx_replay import Replay
from covscan.capture.onnx_session import open_session
from covscan.capture.reading import Reader, UnreadableError
from covscan.capture.types import Network, Recorder, Rows, Site
from covscan.config import Settings
from covscan.data.types import Batch
from covscan.errors import UsageError
from covscan.models.types import Checkpoint

MEMORY = 1 << 28
"""Bytes that the tapped values of one run may take; larger batches are run in parts."""

_MANY = 2**16
"""Values from which on those of a part of a batch are worked on by themselves: to join them would take longer."""

_Parts = list[tuple[int, Rows]]


class Measurement:
    """The open graph of one checkpoint and what is read from it.

    ``size`` is the number of samples that every run must have, None where it is free. ``replays`` run on
    the batches that the recorder wants.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        prepared: Prepared,
        network: Network,
        recorder: Recorder,
        settings: Settings,
        size: int | None,
        replays: Sequence[Replay],
    ) -> None:
        self._path = checkpoint.path
        self._graph = prepared.graph
        produced = self._graph.producer
        self._decisions = {name: way for name, way in prepared.decisions.items() if name in produced}
        self._recorder, self._settings, self._replays = recorder, settings, replays
        self._sites = self._present(network.measured())
        self._size = size
        self._step = size or max(1, MEMORY // max(1, sum(map(_bytes, self._sites))))
        self._outputs = [site.key.site for site in self._sites if site.key.site in produced]
        self._extra = sorted({name for replay in replays for name in replay.feeds if name in produced})
        everything = dict.fromkeys((*self._outputs, *self._decisions, *self._extra))
        self._session = open_session(self._graph.model, self._path, everything, read=self._graph.read)

    def batch(self, batch: Batch, number: int) -> None:
        """Run one batch and hand its rows to the recorder. Raises UsageError."""
        replays = self._replays if self._replays and self._recorder.wants_replay(batch) else ()
        seen: dict[Site, _Parts] = defaultdict(list)
        replayed: dict[tuple[Site, str], _Parts] = defaultdict(list)
        # A lone sample runs twice where branches were decided: exporters write ``if size == 1`` into graphs.
        least = 2 if self._decisions else 1
        step = self._size or max(1, self._step // (1 + len(replays)))  # each gives as much again
        for chunk in cut(batch, step, fixed=self._size is not None, least=least):
            self._chunk(chunk, replays, number, seen, replayed)
        for site, parts in seen.items():
            if site in self._sites:
                self._recorder.record(site.key, joined(parts), batch)
        for (site, reference), parts in replayed.items():
            if site in self._sites:
                actual, counterfactual = joined(seen[site]), joined(parts)
                self._recorder.replay(site.key.site, site.key, reference, actual, counterfactual, batch)

    def _chunk(
        self,
        chunk: Chunk,
        replays: Sequence[Replay],
        number: int,
        seen: dict[Site, _Parts],
        replayed: dict[tuple[Site, str], _Parts],
    ) -> None:
        """Run and read one part of a batch, whose values are gone before the next one runs."""
        where = f"batch {number} (samples {chunk.batch.index[0]} to {chunk.batch.index[-1]})"
        values = self._run(chunk, bool(replays), where)
        reader = Reader(chunk.batch, self._settings.positions, self._settings.seed)
        here = {site: self._read(site, values[site.key.site], chunk, reader) for site in tuple(self._sites)}
        read = {site.key.site: (site, rows) for site, rows in here.items() if rows is not None}
        again = self._replayed(replays, values, read, chunk, reader, where)
        for site, rows in read.values():
            if chunk.alone or rows.given.size >= _MANY:
                self._recorder.record(site.key, rows, chunk.batch)
                for reference, found in again[site].items():
                    self._recorder.replay(site.key.site, site.key, reference, rows, found, chunk.batch)
            else:
                seen[site].append((chunk.start, _owned(rows)))
                for reference, found in again[site].items():
                    replayed[site, reference].append((chunk.start, _owned(found)))

    def _replayed(
        self,
        replays: Sequence[Replay],
        values: Mapping[str, Any],
        read: Mapping[str, tuple[Site, Rows]],
        chunk: Chunk,
        reader: Reader,
        where: str,
    ) -> Mapping[Site, dict[str, Rows]]:
        """What the sites that were read are with the weights of each reference, by its id."""
        again: dict[Site, dict[str, Rows]] = defaultdict(dict)
        for replay in replays:
            for name, found in replay.run(values, read, where).items():
                if name not in read:  # what could not be read in this batch is none of the sites any more
                    continue
                site, _ = read[name]
                rows = found if isinstance(found, Rows) else self._read(site, found, chunk, reader)
                if rows is not None:
                    again[site][replay.reference] = rows
        return again

    def _present(self, sites: Sequence[Site]) -> list[Site]:
        present = []
        known = self._graph.producer.keys() | {value.name for value in self._graph.inputs}
        for site in sites:
            if site.key.site in known:
                present.append(site)
            else:
                self._recorder.skip(site.key.site, "the graph of this checkpoint has no value of that name")
        return present

    def _run(self, chunk: Chunk, replaying: bool, where: str) -> dict[str, Any]:
        feeds: dict[str, Array] = bind(self._graph.inputs, fill(chunk), self._path)
        wanted = dict.fromkeys((*self._outputs, *self._decisions, *(self._extra if replaying else ())))
        values = self._session.run(list(wanted), feeds, where=where)
        for name, way in self._decisions.items():
            if bool(values[name].reshape(-1)[0]) != way:
                raise UsageError(
                    "branch-changed",
                    f"ONNX model '{self._path}' takes another branch on {where} than on the first samples",
                    found=f"condition '{name}' is {not way}, it was {way}",
                    hint="give every sample one shape, or export the model without control flow that depends on it",
                )
        return {**values, **feeds}

    def _read(self, site: Site, value: Any, chunk: Chunk, reader: Reader) -> Rows | None:
        try:
            return read_rows(value, site, chunk, reader)
        except UnreadableError as reason:
            self._recorder.skip(site.key.site, str(reason))
            if site in self._sites:
                self._sites.remove(site)
            return None


def _owned(rows: Rows) -> Rows:
    """``rows`` in memory of their own.

    ONNX Runtime lets go of the values of a run together: one that somebody waits to read would keep all of them.
    """
    return rows if rows.given.flags.owndata else replace(rows, given=rows.given.copy())


def _bytes(site: Site) -> int:
    total = 4 * site.layout.folded
    for size in site.shape:
        total *= size if isinstance(size, int) else 1
    return total
