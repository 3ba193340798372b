"""The normalizations that an ONNX graph holds already."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from covscan.capture.onnx_constants import constant_value
from covscan.capture.onnx_decomposed import find_norms
from covscan.capture.onnx_graph import Graph, attribute_of
from covscan.capture.onnx_parts import Call, Composite
from covscan.capture.types import Float, Network, Norm, SiteKey

_Kind = Literal["layer", "group", "instance", "rms"]
_KINDS: dict[str, _Kind] = {
    "LayerNormalization": "layer",
    "SkipLayerNormalization": "layer",
    "EmbedLayerNormalization": "layer",
    "InstanceNormalization": "instance",
    "GroupNormalization": "group",
    "GroupNorm": "group",
    "RMSNormalization": "rms",
    "SimplifiedLayerNormalization": "rms",
    "SkipSimplifiedLayerNormalization": "rms",
}
# Places of (scale, bias) among the inputs where they are not (1, 2).
_PLACES = {
    "SkipLayerNormalization": (2, 3),
    "SkipSimplifiedLayerNormalization": (2, None),
    "EmbedLayerNormalization": (5, 6),
    "RMSNormalization": (1, None),
    "SimplifiedLayerNormalization": (1, None),
}


def norms_of(graph: Graph, calls: Sequence[Call], network: Network) -> Mapping[str, Norm]:
    """The norms by module name."""
    composites = {composite.output: composite for composite in find_norms(graph)}
    sizes = {site.key: _positions_and_channels(site.shape, site.layout.channel_axis) for site in network.sites}
    outputs = {module.name: module.output for module in network.modules}
    found = {}
    for call in calls:
        if call.role == "norm":
            size = sizes.get(_key(outputs, call), (None, None))
            composite = composites.get(call.output)
            if composite is not None and len(call.members) > 1:
                found[call.output] = _composite(graph, call, composite, size)
            else:
                found[call.output] = _single(graph, call, size)
    return found


def _key(outputs: Mapping[str, SiteKey | None], call: Call) -> SiteKey:
    return outputs.get(call.output) or SiteKey(call.output, "output")


_Size = tuple[int | None, int | None]


def _positions_and_channels(shape: tuple[int | str, ...], channel: int) -> _Size:
    positions = 1
    for place, size in enumerate(shape):
        if isinstance(size, int) and place != channel:
            positions *= size
    channels = shape[channel]
    return positions, channels if isinstance(channels, int) else None


def _single(graph: Graph, call: Call, size: _Size) -> Norm:
    node = graph.nodes[call.members[0]]
    positions, channels = size
    if node.op_type == "BatchNormalization":
        training = bool(attribute_of(node, "training_mode", 0))
        return Norm(
            kind="batch",
            eps=_number(attribute_of(node, "epsilon", 1e-5)),
            elements=positions,
            weight=_vector(graph, node.input[1]),
            bias=_vector(graph, node.input[2]),
            running_mean=_vector(graph, node.input[3]),
            running_var=_vector(graph, node.input[4]),
            momentum=1.0 - _number(attribute_of(node, "momentum", 0.9)),
            uses_batch_statistics=training,
        )
    kind = _KINDS[node.op_type]
    scale, bias = _PLACES.get(node.op_type, (1, 2))
    groups = attribute_of(node, "num_groups", attribute_of(node, "groups"))
    return Norm(
        kind=kind,
        eps=_number(attribute_of(node, "epsilon", 1e-5)),
        groups=_whole(groups),
        weight=_vector(graph, _named(node.input, scale)),
        bias=_vector(graph, _named(node.input, bias)),
        elements=_elements(kind, positions, channels, _whole(groups)),
    )


def _composite(graph: Graph, call: Call, composite: Composite, size: _Size) -> Norm:
    positions, channels = size
    kind, groups, eps = _KINDS[call.type], None, 1e-5
    if kind == "group":
        inner = next(
            node for node in map(graph.nodes.__getitem__, call.members) if node.op_type == "InstanceNormalization"
        )
        eps = _number(attribute_of(inner, "epsilon", 1e-5))
        ones = _vector(graph, inner.input[1])
        groups = None if ones is None else len(ones)
    elif composite.eps_name is not None:
        eps = float(np.asarray(constant_value(graph, composite.eps_name), float).reshape(-1)[0])
    return Norm(
        kind=kind,
        eps=eps,
        groups=groups,
        elements=_elements(kind, positions, channels, groups),
        weight=_vector(graph, composite.scale_name),
        bias=_vector(graph, composite.bias_name),
    )


def _elements(kind: str, positions: int | None, channels: int | None, groups: int | None) -> int | None:
    if positions is None or channels is None:
        return None
    if kind == "group":
        return positions * channels // groups if groups else None
    return channels if kind in ("layer", "rms") else positions


def _named(inputs: Sequence[str], place: int | None) -> str | None:
    return inputs[place] if place is not None and place < len(inputs) and inputs[place] else None


def _vector(graph: Graph, name: str | None) -> Float | None:
    if name is None or name not in graph.constants:
        return None
    return np.asarray(constant_value(graph, name), np.float64).reshape(-1)


def _number(value: object) -> float:
    return float(value)  # type: ignore[arg-type]


def _whole(value: object) -> int | None:
    return None if value is None else int(value)  # type: ignore[call-overload]
