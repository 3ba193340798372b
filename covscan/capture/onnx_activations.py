"""Activations that an exporter wrote as arithmetic: GELU, SiLU, hard swish, Mish."""

from collections.abc import Iterator

import onnx

from covscan.capture.onnx_graph import Graph
from covscan.capture.onnx_parts import Composite

_CORES = {"Erf": "Gelu", "Tanh": "Gelu", "Sigmoid": "Swish", "HardSigmoid": "HardSwish", "Clip": "HardSwish"}
_SCALING = frozenset({"Add", "Sub", "Mul", "Div", "Cast"})
_LIMIT = 12


def find_activations(graph: Graph) -> Iterator[Composite]:
    """Products of a value with a squashed copy of itself."""
    for index, node in enumerate(graph.nodes):
        if node.op_type in _CORES and node.output[0] not in graph.constants:
            found = _gated(graph, index, node)
            if found is not None:
                yield found


def _gated(graph: Graph, index: int, core: onnx.NodeProto) -> Composite | None:
    """X times f(x) with constants in between, found from the node of f."""
    members = {index}
    value, product = _forward(graph, core.output[0], members)
    if product is None:
        return None
    other = product.input[1] if product.input[0] == value else product.input[0]
    for source, scaling in _chain(graph, other).items():
        inside = _argument(graph, core, source)
        if inside is not None:
            members |= {graph.producer[product.output[0]]} | inside | scaling
            output = _scaled(graph, product.output[0], members)
            kind = "Mish" if _softplus(graph, core) is not None else _CORES[core.op_type]
            return Composite(type=kind, role="activation", members=tuple(sorted(members)), source=source, output=output)
    return None


def _argument(graph: Graph, core: onnx.NodeProto, source: str) -> set[int] | None:
    """The nodes between ``source`` and the squashing function, where that sees nothing but ``source``."""
    if core.op_type != "Tanh":
        return _chain(graph, core.input[0]).get(source)
    softplus = _softplus(graph, core)
    if softplus is not None:
        return {graph.producer[softplus.output[0]]} if softplus.input[0] == source else None
    return _cubic(graph, core.input[0], source)


def _softplus(graph: Graph, core: onnx.NodeProto) -> onnx.NodeProto | None:
    maker = graph.maker(core.input[0]) if core.op_type == "Tanh" else None
    return maker if maker is not None and maker.op_type == "Softplus" else None


def _chain(graph: Graph, value: str) -> dict[str, set[int]]:
    """Values that ``value`` is only a scaled or shifted copy of, itself first, with the nodes in between."""
    chain: dict[str, set[int]] = {value: set()}
    passed: set[int] = set()
    for _ in range(_LIMIT):
        maker = graph.maker(value)
        if maker is None or maker.op_type not in _SCALING or len(graph.variable_inputs(maker)) != 1:
            break
        passed = passed | {graph.producer[value]}
        value = graph.variable_inputs(maker)[0]
        chain[value] = passed
    return chain


def _cubic(graph: Graph, value: str, source: str) -> set[int] | None:
    """The nodes between ``source`` and its cubic polynomial ``value`` (the tanh form of GELU), if it is one."""
    members: set[int] = set()
    pending, powers = [value], False
    while pending:
        name = pending.pop()
        maker = graph.maker(name)
        if name == source or name in graph.constants:
            continue
        if maker is None or maker.op_type not in _SCALING | {"Pow"} or len(members) > _LIMIT:
            return None
        powers = powers or maker.op_type == "Pow" or (maker.op_type == "Mul" and len(set(maker.input)) == 1)
        members.add(graph.producer[name])
        pending.extend(maker.input)
    return members if powers else None


def _forward(graph: Graph, value: str, members: set[int]) -> tuple[str, onnx.NodeProto | None]:
    """Follow scaling by constants to the first product of two values; (value that enters it, the product)."""
    reader = graph.sole_reader(value)
    while reader is not None and reader.op_type in _SCALING and len(graph.variable_inputs(reader)) == 1:
        members.add(graph.producer[reader.output[0]])
        value = reader.output[0]
        reader = graph.sole_reader(value)
    product = reader is not None and reader.op_type == "Mul" and len(graph.variable_inputs(reader)) == 2
    return value, reader if product else None


def _scaled(graph: Graph, value: str, members: set[int]) -> str:
    """The value behind ``value`` after a scaling by one number, as in the half of GELU, or itself."""
    reader = graph.sole_reader(value)
    if reader is None or reader.op_type not in ("Mul", "Div") or len(graph.variable_inputs(reader)) != 1:
        return value
    constant = next((name for name in reader.input if name in graph.constants), None)
    tensor = graph.leaves.get(constant or "")
    if tensor is None or any(size != 1 for size in tensor.dims):
        return value
    members.add(graph.producer[reader.output[0]])
    return reader.output[0]
