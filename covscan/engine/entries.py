"""Measurements as bytes and back, for the cache and for other processes; nothing in them is run."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from covscan.capture.recorder import CheckpointSummary, Replay
from covscan.capture.types import Network, SiteKey, Skip
from covscan.engine.site_work import SiteFacts
from covscan.measures.norms import NormEvidence
from covscan.measures.result import Result
from covscan.stats import BlockMoments, SiteSummary

State = Mapping[str, Mapping[str, Any]]


class Facts(Struct, frozen=True, array_like=True):
    """What a report says of one subject by itself."""

    network: Network
    skipped: tuple[Skip, ...]
    sites: list[tuple[SiteKey, SiteFacts]]
    norms: dict[str, NormEvidence]
    weights_nonfinite: tuple[str, ...]


class Moved(Struct, frozen=True, array_like=True):
    """How one site moved from one subject to another."""

    key: SiteKey
    measures: dict[str, Result]
    channels_shifted: float | None


class _Array(Struct, frozen=True, array_like=True):
    dtype: str
    shape: tuple[int, ...]
    content: bytes


class _Replayed(Struct, frozen=True, array_like=True):
    key: SiteKey
    reference: str
    moments: tuple[dict[str, _Array], dict[str, _Array]] | None


class _Summary(Struct, frozen=True, array_like=True):
    sites: list[tuple[SiteKey, dict[str, dict[str, _Array]]]]
    references: tuple[str, ...]
    replays: list[_Replayed]


def encode(value: Facts | list[Moved]) -> bytes:
    """Exactly: floats keep every bit."""
    return msgspec.msgpack.encode(value)


def decode_facts(content: bytes) -> Facts:
    """Raises msgspec.DecodeError where it is no such thing."""
    return msgspec.msgpack.decode(content, type=Facts)


def decode_moved(content: bytes) -> list[Moved]:
    """Raises msgspec.DecodeError where it is no such thing."""
    return msgspec.msgpack.decode(content, type=list[Moved])


def encode_summary(summary: CheckpointSummary, keys: Mapping[str, str]) -> bytes:
    """The accumulators of every site; ``keys`` of the references that layers were replayed with, by their ids."""
    return msgspec.msgpack.encode(
        _Summary(
            [
                (key, {part: _arrays(state) for part, state in kept.state().items()})
                for key, kept in summary.sites.items()
            ],
            tuple(keys.values()),
            [_replayed(key, keys[id_], replay) for (key, id_), replay in summary.replays.items()],
        )
    )


def decode_summary(content: bytes, keys: Mapping[str, str]) -> CheckpointSummary | None:
    """The summary again; None where it was not replayed with all references that are needed, ``keys`` by their ids.

    What was skipped stands in the facts. Raises msgspec.DecodeError where it is no such thing.
    """
    kept = msgspec.msgpack.decode(content, type=_Summary)
    id_of = {key: id_ for id_, key in keys.items()}
    if not id_of.keys() <= set(kept.references):
        return None
    sites = {
        key: SiteSummary.from_state({part: _values(state) for part, state in parts.items()})
        for key, parts in kept.sites
    }
    replays = {(each.key, id_of[each.reference]): _replay(each) for each in kept.replays if each.reference in id_of}
    return CheckpointSummary(sites, replays, ())


def _replayed(key: SiteKey, reference: str, replay: Replay) -> _Replayed:
    if replay.actual is None or replay.counterfactual is None:
        return _Replayed(key, reference, None)
    return _Replayed(key, reference, (_arrays(replay.actual.state()), _arrays(replay.counterfactual.state())))


def _replay(kept: _Replayed) -> Replay:
    if kept.moments is None:
        return Replay(None, None)
    actual, counterfactual = (BlockMoments.from_state(_values(state)) for state in kept.moments)
    return Replay(actual, counterfactual)


def _arrays(state: Mapping[str, Any]) -> dict[str, _Array]:
    arrays = {name: np.asarray(value) for name, value in state.items()}
    return {name: _Array(array.dtype.str, array.shape, array.tobytes()) for name, array in arrays.items()}


def _values(state: Mapping[str, _Array]) -> dict[str, Any]:
    return {name: np.frombuffer(array.content, array.dtype).reshape(array.shape) for name, array in state.items()}
