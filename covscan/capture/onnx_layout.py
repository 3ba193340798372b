"""Following the channel axis through an ONNX graph."""

from collections.abc import Mapping, Sequence

import onnx

from covscan.capture.onnx_constants import constant_value
from covscan.capture.onnx_graph import Graph, attribute_of
from covscan.capture.onnx_operators import KEEPS_AXES, PARAMETRIZED, POINTWISE
from covscan.capture.onnx_parts import Call, Shapes

Axes = Mapping[str, int]
"""Channel axis of each value where it is known, non-negative."""


def channel_axes(graph: Graph, calls: Sequence[Call], shapes: Shapes) -> Axes:
    """The channel axis of every value that a layer fixes, or that inherits it from one."""
    fixed = {graph.nodes[call.members[-1]].output[0]: call for call in calls if call.channel is not None}
    axes: dict[str, int] = {}
    for node in graph.nodes:
        for name in node.output:
            shape = shapes.get(name)
            if not name or shape is None or name in graph.constants:
                continue
            axis = _fixed(node, fixed.get(node.output[0]), shape)
            if axis is None:
                axis = _inherited(graph, node, name, axes, shapes)
            if axis is not None and 0 <= axis < len(shape):
                axes[name] = axis
    return axes


def default_axis(graph: Graph, value: str, shape: Sequence[int], calls: Mapping[str, Call]) -> int:
    """The channel axis of a value that nothing upstream fixes: what its reader takes it for, or custom."""
    pending, seen = [value], {value}
    while pending and len(seen) < 16:
        for node in graph.readers(pending.pop(0)):
            call = calls.get(node.output[0])
            same = [name for name in node.input if name in seen]
            if call is not None and call.channel is not None and same[0] in call.inputs:
                return input_axis(call, len(shape))
            if node.op_type in POINTWISE:
                seen.add(node.output[0])
                pending.append(node.output[0])
    return 1 if len(shape) in (2, 4, 5) else len(shape) - 1


def input_axis(call: Call, rank: int) -> int:
    """Channel axis of the data input of a call."""
    axis = call.channel if call.channel is not None else -1
    return axis % rank if -rank <= axis < rank else rank - 1


def _fixed(node: onnx.NodeProto, call: Call | None, shape: tuple[int, ...]) -> int | None:
    if call is not None and call.channel is not None and shape:
        return input_axis(call, len(shape))
    operator = PARAMETRIZED.get(node.op_type)
    if operator is not None and node.op_type not in ("Gather", "Einsum") and shape:
        return operator.channel % len(shape)
    return None


def _inherited(graph: Graph, node: onnx.NodeProto, name: str, axes: Axes, shapes: Shapes) -> int | None:
    shape = shapes[name]
    if node.op_type in POINTWISE:
        return next((axes[source] + len(shape) - len(shapes[source]) for source in node.input if source in axes), None)
    source = node.input[0] if node.input else ""
    if source not in axes:
        return None
    before, axis = shapes[source], axes[source]
    if node.op_type == "Transpose":
        order = attribute_of(node, "perm") or range(len(before))[::-1]
        return tuple(order).index(axis)  # type: ignore[arg-type]
    if node.op_type in KEEPS_AXES and len(shape) == len(before):
        return axis
    if node.op_type in ("Reshape", "Flatten"):
        return _reshaped(before, axis, shape)
    return _fewer_or_more(graph, node, before, axis, shape)


def _fewer_or_more(
    graph: Graph, node: onnx.NodeProto, before: Sequence[int], axis: int, shape: Sequence[int]
) -> int | None:
    if node.op_type in ("Squeeze", "Unsqueeze") or node.op_type.startswith("Reduce"):
        return _squeezed(graph, node, before, axis, shape)
    if node.op_type == "Gather" and len(shape) == len(before) - 1:
        dropped = int(attribute_of(node, "axis", 0)) % len(before)  # type: ignore[call-overload]
        return None if dropped == axis else axis - (dropped < axis)
    return None


def _reshaped(before: Sequence[int], axis: int, after: Sequence[int]) -> int | None:
    """Where the axis stands after a reshape that leaves it whole."""
    ahead = _product(before[:axis])
    for place, size in enumerate(after):
        if size == before[axis] and _product(after[:place]) == ahead:
            return place
    return None


def _product(sizes: Sequence[int]) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total


def _squeezed(graph: Graph, node: onnx.NodeProto, before: Sequence[int], axis: int, after: Sequence[int]) -> int | None:
    """Where the axis stands after axes of size 1 came or went."""
    written = attribute_of(node, "axes")
    if written is None and len(node.input) > 1 and node.input[1] in graph.constants:
        written = constant_value(graph, node.input[1]).reshape(-1).tolist()
    if node.op_type == "Unsqueeze":
        if written is None:
            return None
        added = {int(place) % len(after) for place in written}  # type: ignore[attr-defined]
        kept = [place for place in range(len(after)) if place not in added]
        return kept[axis] if axis < len(kept) else None
    if written is None:
        dropped = {place for place, size in enumerate(before) if size == 1}
    else:
        dropped = {int(place) % len(before) for place in written}  # type: ignore[attr-defined]
    if axis in dropped or len(before) - len(dropped) != len(after):
        return None
    return axis - sum(place < axis for place in dropped)
