"""Measuring a series checkpoint by checkpoint, keeping only what the next comparison needs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from covscan.capture.recorder import CheckpointSummary, Replay, SummaryRecorder
from covscan.capture.types import Backend, Module, Network, Norm, Site, SiteKey
from covscan.config import Settings
from covscan.config.progress import Progress
from covscan.data.types import Batch, Samples
from covscan.engine.movement import movement_before
from covscan.engine.selection import select_sites
from covscan.measures import MEASURES
from covscan.measures.compare import compare, noise_floors
from covscan.measures.excess import NAMES as EXCESS_NAMES
from covscan.measures.excess import excess, nothing_added
from covscan.measures.movement import nonfinite_weights, shift_per_weight_movement
from covscan.measures.result import Result
from covscan.models.types import Checkpoint
from covscan.stats import SiteSummary

AT_AN_INPUT = "an input: what a layer adds is said at its output"


@dataclass(frozen=True, slots=True)
class Measured:
    """One checkpoint with its summaries; held only while later checkpoints are compared with it."""

    checkpoint: Checkpoint
    network: Network
    summary: CheckpointSummary
    noise: Mapping[SiteKey, Mapping[str, float]]
    weights: Mapping[str, Any]
    norms: Mapping[str, Norm]
    weights_nonfinite: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SiteShift:
    """How one site moved from one checkpoint to another."""

    key: SiteKey
    start: str
    end: str
    measures: dict[str, Result]
    channels_shifted: float | None


@dataclass(frozen=True, slots=True)
class Step:
    """A measured checkpoint with its shifts from the first and from the one before."""

    measured: Measured
    shifts: tuple[SiteShift, ...] = field(default_factory=tuple)


def measure_series(
    backend: Backend, checkpoints: tuple[Checkpoint, ...], samples: Samples, settings: Settings, progress: Progress
) -> Iterator[Step]:
    """Measure each checkpoint in turn; at most three summaries are alive at a time."""
    first: Measured | None = None
    previous: Measured | None = None
    for checkpoint in checkpoints:
        earlier = tuple(dict.fromkeys(kept.checkpoint for kept in (first, previous) if kept is not None))
        measured = _measure(backend, checkpoint, samples, settings, progress, earlier)
        shifts: list[SiteShift] = []
        if first is not None and previous is not None:
            shifts += _shifts(first, measured, settings.seed)
            if previous is not first:
                shifts += _shifts(previous, measured, settings.seed)
        progress.checkpoint(checkpoint.id)
        yield Step(measured, tuple(shifts))
        first = first or measured
        previous = measured


def plan_network(backend: Backend, checkpoint: Checkpoint, samples: Samples, settings: Settings) -> Network:
    """The sites that are to be measured at one checkpoint."""
    batch = next(iter(samples.batches()))
    return select_sites(backend.plan(checkpoint, batch), settings.sites, settings.exclude)


def _measure(
    backend: Backend,
    checkpoint: Checkpoint,
    samples: Samples,
    settings: Settings,
    progress: Progress,
    earlier: tuple[Checkpoint, ...],
) -> Measured:
    network = plan_network(backend, checkpoint, samples, settings)
    recorder = SummaryRecorder(network, samples, settings.seed)
    backend.measure(checkpoint, network, _counted(samples, progress), recorder, earlier)
    summary = recorder.summary()
    weights = backend.weights(checkpoint)
    return Measured(
        checkpoint,
        network,
        summary,
        {key: noise_floors(kept, settings.seed) for key, kept in summary.sites.items()},
        weights,
        backend.norms(checkpoint, network),
        nonfinite_weights(weights),
    )


def _counted(samples: Samples, progress: Progress) -> Iterator[Batch]:
    for batch in samples.batches():
        yield batch
        progress.batch()


def _shifts(start: Measured, end: Measured, seed: int) -> Iterator[SiteShift]:
    movement = movement_before(end.network, start.weights, end.weights)
    modules = {module.output: module for module in end.network.modules}
    for key, later in end.summary.sites.items():
        earlier = start.summary.sites.get(key)
        if earlier is None:
            continue
        compared = compare(earlier, later, start.noise[key], end.noise[key], seed)
        measures = dict(compared.measures)
        rate = shift_per_weight_movement(measures["gaussian_w2"], movement.get(key))
        measures["shift_per_weight_movement"] = rate
        replay = end.summary.replays.get((key, start.checkpoint.id))
        measures |= _excess(key, modules.get(key), replay, later, {**end.noise[key]})
        yield SiteShift(
            key,
            start.checkpoint.id,
            end.checkpoint.id,
            {name: measures[name] for name in MEASURES},
            compared.channels_shifted,
        )


def _excess(
    key: SiteKey, module: Module | None, replay: Replay | None, later: SiteSummary, noise: dict[str, float]
) -> dict[str, Result]:
    if replay is not None:
        if replay.actual is None or replay.counterfactual is None:
            return nothing_added()
        return excess(replay.actual, replay.counterfactual, later.moments.pooled(), noise)
    if module is not None and module.role == "activation" and not module.has_parameters:
        return nothing_added()
    reason = AT_AN_INPUT
    if key.position == "output":
        reason = "not the output of one layer with weights that could be replayed"
    elif key.position == "logits":
        reason = "attention logits: see the layers that project queries and keys"
    return no_excess(reason)


def no_excess(reason: str) -> dict[str, Result]:
    """The excess measures where there is nothing to replay."""
    return {name: Result.missing(reason) for name in EXCESS_NAMES}


def all_sites(networks: list[Network]) -> tuple[Site, ...]:
    """The sites of every network in the order of the first, later ones behind."""
    found: dict[SiteKey, Site] = {}
    for network in networks:
        for site in network.sites:
            found.setdefault(site.key, site)
    return tuple(found.values())
