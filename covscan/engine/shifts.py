"""From comparisons of two columns to everything that is said of how their sites moved."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from covscan.capture.recorder import Replay
from covscan.capture.types import Module, Network, SiteKey
from covscan.engine.entries import Moved
from covscan.engine.movement import movement_before
from covscan.engine.subjects import Subject
from covscan.measures import MEASURES
from covscan.measures.amplification import NAME as AMPLIFICATION
from covscan.measures.amplification import shift_amplification
from covscan.measures.compare import Comparison
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

Derived = Callable[[SiteKey, Comparison], dict[str, Result]]
"""What else is said of a site, from where it is and how it moved."""


class Side(Protocol):
    """What is known of either side."""

    @property
    def subject(self) -> Subject:
        """What was measured."""
        ...

    @property
    def network(self) -> Network:
        """Its calls in order."""
        ...

    def sites(self) -> Mapping[SiteKey, SiteSummary]:
        """Its accumulators."""
        ...

    def replays(self) -> Mapping[tuple[SiteKey, str], Replay]:
        """Its layers with other weights, by the ids of those who lent them."""
        ...

    def noise(self, key: SiteKey) -> Mapping[str, float]:
        """The noise floors of one of its sites."""
        ...

    def weights(self) -> Mapping[str, Any]:
        """Its weights by name."""
        ...


def all_moved(start: Side, end: Side, found: Mapping[SiteKey, Comparison]) -> list[Moved]:
    """Every site that was compared, with what follows from where it stands."""
    derived = _by_data(end, found) if start.subject.has_weights_of(end.subject) else _by_weights(start, end)
    every = []
    for key, compared in found.items():
        measures = compared.measures | derived(key, compared)
        ordered = {name: measures[name] for name in MEASURES if name in measures}
        every.append(Moved(key, ordered, compared.channels_shifted))
    return every


def is_training(start: Subject, end: Subject) -> bool:
    """Whether one network was trained from one to the other."""
    return start.source is end.source


def _by_data(end: Side, found: Mapping[SiteKey, Comparison]) -> Derived:
    """How the shift of other data through the same weights travels from where they enter."""
    entered = [found[key] for key in entries(end.network) if key in found]
    moved = [(each, each.measures[PRIMARY].value or 0.0) for each in entered if each.measures[PRIMARY].significant]
    entry = max(moved, key=lambda pair: pair[1])[0].distance if moved else None

    def derived(key: SiteKey, compared: Comparison) -> dict[str, Result]:
        del key
        nothing_moved = {PER_MOVEMENT: Result.missing("the weights are the same on both sides")}
        travels = {AMPLIFICATION: shift_amplification(compared.distance, entry)}
        return nothing_moved | no_excess(SAME_WEIGHTS) | travels

    return derived


def _by_weights(start: Side, end: Side) -> Derived:
    """What each layer added with its other weights, and how far the weights of one network moved."""
    training = is_training(start.subject, end.subject)
    movement = movement_before(end.network, start.weights(), end.weights()) if training else {}
    before, after = _modules(start), _modules(end)
    replays, sites = end.replays(), end.sites()

    def derived(key: SiteKey, compared: Comparison) -> dict[str, Result]:
        per_movement = Result.missing(OTHER_MODEL)
        if training:
            per_movement = shift_per_weight_movement(compared.measures[PRIMARY], movement.get(key))
        replay = replays.get((key, start.subject.id))
        if replay is not None:
            added = _excess(replay, sites[key], {**end.noise(key)})
        elif _adds_nothing(before.get(key), after.get(key)):
            added = nothing_added()
        else:
            added = no_excess(_not_replayed(key, start.subject, end.subject))
        return {PER_MOVEMENT: per_movement} | added

    return derived


def _modules(side: Side) -> dict[SiteKey | None, Module]:
    return {module.output: module for module in side.network.modules}


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
