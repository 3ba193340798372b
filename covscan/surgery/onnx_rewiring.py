"""Putting nodes into an ONNX graph behind a value, or in front of those who read it."""

from collections.abc import Collection, Iterator

import onnx

from covscan.capture.onnx_graph import subgraphs
from covscan.surgery.onnx_nodes import Chain

_INITIALIZERS_ALONE_SINCE = 4


def names_of(graph: onnx.GraphProto) -> set[str]:
    """Every name that a graph or a subgraph of it uses, for values and for nodes."""
    found = {value.name for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer)}
    for node in graph.node:
        found |= {node.name, *node.input, *node.output}
        for _, body in subgraphs(node):
            found |= names_of(body)
    return found


def behind(model: onnx.ModelProto, value: str, chain: Chain) -> str:
    """Let the node that makes ``value`` make another one, whose name is returned: ``chain`` shall lead from it back.

    All readers, subgraphs and outputs of the graph keep the name that they know.
    """
    renamed = chain.fresh("input")
    for node in model.graph.node:
        for place, name in enumerate(node.output):
            if name == value:
                node.output[place] = renamed
    for info in [info for info in model.graph.value_info if info.name == value]:
        model.graph.value_info.add().CopyFrom(info)
        model.graph.value_info[-1].name = renamed
    return renamed


def in_front(model: onnx.ModelProto, value: str, readers: Collection[str], chain: Chain) -> str:
    """Let the nodes that make ``readers`` read another value than ``value``, whose name is returned."""
    renamed = chain.fresh("output")
    for node in model.graph.node:
        if any(name in readers for name in node.output):
            for place, name in enumerate(node.input):
                if name == value:
                    node.input[place] = renamed
    return renamed


def place(model: onnx.ModelProto, chain: Chain, *, target: str) -> None:
    """Put the nodes of ``chain``, which make ``target``, in front of the first node that reads it, or at the end."""
    nodes = list(model.graph.node)
    first = next((index for index, node in enumerate(nodes) if target in _reads(node)), len(nodes))
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend([*copies[:first], *chain.nodes, *copies[first:]])
    model.graph.initializer.extend(chain.initializers)
    if model.ir_version < _INITIALIZERS_ALONE_SINCE:  # where they had to be inputs with a default
        model.graph.input.extend(
            onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            for tensor in chain.initializers
        )


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    yield from node.input
    for _, body in subgraphs(node):
        yield from (value.name for value in body.output)
        for inner in body.node:
            yield from _reads(inner)


def inner_makers(graph: onnx.GraphProto, value: str) -> str | None:
    """The node of a graph in whose subgraphs ``value`` is made, None where there is none."""
    for node in graph.node:
        for _, body in subgraphs(node):
            if _makes(body, value):
                return str(node.name or node.op_type)
    return None


def _makes(body: onnx.GraphProto, value: str) -> bool:
    return any(value in node.output for node in body.node) or inner_makers(body, value) is not None
