"""Where a normalization could go: behind each layer and in front of each consumer that reads another tensor."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from covscan.measures.topology import Topology
from covscan.report.types import Site
from covscan.rules.evidence import Evidence
from covscan.rules.lookup import by_key, graph_of, hidden_layers, is_embedding, site_of


@dataclass(frozen=True, slots=True)
class Place:
    """One place: ``site`` is the tensor that would be normalized, ``consumer`` the tensor that the next layer reads.

    ``order`` is the place among the calls.
    """

    name: str
    position: Literal["before", "after"]
    type: str
    order: int
    site: Site
    consumer: Site


def places(evidence: Evidence) -> list[Place]:
    """Every place in order of execution.

    Left out are embeddings, the network's outputs, gates, the network's own input, and what a normalization
    already acts on with nothing but elementwise operations between.
    """
    graph = graph_of(evidence)
    found = [*_behind(evidence, graph), *_in_front(evidence, graph)]
    return sorted(found, key=lambda place: (place.order, place.position == "after"))


def _behind(evidence: Evidence, graph: Topology) -> Iterator[Place]:
    sites = by_key(evidence)
    for layer in hidden_layers(evidence, graph):
        consumer = _consumer(graph, layer.place, sites) or layer.site
        yield Place(layer.name, "after", layer.module.type, layer.place, layer.site, consumer)


def _in_front(evidence: Evidence, graph: Topology) -> Iterator[Place]:
    sites = by_key(evidence)
    taken, gates = set(), graph.gates()
    for order, call in enumerate(graph.calls):
        if call.role != "layer" or is_embedding(call.type) or "#" in call.name or not graph.inputs[order]:
            continue
        if order in gates:
            continue
        key = graph.inputs[order][0]
        site = site_of(key, sites)
        makers = list(graph.reached(order, forward=False))
        if site is None or not makers or key in taken or graph.norm_ahead(order) is not None:
            continue
        if any(graph.calls[maker].role == "layer" and graph.outputs[maker] == key for maker in makers):
            continue
        taken.add(key)
        yield Place(call.name, "before", call.type, order, site, site)


def _consumer(graph: Topology, place: int, sites: dict[tuple[str, str], Site]) -> Site | None:
    """The tensor that the next layer reads."""
    for near in graph.reached(place, forward=True):
        for key in graph.inputs[near]:
            found = site_of(key, sites)
            if found is not None:
                return found
    return None
