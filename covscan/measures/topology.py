"""Which module feeds which, as far as one forward pass showed it. Needs neither torch nor numpy.

Where a tensor passes from module to module unchanged, the sites say so. Behind a functional operation (``F.relu``, a
sum, a reshape) the next module sees a tensor that no module gave; there the module that ran just before its first
reader counts as its source.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from covscan.capture.types import Module, Network, SiteKey

EMBEDDINGS = ("Embedding", "EmbeddingBag", "Gather", "embedding", "embedding_bag", "EmbedLayerNormalization")
_MOST_HOPS = 8


@dataclass(frozen=True, slots=True)
class Topology:
    """The calls that are no containers, in order of execution, and how they hang together.

    ``same`` maps every site to the one that is measured in its place, ``source`` a measured site to the place in
    ``calls`` of what made it (absent for the network's own inputs), ``readers`` to the places of those that read it.
    """

    calls: "tuple[Module, ...]"
    same: "Mapping[SiteKey, SiteKey]"
    source: "Mapping[SiteKey, int]"
    readers: "Mapping[SiteKey, tuple[int, ...]]"

    def inputs(self, place: int) -> "tuple[SiteKey, ...]":
        """The measured sites that a call reads."""
        return tuple(self.same.get(key, key) for key in self.calls[place].inputs)

    def output(self, place: int) -> "SiteKey | None":
        """The measured site of what a call gives."""
        key = self.calls[place].output
        return None if key is None else self.same.get(key, key)

    def before(self, place: int) -> tuple[int, ...]:
        """Places of what feeds a call; empty for the first one and for what reads the network's inputs."""
        keys = self.inputs(place)
        if not keys:
            return (place - 1,) if place else ()
        return tuple(sorted({self.source[key] for key in keys if key in self.source and self.source[key] < place}))

    def after(self, place: int) -> tuple[int, ...]:
        """Places of what a call feeds."""
        return tuple(later for later in range(place + 1, len(self.calls)) if place in self.before(later))

    def passes_through(self, place: int) -> bool:
        """Whether a call works element by element or moves elements about: activation, dropout, pooling, reshape."""
        return self.calls[place].role in {"activation", "other"} and not self.calls[place].has_parameters

    def reached(self, place: int, *, forward: bool) -> Iterator[int]:
        """The first calls on the way from ``place`` that do more than pass their input through."""
        seen: set[int] = set()
        front = [place]
        for _ in range(_MOST_HOPS):
            step = [near for here in front for near in (self.after(here) if forward else self.before(here))]
            front = []
            for near in dict.fromkeys(step):
                if near in seen:
                    continue
                seen.add(near)
                if self.passes_through(near):
                    front.append(near)
                else:
                    yield near

    def norm_beside(self, place: int) -> str | None:
        """The normalization that acts on what a layer gives or on what it reads, with nothing but elementwise between."""
        for forward in (True, False):
            for near in self.reached(place, forward=forward):
                if self.calls[near].role == "norm":
                    return self.calls[near].name
        return None

    def heads(self) -> frozenset[int]:
        """Places of the layers whose output nothing with parameters reads afterwards: they give the network's outputs."""
        working = [p for p, call in enumerate(self.calls) if call.role in {"layer", "attention", "norm"}]
        found = set()
        for place in working:
            if not any(self._may_read(later, place) for later in working if later > place):
                found.add(place)
        return frozenset(p for p in found if self.calls[p].role != "norm")

    def _may_read(self, later: int, place: int) -> bool:
        """Whether a later call reads this one's output, or a tensor that was first seen after it."""
        keys = self.inputs(later)
        if not keys:
            return True
        return any(key == self.output(place) or self.source.get(key, -1) >= place for key in keys)


def topology(network: "Network") -> Topology:
    """Read the connections out of a network's modules and sites."""
    same = {site.key: site.same_as or site.key for site in network.sites}
    calls = tuple(module for module in network.modules if module.role != "block")
    source: dict[SiteKey, int] = {}
    readers: dict[SiteKey, list[int]] = {}
    for place, call in enumerate(calls):
        for key in dict.fromkeys(same.get(key, key) for key in call.inputs):
            if key not in source and key not in readers and place and not _is_start(key, network):
                source[key] = place - 1
            readers.setdefault(key, []).append(place)
        if call.output is not None:
            source.setdefault(same.get(call.output, call.output), place)
    return Topology(calls, same, source, {key: tuple(places) for key, places in readers.items()})


def _is_start(key: "SiteKey", network: "Network") -> bool:
    """Whether nothing with parameters ran before the site was first seen."""
    del key, network
    return False
