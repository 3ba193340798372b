"""Finding out by running it how an ONNX graph takes samples and what shapes its values have."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from covscan.capture.onnx_branches import Prepared, prepare
from covscan.capture.onnx_constants import FLOATING, Array, constant_value
from covscan.capture.onnx_feeding import bind, declared, pick
from covscan.capture.onnx_graph import Graph, index_graph
from covscan.capture.onnx_network import Probe
from covscan.capture.onnx_session import NUMBERS, open_session
from covscan.capture.onnx_weights import copy_fields
from covscan.data.structure import map_arrays
from covscan.data.types import Batch
from covscan.errors import UsageError
from covscan.models.types import Checkpoint

_FEW = (2, 3)
"""Sample counts of the two probing runs: an axis that grows in their ratio is the sample's."""

_DTYPES = {name: dtype.name for name, dtype in NUMBERS.items()}
_SHAPE_SINCE = 13
"""An operator set that has Shape, for graphs that name none of ONNX's own."""


@dataclass(frozen=True, slots=True)
class Study:
    """A prepared graph and what probing it showed. ``size``: samples that every run must have."""

    prepared: Prepared
    first: Probe
    second: Probe | None
    size: int | None


def structure(model: onnx.ModelProto, batch: Batch) -> str:
    """Hex SHA-256 of what probing shows: the graph with all but the floating numbers in it, and the samples of a probe.

    What it shows are shapes and types, and these follow from nothing that training moves.
    """
    digest = hashlib.sha256()
    without, graph = onnx.ModelProto(), onnx.ModelProto().graph
    copy_fields(model, without, but="graph")
    copy_fields(model.graph, graph, but="initializer")
    for tensor in model.graph.initializer:
        named = graph.initializer.add(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
        if tensor.data_type not in FLOATING:
            named.CopyFrom(tensor)
    for part in (without, graph):
        digest.update(part.SerializeToString(deterministic=True))
    few = repeated(batch, max(_FEW))
    map_arrays(lambda array: digest.update(array.tobytes()), (few.positional, few.named))
    return digest.hexdigest()


def study(model: onnx.ModelProto, checkpoint: Checkpoint, batch: Batch) -> Study:
    """Prepare the graph and run it on a few samples. Raises UsageError where it refuses the data."""
    size, free = _demands(index_graph(model, checkpoint.path.parent), checkpoint, batch)
    refused: UsageError | None = None
    for counts in [(size,)] if size else [_FEW, (batch.n,), (1,)]:
        few = repeated(batch, counts[0])
        try:
            prepared = prepare(model, checkpoint.path, free, partial(evaluate, checkpoint, few))
            probes = _probes(prepared.graph, checkpoint, [repeated(batch, count) for count in counts])
        except UsageError as error:
            if error.code != "model-failed":
                raise
            refused = refused or error
            continue
        return Study(
            prepared,
            probes[0],
            probes[1] if len(probes) > 1 else None,
            size or (counts[0] if len(counts) == 1 else None),
        )
    raise refused or UsageError("empty-data", "there are no samples to run the model on")


def repeated(batch: Batch, count: int) -> Batch:
    """``count`` samples: the first ones, over again where there are fewer."""
    return pick(batch, np.arange(count) % batch.n)


def _demands(graph: Graph, checkpoint: Checkpoint, batch: Batch) -> tuple[int | None, frozenset[str]]:
    """(samples that every run must have, names of the inputs that hold samples)."""
    one, two = (bind(graph.inputs, repeated(batch, count), checkpoint.path) for count in _FEW)
    free = [name for name in one if one[name].shape != two[name].shape]
    shapes = {name: shape for name, _, shape in declared(graph.inputs)}
    varied = [name for name in free if one[name].shape[0] != two[name].shape[0]]
    fixed = [size for name in varied for size in shapes[name][:1]]
    return next((size for size in fixed if isinstance(size, int)), None), frozenset(free)


def evaluate(checkpoint: Checkpoint, batch: Batch, model: onnx.ModelProto, names: Sequence[str]) -> Mapping[str, bool]:
    """Boolean values of a graph on a batch, by name."""
    graph = index_graph(model, checkpoint.path.parent)
    feeds = bind(graph.inputs, batch, checkpoint.path)
    known: dict[str, Any] = {name: feeds[name] for name in names if name in feeds}
    known |= {name: constant_value(graph, name) for name in names if name in graph.constants}
    missing = [name for name in names if name not in known]
    if missing:
        known |= open_session(model, checkpoint.path, missing, once=True).run(missing, feeds, where="the first samples")
    return {name: bool(np.asarray(known[name]).reshape(-1)[0]) for name in names}


def _probes(graph: Graph, checkpoint: Checkpoint, batches: Sequence[Batch]) -> list[Probe]:
    """Run the graph on each batch for the shape of every value, as it is written: no value outlives its readers.

    All values of eight images in a ViT-S are 1.9 GB.
    """
    wanted = [name for name in graph.producer if name not in graph.constants or _has_telling_shape(graph, name)]
    types = open_session(graph.model, checkpoint.path, wanted, as_written=True, once=True, read=graph.read).types()
    kinds = {name: _kind(types[name]) for name in wanted}
    shapes = _Shapes(graph, checkpoint.path, [name for name in wanted if kinds[name] in _DTYPES.values()])
    written = {name: tuple(tensor.dims) for name, tensor in graph.leaves.items()}

    def probe(batch: Batch) -> Probe:
        feeds = bind(graph.inputs, batch, checkpoint.path)
        fed = {name: array.shape for name, array in feeds.items()}
        fed_kinds = {name: str(array.dtype) for name, array in feeds.items()}
        return Probe(batch.n, written | shapes.of(feeds) | fed, kinds | fed_kinds)

    return [probe(batch) for batch in batches]


class _Shapes:
    """A graph that tells the shapes of some of its values, and gives none of them."""

    def __init__(self, graph: Graph, path: Path, names: Sequence[str]) -> None:
        prefix = "shape:"
        while any(name.startswith(prefix) for name in graph.producer):
            prefix += ":"
        self._outputs = {name: prefix + name for name in names}
        model = onnx.ModelProto()
        model.CopyFrom(graph.model)
        for name, output in self._outputs.items():
            model.graph.node.append(onnx.helper.make_node("Shape", [name], [output]))
        if not any(each.domain in ("", "ai.onnx") for each in model.opset_import):
            model.opset_import.append(onnx.helper.make_opsetid("", _SHAPE_SINCE))
        self._session = open_session(model, path, self._outputs.values(), as_written=True, once=True, read=graph.read)

    def of(self, feeds: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
        """By name, on this input. Raises UsageError."""
        found = self._session.run(list(self._outputs.values()), feeds, where="the first samples")
        return {name: tuple(found[output].tolist()) for name, output in self._outputs.items()}


def _has_telling_shape(graph: Graph, name: str) -> bool:
    """Whether the shape of a computed constant says what it is: a bias, or the table of an embedding."""
    return name not in graph.leaves and any(node.op_type in ("Add", "Gather") for node in graph.readers(name))


def _kind(type_name: str) -> str:
    """A type of ONNX Runtime as numpy or people call it."""
    if type_name in _DTYPES:
        return _DTYPES[type_name]
    return type_name[7:-1] if type_name.startswith("tensor(") else f"{type_name} (no tensor)"
