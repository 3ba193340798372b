"""Finding one's way in the evidence."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from covscan.measures.topology import Topology, topology
from covscan.report.types import Checkpoint, Shift, Site, Statistics
from covscan.rules.evidence import Evidence

if TYPE_CHECKING:
    from covscan.capture.types import Module, SiteKey
    from covscan.measures.norms import NormEvidence

_EMBEDDINGS = ("embedding", "gather")
_RECURRENT = ("LSTM", "GRU", "RNN", "lstm", "gru", "rnn_tanh", "rnn_relu")


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that works inside the network, its output's site, and its place among the calls."""

    place: int
    module: "Module"
    site: Site

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.module.name


def last(evidence: Evidence) -> Checkpoint:
    """The latest checkpoint."""
    return evidence.checkpoints[-1]


def measured(evidence: Evidence) -> list[Site]:
    """The sites that were measured themselves, in order of execution."""
    return sorted((site for site in evidence.sites if site.same_as is None), key=lambda site: site.depth)


def by_key(evidence: Evidence) -> dict[tuple[str, str], Site]:
    """Sites by name and position."""
    return {(site.site, site.position): site for site in evidence.sites}


def statistics(site: Site, checkpoint: Checkpoint) -> Statistics | None:
    """A site's statistics at one checkpoint, None where it was not measured there."""
    return site.statistics.get(checkpoint.id)


def first_to_last(evidence: Evidence) -> Iterator[tuple[Site, Shift]]:
    """Each measured site with its shift between the first and the last checkpoint, in order of execution."""
    if len(evidence.checkpoints) < 2:
        return
    ends = evidence.checkpoints[0].id, evidence.checkpoints[-1].id
    found = {(s.site, s.position): s for s in evidence.shifts if (s.from_, s.to) == ends}
    for site in measured(evidence):
        if (site.site, site.position) in found:
            yield site, found[site.site, site.position]


def steps(evidence: Evidence) -> dict[tuple[str, str], list[Shift]]:
    """Each site's shifts from every checkpoint to the next, in training order."""
    pairs = {(a.id, b.id) for a, b in zip(evidence.checkpoints, evidence.checkpoints[1:], strict=False)}
    found: dict[tuple[str, str], list[Shift]] = {}
    for shift in evidence.shifts:
        if (shift.from_, shift.to) in pairs:
            found.setdefault((shift.site, shift.position), []).append(shift)
    return found


def value(shift: Shift, measure: str) -> float | None:
    """A measure's value, None where it is missing."""
    found = shift.measures.get(measure)
    return None if found is None else found.value


def significant(shift: Shift, measure: str) -> bool:
    """Whether a measure clears noise and effect size."""
    found = shift.measures.get(measure)
    return found is not None and found.value is not None and found.significant


def graph_of(evidence: Evidence) -> Topology:
    """How the network's modules hang together."""
    return topology(evidence.network)


def site_of(key: "SiteKey | None", sites: dict[tuple[str, str], Site]) -> Site | None:
    """The report's site of a key."""
    return None if key is None else sites.get((key.site, key.position))


def hidden_layers(evidence: Evidence, graph: Topology, *, normalized: bool = False) -> list[Layer]:
    """Layers whose output is neither an embedding, nor a gate, nor the network's output, in order of execution.

    Those beside a normalization only where ``normalized``. Later calls of a module are left out.
    """
    sites, apart = by_key(evidence), graph.heads() | graph.gates()
    layers = []
    for place, module in enumerate(graph.calls):
        site = site_of(graph.outputs[place], sites)
        if module.role != "layer" or site is None or place in apart or "#" in module.name:
            continue
        if is_embedding(module.type) or (not normalized and graph.norm_beside(place) is not None):
            continue
        layers.append(Layer(place, module, site))
    return layers


def is_embedding(type_name: str) -> bool:
    """Whether a module looks rows up instead of computing them."""
    return type_name.lower().startswith(_EMBEDDINGS)


def is_recurrent(type_name: str) -> bool:
    """Whether a module is a recurrent layer or cell."""
    return type_name.startswith(_RECURRENT)


def is_sequence(site: Site) -> bool:
    """Whether positions are tokens or time steps: channels last, at least one axis of positions."""
    return len(site.shape) >= 3 and site.channel_axis == len(site.shape) - 1


def norms_at(evidence: Evidence, checkpoint: Checkpoint) -> "list[tuple[str, NormEvidence]]":
    """The existing normalizations at one checkpoint in order of execution."""
    found = evidence.norms.get(checkpoint.id, {})
    order = {module.name: module.depth for module in reversed(evidence.network.modules)}
    return sorted(found.items(), key=lambda item: order.get(item[0], len(order)))


def untrained(evidence: Evidence, checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is the state before training, as far as its step and its normalizations tell."""
    if checkpoint.step is not None:
        return checkpoint.step == 0
    norms = evidence.norms.get(checkpoint.id, {}).values()
    return bool(norms) and all(norm.initial_affine for norm in norms)
