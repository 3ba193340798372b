"""An ONNX graph with what its edges say: who makes a value, who reads it, and which values never change."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}
)


@dataclass(frozen=True, slots=True)
class Graph:
    """The top level of a model, indexed.

    ``nodes`` stand in order of execution. ``leaves`` are the tensors written down in the file (initializers
    and Constant nodes); ``constants`` also holds what follows from them alone (a transposed or dequantized
    weight). ``inputs`` are what has to be fed, ``returned`` the names of the outputs. ``folder`` is where
    external data is relative to. ``read`` keeps weights that had to be read for ONNX Runtime, by name.
    """

    model: onnx.ModelProto
    folder: Path
    nodes: tuple[onnx.NodeProto, ...]
    producer: Mapping[str, int]
    consumers: Mapping[str, tuple[int, ...]]
    leaves: Mapping[str, onnx.TensorProto]
    constants: frozenset[str]
    inputs: tuple[onnx.ValueInfoProto, ...]
    returned: frozenset[str]
    read: dict[str, npt.NDArray[np.generic]] = field(default_factory=dict)

    def maker(self, value: str) -> onnx.NodeProto | None:
        """The node that produces ``value``; None for graph inputs and initializers."""
        index = self.producer.get(value)
        return None if index is None else self.nodes[index]

    def readers(self, value: str) -> tuple[onnx.NodeProto, ...]:
        """The nodes that read ``value``, also from inside their subgraphs."""
        return tuple(self.nodes[index] for index in self.consumers.get(value, ()))

    def sole_reader(self, value: str) -> onnx.NodeProto | None:
        """The one node that reads ``value``, where there is exactly one and it is no output of the graph."""
        readers = self.consumers.get(value, ())
        return self.nodes[readers[0]] if len(readers) == 1 and value not in self.returned else None

    def variable_inputs(self, node: onnx.NodeProto) -> list[str]:
        """Inputs of ``node`` that depend on what is fed, in order, each once."""
        return list(dict.fromkeys(name for name in node.input if name and name not in self.constants))

    def roots(self, value: str) -> tuple[str, ...]:
        """Names of the leaves that constant ``value`` is computed from; itself if it is one."""
        found: dict[str, None] = {}
        pending = [value]
        while pending:
            name = pending.pop()
            if name in self.leaves:
                found[name] = None
            else:
                pending.extend(source for source in reversed(self.nodes[self.producer[name]].input) if source)
        return tuple(found)


def index_graph(model: onnx.ModelProto, folder: Path) -> Graph:
    """Index the top level of ``model``."""
    nodes = tuple(model.graph.node)
    leaves = {tensor.name: tensor for tensor in model.graph.initializer}
    leaves |= {node.output[0]: tensor for node in nodes if (tensor := constant_tensor(node)) is not None}
    sparse = {tensor.values.name for tensor in model.graph.sparse_initializer}
    constants = set(leaves) | sparse
    producer: dict[str, int] = {}
    consumers: dict[str, list[int]] = {}
    for index, node in enumerate(nodes):
        producer |= {name: index for name in node.output if name}
        for name in dict.fromkeys(reads(node)):
            consumers.setdefault(name, []).append(index)
        if _follows_from(node, constants):
            constants.update(name for name in node.output if name)
    inputs = tuple(value for value in model.graph.input if value.name not in constants)
    return Graph(
        model=model,
        folder=folder,
        nodes=nodes,
        producer=producer,
        leaves=leaves,
        constants=frozenset(constants),
        consumers={name: tuple(places) for name, places in consumers.items()},
        inputs=inputs,
        returned=frozenset(output.name for output in model.graph.output),
    )


def _follows_from(node: onnx.NodeProto, constants: set[str]) -> bool:
    """Whether ``node`` gives the same whatever is fed."""
    if node.op_type == "Constant":
        return True
    named = [name for name in reads(node) if name]
    return bool(named) and node.op_type not in RANDOM and all(name in constants for name in named)


def reads(node: onnx.NodeProto) -> list[str]:
    """Names that ``node`` reads from the scope it stands in, those of its subgraphs included."""
    names = [name for name in node.input if name]
    for _, graph in subgraphs(node):
        own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
        for inner in graph.node:
            names.extend(name for name in reads(inner) if name not in own)
            own.update(inner.output)
        names.extend(value.name for value in graph.output if value.name not in own)
    return names


def subgraphs(node: onnx.NodeProto) -> Iterator[tuple[str, onnx.GraphProto]]:
    """(attribute name, graph) of the bodies and branches of a control-flow node."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.name, attribute.g


def constant_tensor(node: onnx.NodeProto) -> onnx.TensorProto | None:
    """The tensor of a Constant node, None for other nodes and for constants that are no numbers."""
    if node.op_type != "Constant" or not node.attribute:
        return None
    attribute = node.attribute[0]
    if attribute.name == "value":
        return attribute.t
    if attribute.name in ("value_float", "value_floats"):
        array: npt.NDArray[np.generic] = np.array(onnx.helper.get_attribute_value(attribute), np.float32)
    elif attribute.name in ("value_int", "value_ints"):
        array = np.array(onnx.helper.get_attribute_value(attribute), np.int64)
    else:
        return None
    return onnx.numpy_helper.from_array(array, node.output[0])


def attribute_of(node: onnx.NodeProto, name: str, default: object = None) -> object:
    """Value of an attribute of ``node``."""
    for attribute in node.attribute:
        if attribute.name == name:
            return onnx.helper.get_attribute_value(attribute)
    return default
