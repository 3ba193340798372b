"""Measuring subject by subject, keeping only what the next comparison needs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from covscan.capture.recorder import Replay
from covscan.capture.types import Module, Network, Site, SiteKey
from covscan.config import Settings
from covscan.config.progress import Progress
from covscan.engine.measured import Measured
from covscan.engine.movement import movement_before
from covscan.engine.subjects import Subject, measure
from covscan.measures import MEASURES
from covscan.measures.amplification import NAME as AMPLIFICATION
from covscan.measures.amplification import shift_amplification
from covscan.measures.compare import Comparison, compare
from covscan.measures.excess import NAMES as EXCESS_NAMES
from covscan.measures.excess import excess, nothing_added
from covscan.measures.movement import shift_per_weight_movement
from covscan.measures.result import Result
from covscan.measures.topology import entries
from covscan.stats import SiteSummary

AT_AN_INPUT = "an input: what a layer adds is said at its output"
SAME_WEIGHTS = "the weights are the same on both sides, so that no layer adds anything: see shift_amplification"
OTHER_MODEL = "two models: there is no training between them"
PRIMARY, PER_MOVEMENT = "gaussian_w2", "shift_per_weight_movement"


@dataclass(frozen=True, slots=True)
class SiteShift:
    """How one site moved from one subject to another, by their ids."""

    key: SiteKey
    start: str
    end: str
    measures: dict[str, Result]
    channels_shifted: float | None


@dataclass(frozen=True, slots=True)
class Step:
    """A measured subject with its shifts from the first and from the one before."""

    subject: Subject
    measured: Measured
    shifts: tuple[SiteShift, ...] = field(default_factory=tuple)


def measure_series(subjects: Sequence[Subject], settings: Settings, progress: Progress) -> Iterator[Step]:
    """Measure each subject in turn; at most three summaries are alive at a time."""
    first: Step | None = None
    previous: Step | None = None
    for subject in subjects:
        earlier = tuple({kept.subject.id: kept.subject for kept in (first, previous) if kept is not None}.values())
        measured = measure(subject, earlier, settings, progress)
        step = Step(subject, measured)
        shifts: list[SiteShift] = []
        if first is not None and previous is not None:
            shifts += _shifts(first, step, settings.seed)
            if previous is not first:
                shifts += _shifts(previous, step, settings.seed)
        progress.checkpoint(subject.id)
        yield Step(subject, measured, tuple(shifts))
        first = first or step
        previous = step


def _shifts(start: Step, end: Step, seed: int) -> Iterator[SiteShift]:
    found = _compared(start, end, seed)
    derived = _by_data(end, found) if start.subject.has_weights_of(end.subject) else _by_weights(start, end)
    for key, compared in found.items():
        measures = compared.measures | derived(key, compared)
        yield SiteShift(
            key,
            start.subject.id,
            end.subject.id,
            {name: measures[name] for name in MEASURES if name in measures},
            compared.channels_shifted,
        )


def _compared(start: Step, end: Step, seed: int) -> dict[SiteKey, Comparison]:
    """Every site that both have, on the same samples or on two draws of samples."""
    paired = start.subject.paired and end.subject.paired
    earlier, later = start.measured, end.measured
    return {
        key: compare(earlier.summary.sites[key], summary, earlier.noise[key], later.noise[key], seed, paired=paired)
        for key, summary in later.summary.sites.items()
        if key in earlier.summary.sites
    }


Derived = Callable[[SiteKey, Comparison], dict[str, Result]]
"""What else is said of a site, from where it is and how it moved."""


def _by_data(end: Step, found: Mapping[SiteKey, Comparison]) -> Derived:
    """How the shift of other data through the same weights travels from where they enter."""
    entered = [found[key] for key in entries(end.measured.network) if key in found]
    moved = [(each, each.measures[PRIMARY].value or 0.0) for each in entered if each.measures[PRIMARY].significant]
    entry = max(moved, key=lambda pair: pair[1])[0].distance if moved else None

    def derived(key: SiteKey, compared: Comparison) -> dict[str, Result]:
        del key
        nothing_moved = {PER_MOVEMENT: Result.missing("the weights are the same on both sides")}
        travels = {AMPLIFICATION: shift_amplification(compared.distance, entry)}
        return nothing_moved | no_excess(SAME_WEIGHTS) | travels

    return derived


def _by_weights(start: Step, end: Step) -> Derived:
    """What each layer added with its other weights, and how far the weights of one network moved."""
    training = start.subject.source is end.subject.source
    weights = start.measured.weights, end.measured.weights
    movement = movement_before(end.measured.network, *weights) if training else {}
    before, after = _modules(start), _modules(end)
    replays, noise = end.measured.summary.replays, end.measured.noise

    def derived(key: SiteKey, compared: Comparison) -> dict[str, Result]:
        per_movement = Result.missing(OTHER_MODEL)
        if training:
            per_movement = shift_per_weight_movement(compared.measures[PRIMARY], movement.get(key))
        replay = replays.get((key, start.subject.id))
        if replay is not None:
            added = _excess(replay, end.measured.summary.sites[key], {**noise[key]})
        elif _adds_nothing(before.get(key), after.get(key)):
            added = nothing_added()
        else:
            added = no_excess(_not_replayed(key, start.subject, end.subject))
        return {PER_MOVEMENT: per_movement} | added

    return derived


def _modules(step: Step) -> dict[SiteKey | None, Module]:
    return {module.output: module for module in step.measured.network.modules}


def _excess(replay: Replay, later: SiteSummary, noise: dict[str, float]) -> dict[str, Result]:
    if replay.actual is None or replay.counterfactual is None:
        return nothing_added()
    return excess(replay.actual, replay.counterfactual, later.moments.pooled(), noise)


def _adds_nothing(before: Module | None, after: Module | None) -> bool:
    """Whether a site is what the same function gives on both sides, one without weights."""
    if before is None or after is None or before.type != after.type:
        return False
    return after.role == "activation" and not after.has_parameters


def _not_replayed(key: SiteKey, start: Subject, end: Subject) -> str:
    if key.position == "input":
        return AT_AN_INPUT
    if key.position == "logits":
        return "attention logits: see the layers that project queries and keys"
    if not end.can_replay(start):
        return f"run by {start.source.engine} and by {end.source.engine}, so that no layer could be replayed"
    return "not the output of one layer with weights that could be replayed"


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
