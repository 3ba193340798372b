"""Which module feeds which, as far as one forward pass showed it. Needs neither torch nor numpy.

Where a tensor passes from module to module unchanged, the sites say so. Behind a functional operation
(``F.relu``, a sum, a reshape) the next module sees a tensor that no module gave; there the module that ran
just before its first reader counts as its source.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from covscan.capture.types import Module, Network, Site, SiteKey

_MOST_HOPS = 8
_GATES = ("Sigmoid", "sigmoid", "Hardsigmoid", "HardSigmoid", "hardsigmoid", "Softmax", "softmax")


@dataclass(frozen=True, slots=True)
class Topology:
    """The calls that are no containers, in order of execution, and how they hang together.

    ``inputs`` and ``outputs`` hold, for each call, the measured sites it reads and gives; ``before`` and ``after``
    the places in ``calls`` of what feeds it and of what it feeds. ``source`` is the place of what made a site, absent
    for what the first call reads; ``positions`` how many pixels or tokens of one sample a site holds.
    """

    calls: "tuple[Module, ...]"
    inputs: "tuple[tuple[SiteKey, ...], ...]"
    outputs: "tuple[SiteKey | None, ...]"
    before: tuple[tuple[int, ...], ...]
    after: tuple[tuple[int, ...], ...]
    source: "Mapping[SiteKey, int]"
    positions: "Mapping[SiteKey, int]"

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

    def gates(self) -> frozenset[int]:
        """Places of the layers whose sigmoid or softmax no layer reads, which multiplies something instead.

        With them those in front that see only a summary over positions (squeeze-and-excitation). In a network whose
        usual activation is the sigmoid there are none.
        """
        activations = [call.type for call in self.calls if call.role == "activation"]
        usual = max(dict.fromkeys(activations), key=activations.count) if activations else ""
        heads, found = self.heads(), set[int]()
        for place, call in enumerate(self.calls):
            if call.type not in _GATES or call.type == usual:
                continue
            layers = [later for later in self.after[place] if self.calls[later].role == "layer"]
            if any(self.outputs[place] in self.inputs[later] for later in layers):
                continue
            multiplied = max((self.positions.get(key, 1) for later in layers for key in self.inputs[later]), default=1)
            for gate in self.before[place]:
                if self.calls[gate].role == "layer" and gate not in heads:
                    found |= {gate, *self._squeezing(gate, multiplied)}
        return frozenset(found)

    def _squeezing(self, gate: int, multiplied: int) -> Iterator[int]:
        """The layers in front of a gate that read one position where what is multiplied has many."""
        for place in self.reached(gate, forward=False):
            output = self.outputs[place]
            squeezed = output is not None and self.positions.get(output, 1) == 1 < multiplied
            if squeezed and self.calls[place].role == "layer" and set(self.reached(place, forward=True)) == {gate}:
                yield place


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
    positions = {site.key: _positions(site) for site in network.sites}
    return Topology(calls, inputs, outputs, tuple(before), tuple(map(tuple, after)), source, positions)


def entries(network: "Network") -> "tuple[SiteKey, ...]":
    """The first measured sites that see the data: what holds an array of them, and what looks up their integers.

    Where nothing was recognized as an array of the data, what the first call reads counts as one.
    """
    graph = topology(network)
    same = {site.key: site.same_as or site.key for site in network.sites}
    measured = {site.key for site in network.measured()}
    fed = [same.get(key, key) for key in network.fed] or list(graph.inputs[0] if graph.inputs else ())
    looked_up = [
        output for keys, output in zip(graph.inputs, graph.outputs, strict=True) if not keys and output is not None
    ]
    return tuple(dict.fromkeys(key for key in (*fed, *looked_up) if key in measured))


def _positions(site: "Site") -> int:
    taken = {site.layout.sample_axis, site.layout.channel_axis}
    sizes = [size for axis, size in enumerate(site.shape) if axis not in taken]
    return math.prod(size for size in sizes if isinstance(size, int))
