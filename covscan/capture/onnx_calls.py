"""The layers, activations, norms and sums of a graph, with what an exporter took apart put together again."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx

from covscan.capture.onnx_activations import find_activations
from covscan.capture.onnx_constants import is_weight
from covscan.capture.onnx_decomposed import find_norms
from covscan.capture.onnx_graph import Graph, attribute_of
from covscan.capture.onnx_operators import ACTIVATIONS, CONTROL, PARAMETRIZED, Operator
from covscan.capture.onnx_parts import Call, Composite, Shapes
from covscan.capture.types import Role


@dataclass(slots=True)
class _Claims:
    """Which nodes belong to a call already."""

    taken: set[int]

    def free(self, members: Iterable[int]) -> bool:
        return not self.taken.intersection(members)


def find_calls(graph: Graph, shapes: Shapes) -> tuple[Call, ...]:
    """Every call in order of execution. ``shapes`` holds the shape of each value in one run."""
    claims = _Claims(set())
    calls = [
        call
        for composite in (*find_norms(graph), *find_activations(graph))
        if (call := _composite_call(graph, composite, claims)) is not None
    ]
    for index, node in enumerate(graph.nodes):
        if index not in claims.taken and (call := _single_call(graph, index, node, shapes)) is not None:
            claims.taken.update(call.members)
            calls.append(call)
    for index, node in enumerate(graph.nodes):
        if index not in claims.taken and (call := _glue_call(graph, index, node, shapes)) is not None:
            calls.append(call)
    return tuple(sorted(calls, key=lambda call: call.members[-1]))


def _composite_call(graph: Graph, composite: Composite, claims: _Claims) -> Call | None:
    if not claims.free(composite.members):
        return None
    claims.taken.update(composite.members)
    return _call(
        graph,
        composite.type,
        composite.role,
        composite.members,
        composite.output,
        channel=composite.channel,
        inputs=(composite.source,),
        bias=composite.bias,
    )


def _single_call(graph: Graph, index: int, node: onnx.NodeProto, shapes: Shapes) -> Call | None:
    operator = PARAMETRIZED.get(node.op_type)
    if operator is not None:
        return _layer(graph, index, node, operator, shapes)
    if node.op_type in ACTIVATIONS and node.output[0] not in graph.constants:
        if node.op_type == "Clip" and not all(name in graph.constants for name in node.input[1:] if name):
            return None
        return _call(graph, node.op_type, "activation", (index,), node.output[0], inputs=(node.input[0],))
    if node.op_type == "Dropout":
        return _call(graph, "Dropout", "other", (index,), node.output[0], inputs=(node.input[0],))
    return None


def _layer(graph: Graph, index: int, node: onnx.NodeProto, operator: Operator, shapes: Shapes) -> Call | None:
    variable = graph.variable_inputs(node)
    places = [place for place in operator.data if place < len(node.input)]
    data = tuple(node.input[place] for place in places if node.input[place] in variable)
    fixed = [name for name in node.input if name and name in graph.constants]
    if not data or not fixed or (operator.data == (0, 1) and operator.role == "layer" and len(data) == 2):
        return None
    if node.op_type == "Gather" and (attribute_of(node, "axis", 0) != 0 or len(shapes.get(node.input[0], ())) != 2):
        return None
    channel = operator.channel
    if node.op_type in ("MatMul", "FusedMatMul", "Gemm") and node.input[1] in variable:
        channel = -2 if node.op_type != "Gemm" else -1
    output = _output(graph, node, recurrent=operator.recurrent)
    if output is None:
        return None
    has_bias = operator.bias is not None and operator.bias < len(node.input) and bool(node.input[operator.bias])
    members: tuple[int, ...] = (index,)
    added = None if has_bias or operator.role != "layer" else _bias_add(graph, output, channel, shapes)
    if added is not None:
        members, output, has_bias = (index, added), graph.nodes[added].output[0], True
    return _call(
        graph,
        node.op_type,
        operator.role,
        members,
        output,
        channel=channel,
        inputs=data,
        bias=has_bias,
        recurrent=operator.recurrent,
    )


def _output(graph: Graph, node: onnx.NodeProto, *, recurrent: bool) -> str | None:
    """The output that is the layer's: the first; of a recurrent layer the first that somebody reads."""
    named = [name for name in node.output if name]
    if not recurrent:
        return named[0] if named else None
    used = [name for name in named if name in graph.consumers or name in graph.returned]
    return (used or named or [None])[0]


def _bias_add(graph: Graph, output: str, channel: int, shapes: Shapes) -> int | None:
    """Place of the Add that only adds a constant per channel to ``output``."""
    reader = graph.sole_reader(output)
    if reader is None or reader.op_type != "Add":
        return None
    other = reader.input[1] if reader.input[0] == output else reader.input[0]
    shape, whole = shapes.get(other), shapes.get(output)
    if other not in graph.constants or shape is None or whole is None or len(shape) > len(whole):
        return None
    axis = channel % len(whole) - (len(whole) - len(shape))
    per_channel = axis >= 0 and shape[axis] == whole[channel] and int(np.prod(shape)) == shape[axis]
    return graph.producer[reader.output[0]] if per_channel else None


def _glue_call(graph: Graph, index: int, node: onnx.NodeProto, shapes: Shapes) -> Call | None:
    if node.op_type in CONTROL:
        named = [name for name in node.output if name and name not in graph.constants]
        return _call(graph, node.op_type, "block", (index,), named[0]) if named else None
    if node.op_type in ("Add", "Sum") and _is_residual(graph, node, shapes):
        return _call(graph, node.op_type, "block", (index,), node.output[0], inputs=tuple(node.input))
    if node.op_type == "Softmax" and _from_product(graph, node.input[0]):
        return _call(graph, "Softmax", "attention", (index,), node.output[0], inputs=(node.input[0],))
    return None


def _is_residual(graph: Graph, node: onnx.NodeProto, shapes: Shapes) -> bool:
    """A sum of two tensors of one shape that both depend on the data, and no masking of attention logits."""
    first = shapes.get(node.input[0])
    same = all(name not in graph.constants and shapes.get(name) == first for name in node.input)
    masks = any(reader.op_type == "Softmax" for reader in graph.readers(node.output[0]))
    return len(node.input) > 1 and bool(first) and len(first or ()) > 1 and same and not masks


_LOGIT_STEPS = frozenset({"Add", "Sub", "Mul", "Div", "Where", "Cast", "Clip", "Tanh", "Identity", "Max", "Reshape"})


def _from_product(graph: Graph, value: str) -> bool:
    """Whether ``value`` is the product of two tensors that depend on the data, scaled and masked at most."""
    pending, seen = [value], {value}
    while pending and len(seen) < 64:
        maker = graph.maker(pending.pop(0))
        if maker is None:
            continue
        if maker.op_type in ("MatMul", "FusedMatMul", "Einsum"):
            return len(graph.variable_inputs(maker)) == 2
        if maker.op_type in _LOGIT_STEPS:
            sources = [name for name in graph.variable_inputs(maker) if name not in seen]
            seen.update(sources)
            pending.extend(sources)
    return False


def _call(
    graph: Graph,
    kind: str,
    role: Role,
    members: tuple[int, ...],
    output: str,
    *,
    inputs: tuple[str, ...] = (),
    channel: int | None = None,
    bias: bool = False,
    recurrent: bool = False,
) -> Call:
    """A call with what its members read from outside: values that vary, and the leaves behind the others."""
    made = {name for index in members for name in graph.nodes[index].output}
    reads = dict.fromkeys(name for index in members for name in graph.nodes[index].input if name and name not in made)
    constants = [name for name in reads if name in graph.constants]
    roots = dict.fromkeys(root for name in constants for root in graph.roots(name) if is_weight(graph.leaves[root]))
    variable = tuple(name for name in inputs if name not in graph.constants)
    return Call(
        type=kind,
        role=role,
        members=members,
        output=output,
        inputs=variable,
        channel=channel,
        has_bias=bias,
        recurrent=recurrent,
        parameters=tuple(root for root in roots if graph.leaves[root].dims),
        roots=tuple(roots),
        constants=tuple(constants),
        feeds=tuple(name for name in reads if name not in graph.constants),
    )
