"""From an ONNX graph and what a run of it showed to the list of sites and modules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import onnx

from covscan.capture.onnx_branches import Prepared
from covscan.capture.onnx_constants import Weights, constant_value
from covscan.capture.onnx_graph import Graph, attribute_of
from covscan.capture.onnx_layout import Axes, channel_axes, default_axis, input_axis
from covscan.capture.onnx_operators import FLAT_INPUT, FLAT_OUTPUT, QUANTIZED
from covscan.capture.onnx_origins import origin_of, owner_of
from covscan.capture.onnx_parts import Call, Shapes
from covscan.capture.types import Layout, Module, Network, Position, Saturation, Site, SiteKey, Skip

_FLOATS = frozenset({"float16", "float32", "float64"})


@dataclass(frozen=True, slots=True)
class Probe:
    """What one run showed: how many samples went in, the shape of each value, its dtype or what it is."""

    samples: int
    shapes: Shapes
    kinds: Mapping[str, str]


@dataclass(slots=True)
class Survey:
    """Collects sites and modules of one graph; ``second`` is a run with more samples, where that can be."""

    prepared: Prepared
    calls: Sequence[Call]
    first: Probe
    second: Probe | None
    _named: Mapping[str, Call] = field(init=False, default_factory=dict)
    _scoped: bool = field(init=False, default=False)

    def network(self) -> Network:
        """The network as it can be measured."""
        axes = channel_axes(self.prepared.graph, self.calls, self.first.shapes)
        sites: dict[str, Site] = {}
        self._named = {call.output: call for call in self.calls}
        self._scoped = any(origin_of([node]) is not None for node in self.prepared.graph.nodes)
        skipped = dict(map(self._told_apart, self.prepared.skipped))
        modules = []
        for depth, call in enumerate(self.calls):
            inputs = tuple(self._inputs(depth, call, axes, sites, skipped))
            output = self._output(depth, call, axes, sites, skipped)
            modules.append(self._module(depth, call, inputs, output))
        self._skip_quantized(skipped)
        found = {site.key.site for site in sites.values()}
        fed = {value.name for value in self.prepared.graph.inputs}
        return Network(
            sites=tuple(sites.values()),
            modules=tuple(modules),
            never_fired=(),
            skipped=tuple(Skip(site, reason) for site, reason in skipped.items() if site not in found),
            parameters=Weights(self.prepared.graph).elements(),
            notes=self._notes(),
            fed=tuple(site.key for site in sites.values() if site.key.site in fed),
        )

    def _told_apart(self, skip: Skip) -> tuple[str, str]:
        """(name, reason) of a skip; two branches may use one name, of which the taken one's is in the graph."""
        taken = skip.site in self.prepared.graph.producer
        return f"{skip.site} (other branch)" if taken else skip.site, skip.reason

    def _inputs(
        self, depth: int, call: Call, axes: Axes, sites: dict[str, Site], skipped: dict[str, str]
    ) -> list[SiteKey]:
        """Keys of what the call reads; a value that nothing before it tapped becomes a site."""
        if call.role == "block":
            return [sites[name].key for name in map(self._origin, call.inputs) if name in sites]
        keys = []
        for value in call.inputs:
            name = self._origin(value)
            flat = FLAT_INPUT.get(call.type) if call.role == "activation" else None
            if name not in sites and call.role in ("layer", "norm", "activation", "attention"):
                axis = axes.get(name, self._axis(call, name))
                position: Position = "logits" if call.role == "attention" else "input"
                site = self._site(depth, call, name, position, axis, flat, skipped)
                if site is not None:
                    sites[name] = site
            elif name in sites and flat is not None and sites[name].saturation is None:
                sites[name] = replace(sites[name], saturation=flat)
            if name in sites:
                keys.append(sites[name].key)
        return keys

    def _axis(self, call: Call, value: str) -> int:
        shape = self.first.shapes.get(value, ())
        if call.channel is not None:
            return input_axis(call, max(len(shape), 1))
        return default_axis(self.prepared.graph, value, shape, self._named)

    def _output(
        self, depth: int, call: Call, axes: Axes, sites: dict[str, Site], skipped: dict[str, str]
    ) -> SiteKey | None:
        if call.role in ("attention", "other"):
            return None
        name = call.output
        if name not in sites:
            shape = self.first.shapes.get(name, ())
            axis = axes[name] if name in axes else default_axis(self.prepared.graph, name, shape, self._named)
            flat = FLAT_OUTPUT.get(call.type)
            site = self._site(depth, call, name, "output", axis, flat, skipped)
            if site is None:
                return None
            sites[name] = site
        return sites[name].key

    def _site(
        self,
        depth: int,
        call: Call,
        name: str,
        position: Position,
        axis: int,
        flat: Saturation | None,
        skipped: dict[str, str],
    ) -> Site | None:
        shape = self.first.shapes.get(name)
        kind = self.first.kinds.get(name, "a value that this data does not reach")
        if shape is None or kind not in _FLOATS:
            if position != "input" or kind in _FLOATS:
                skipped.setdefault(name, f"{kind} values")
            return None
        found = self._layout(call, name, shape, axis) if position != "logits" else self._logits(shape)
        if isinstance(found, str):
            skipped.setdefault(name, found)
            return None
        layout, shape = found
        named = tuple("N" if place == layout.sample_axis else size for place, size in enumerate(shape))
        return Site(
            key=SiteKey(name, position),
            type=call.type,
            role=call.role,
            layout=layout,
            channels=shape[layout.channel_axis],
            shape=named,
            depth=depth,
            saturation=flat,
        )

    def _layout(
        self, call: Call, name: str, shape: tuple[int, ...], channel: int
    ) -> tuple[Layout, tuple[int, ...]] | str:
        if len(shape) < 2:
            return f"shape {shape} has no separate sample and channel axes"
        if 0 in shape:
            return f"shape {shape} holds no values"
        samples = self._sample_axes(call, name, shape)
        sample = next((axis for axis in samples if axis != channel), None)
        if sample is None and samples:
            sample, channel = samples[0], next(axis for axis in range(len(shape))[::-1] if axis != samples[0])
        if sample is None:
            return f"shape {shape} has no axis that grows with the number of samples"
        return Layout(channel, sample, shape[sample] // self.first.samples), shape

    def _logits(self, shape: tuple[int, ...]) -> tuple[Layout, tuple[int, ...]] | str:
        """Logits are read as (samples, heads, queries), be the heads an axis of their own or not."""
        n = self.first.samples
        if len(shape) == 4 and shape[0] == n:
            return Layout(1), shape
        if len(shape) == 3 and shape[0] % n == 0:
            return Layout(1), (n, shape[0] // n, *shape[1:])
        return f"attention logits of shape {shape} for {n} samples"

    def _sample_axes(self, call: Call, name: str, shape: tuple[int, ...]) -> list[int]:
        """Axes that hold the samples, likeliest first."""
        n = self.first.samples
        if self.second is not None:
            other = self.second.shapes.get(name, ())
            if len(other) != len(shape):
                return []
            return [
                axis
                for axis, (size, grown) in enumerate(zip(shape, other, strict=True))
                if size % n == 0 and grown == size // n * self.second.samples
            ]
        axes = [axis for axis, size in enumerate(shape) if size and size % n == 0]
        usual = len(shape) - 2 if call.recurrent and name == call.output else 0
        return sorted(axes, key=lambda axis: (axis != usual, shape[axis] != n, axis))

    def _origin(self, value: str) -> str:
        """The value that ``value`` is only another name of."""
        maker = self.prepared.graph.maker(value)
        while maker is not None and maker.op_type in ("Identity", "Dropout"):
            value = maker.input[0]
            maker = self.prepared.graph.maker(value)
        return value

    def _module(self, depth: int, call: Call, inputs: tuple[SiteKey, ...], output: SiteKey | None) -> Module:
        members = [self.prepared.graph.nodes[index] for index in call.members]
        return Module(
            name=call.output,
            type=call.type,
            role=call.role,
            depth=depth,
            inputs=inputs,
            output=output,
            has_parameters=bool(call.parameters),
            has_bias=call.has_bias,
            parameters=call.parameters,
            dropout=_dropout(self.prepared.graph, call),
            origin=self._origin_module(call),
            nodes=tuple(node.name for node in members if node.name),
        )

    def _origin_module(self, call: Call) -> str | None:
        """The module whose output this call's is: None where the module goes on with it, or quantization cuts it.

        An attention is a step inside its module, and known by it all the same. In a file without scopes the names of
        the weights are what is left of the modules'.
        """
        graph = self.prepared.graph
        if not self._scoped:
            return owner_of(call.parameters)
        origin = origin_of([graph.nodes[index] for index in call.members])
        readers = graph.readers(call.output)
        if call.role == "attention" or origin is None:
            return origin
        if call.role == "block" and any(reader.op_type in QUANTIZED for reader in readers):
            return None
        # A quantizer names what it puts in after the value in front.
        own = [reader for reader in readers if reader.op_type not in QUANTIZED]
        return None if any(origin_of([reader]) == origin for reader in own) else origin

    def _skip_quantized(self, skipped: dict[str, str]) -> None:
        for node in self.prepared.graph.nodes:
            if node.op_type in QUANTIZED and node.output[0] not in self.prepared.graph.constants:
                skipped.setdefault(node.output[0], f"{node.op_type} works on quantized integers")

    def _notes(self) -> tuple[str, ...]:
        types = {call.type for call in self.calls}
        notes = []
        if types & {"Conv", "FusedConv"} and "BatchNormalization" not in types:
            notes.append(
                "The graph has convolutions but no BatchNormalization: BatchNorm may have been "
                "folded into the convolutions at export, in which case it is invisible here."
            )
        if any(_trains(self.prepared.graph, node) for node in self.prepared.graph.nodes):
            notes.append(
                "The graph was exported in training mode: its BatchNormalization or Dropout "
                "nodes use the statistics of each batch and random numbers."
            )
        return tuple(notes)


def _dropout(graph: Graph, call: Call) -> float | None:
    if call.type != "Dropout":
        return None
    node = graph.nodes[call.members[0]]
    if len(node.input) > 1 and node.input[1] in graph.constants:
        return float(np.asarray(constant_value(graph, node.input[1]), float).reshape(-1)[0])
    return float(attribute_of(node, "ratio", 0.5))  # type: ignore[arg-type]


def _trains(graph: Graph, node: onnx.NodeProto) -> bool:
    if node.op_type == "BatchNormalization":
        return bool(attribute_of(node, "training_mode", 0))
    if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2] in graph.constants:
        return bool(constant_value(graph, node.input[2]).reshape(-1)[0])
    return False
