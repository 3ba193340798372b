"""Which module feeds which, as far as one forward pass showed it. Needs neither torch nor numpy.

Where a tensor passes from module to module unchanged, the sites say so. Behind a functional operation
(``F.relu``, a sum, a reshape) the next module sees a tensor that no module gave; there the module that ran
just before its first reader counts as its source.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from covscan.capture.types import Module, Network, SiteKey

_MOST_HOPS = 8


@dataclass(frozen=True, slots=True)
class Topology:
    """The calls that are no containers, in order of execution, and how they hang together.

    ``inputs`` and ``outputs`` hold, for each call, the measured sites it reads and gives; ``before`` and
    ``after`` the places in ``calls`` of what feeds it and of what it feeds. ``source`` is the place of what
    made a site, absent for what the first call reads.
    """

    calls: "tuple[Module, ...]"
    inputs: "tuple[tuple[SiteKey, ...], ...]"
    outputs: "tuple[SiteKey | None, ...]"
    before: tuple[tuple[int, ...], ...]
    after: tuple[tuple[int, ...], ...]
    source: "Mapping[SiteKey, int]"

    def passes_through(self, place: int) -> bool:
        """Whether a call works element by element or moves elements: activation, dropout, pooling."""
        call = self.calls[place]
        return call.role == "activation" or (call.role == "other" and not call.has_parameters)

    def reached(self, place: int, *, forward: bool) -> Iterator[int]:
        """The first calls on the ways from ``place`` that do more than pass their input through."""
        near = self.after if forward else self.before
        seen: set[int] = set()
        front = [place]
        for _ in range(_MOST_HOPS):
            step = dict.fromkeys(other for here in front for other in near[here] if other not in seen)
            seen.update(step)
            front = [other for other in step if self.passes_through(other)]
            yield from (other for other in step if not self.passes_through(other))

    def between(self, place: int, *, forward: bool) -> Iterator[int]:
        """The calls that only pass their input through up to what ``reached`` gives, nearest first."""
        near = self.after if forward else self.before
        seen: set[int] = set()
        front = [place]
        for _ in range(_MOST_HOPS):
            step = dict.fromkeys(other for here in front for other in near[here] if other not in seen)
            seen.update(step)
            front = [other for other in step if self.passes_through(other)]
            yield from front

    def norm_beside(self, place: int) -> str | None:
        """The normalization that acts on what a call gives or reads, with nothing but elementwise between."""
        return self.norm_behind(place) or self.norm_ahead(place)

    def norm_behind(self, place: int) -> str | None:
        """The normalization that reads what a call gives, with nothing but elementwise between."""
        return next(
            (self.calls[p].name for p in self.reached(place, forward=True) if self.calls[p].role == "norm"),
            None,
        )

    def norm_ahead(self, place: int) -> str | None:
        """The normalization that gives what a call reads, with nothing but elementwise between."""
        return next(
            (self.calls[p].name for p in self.reached(place, forward=False) if self.calls[p].role == "norm"),
            None,
        )

    def heads(self) -> frozenset[int]:
        """Places of the layers whose output nothing with parameters reads: they give the network's output."""
        working = [p for p, call in enumerate(self.calls) if call.role in {"layer", "attention", "norm"}]
        found = set(working)
        latest = -1  # the latest call whose output some later layer may have read
        for later in reversed(working):
            if later <= latest:
                found.discard(later)
            read = [self.source.get(key, -1) for key in self.inputs[later]] or [later - 1]
            latest = max(latest, *read)
        return frozenset(p for p in found if self.calls[p].role != "norm")


def topology(network: "Network") -> Topology:
    """Read the connections out of a network's modules and sites."""
    same = {site.key: site.same_as or site.key for site in network.sites}
    calls = tuple(module for module in network.modules if module.role != "block")
    inputs = tuple(tuple(dict.fromkeys(same.get(key, key) for key in call.inputs)) for call in calls)
    outputs = tuple(None if call.output is None else same.get(call.output, call.output) for call in calls)
    source: dict[SiteKey, int] = {}
    before: list[tuple[int, ...]] = []
    start = set(inputs[0]) if calls else set()
    for place, keys in enumerate(inputs):
        for key in keys:
            if key not in source and key not in start and place:
                source[key] = place - 1
        unread = (place - 1,) if place and not keys else ()
        before.append(unread or tuple(sorted({source[key] for key in keys if key in source})))
        output = outputs[place]
        if output is not None and output not in keys:
            source.setdefault(output, place)
    after: list[list[int]] = [[] for _ in calls]
    for place, feeding in enumerate(before):
        for other in feeding:
            after[other].append(place)
    return Topology(calls, inputs, outputs, tuple(before), tuple(map(tuple, after)), source)
