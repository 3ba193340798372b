"""Running the layers of one checkpoint's graph with another checkpoint's weights on the same inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx

from covscan.capture.onnx_constants import Array, constant_nodes, is_external, read_tensor
from covscan.capture.onnx_graph import Graph
from covscan.capture.onnx_parts import Call
from covscan.capture.onnx_places import At, runs_at_places
from covscan.capture.onnx_session import Session, open_session
from covscan.capture.places import are_few, moved, where_read
from covscan.capture.types import Rows, Site

_PIECE = 2**20
"""Bytes compared at once."""
Replayed = Array | Rows
"""All of an output, or what was worked out of it."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A call of the current graph and the same call of a reference's graph."""

    here: Call
    there: Call


def same_calls(graph: Graph, here: Sequence[Call], other: Graph, there: Mapping[str, Call | None]) -> list[Pair]:
    """Calls with weights and what they are in another graph (``there``, by output here), made of the same operators."""
    pairs = [Pair(call, found) for call in here if call.parameters and (found := there.get(call.output)) is not None]
    return [
        pair
        for pair in pairs
        if _operators(graph, pair.here) == _operators(other, pair.there)
        and len(pair.here.feeds) == len(pair.there.feeds)
    ]


def _operators(graph: Graph, call: Call) -> list[str]:
    return [graph.nodes[index].op_type for index in call.members]


def is_unmoved(graph: Graph, other: Graph, pair: Pair) -> bool:
    """Whether every weight of the call is bit-equal in both files; quantized ones are others, and more, than floats."""
    return len(pair.here.roots) == len(pair.there.roots) and all(
        _same(graph.leaves[mine], graph.folder, other.leaves[yours], other.folder)
        for mine, yours in zip(pair.here.roots, pair.there.roots, strict=True)
    )


def _same(one: onnx.TensorProto, folder: Path, two: onnx.TensorProto, other: Path) -> bool:
    if one.data_type != two.data_type or list(one.dims) != list(two.dims):
        return False
    if one.raw_data and two.raw_data and not is_external(one) and not is_external(two):
        return bool(one.raw_data == two.raw_data)
    mine, yours = (np.ascontiguousarray(read_tensor(*each)).reshape(-1) for each in ((one, folder), (two, other)))
    if mine.dtype == object:  # text
        return bool(np.array_equal(mine, yours))
    mine, yours = mine.view(np.uint8), yours.view(np.uint8)
    # Piece by piece: weights that moved differ at once, and need not be read to their end.
    return len(mine) == len(yours) and all(
        np.array_equal(mine[start : start + _PIECE], yours[start : start + _PIECE])
        for start in range(0, len(mine), _PIECE)
    )


@dataclass(slots=True)
class Replay:
    """The calls whose weights differ at one reference.

    What can is worked out at the places that are read; the others are one graph without edges between them.
    """

    reference: str
    graph: Graph
    path: Path
    pairs: Sequence[Pair]
    _session: Session | None = field(default=None, init=False)
    _at: dict[str, At] = field(default_factory=dict, init=False)
    _whole: list[Pair] = field(default_factory=list, init=False)
    _begun: bool = field(default=False, init=False)

    @property
    def feeds(self) -> frozenset[str]:
        """Values of the current graph that the replay reads."""
        return frozenset(name for pair in self.pairs for name in pair.here.feeds)

    def run(
        self, values: Mapping[str, Array], read: Mapping[str, tuple[Site, Rows]], where: str
    ) -> dict[str, Replayed]:
        """What each call gives with the reference's weights, by the name of its output. Raises UsageError.

        ``values`` are those of the current graph, of which ``read`` says what was read.
        """
        if not self._begun:
            self._begin(values, read)
        found: dict[str, Replayed] = dict(self._run_whole(values, where)) if self._whole else {}
        for pair in self.pairs:
            at, name = self._at.get(pair.here.output), pair.here.output
            if at is not None and name in read:
                site, rows = read[name]
                value = moved(values[pair.here.feeds[0]], site.layout)
                places = where_read(rows, values[name].shape, site.layout)
                found[name] = Rows(at(value, places), rows.sample, rows.position)
        return found

    def _begin(self, values: Mapping[str, Array], read: Mapping[str, tuple[Site, Rows]]) -> None:
        self._begun = True
        for pair in self.pairs:
            site, rows = read.get(pair.here.output, (None, None))
            if site is None or rows is None:
                continue
            value, output = values[pair.here.feeds[0]], values[pair.here.output]
            few = are_few(rows, output.shape, site.layout)
            at = runs_at_places(self.graph, pair.there, site, value, output) if few else None
            if at is not None:
                self._at[pair.here.output] = at
            else:
                self._whole.append(pair)

    def _run_whole(self, values: Mapping[str, Array], where: str) -> dict[str, Array]:
        feeds = {f"feed:{name}": values[name] for pair in self._whole for name in pair.here.feeds}
        if self._session is None:
            self._session = open_session(self._model(feeds), self.path, once=True)
        outputs = {pair.here.output: _made(place, pair.there.output) for place, pair in enumerate(self._whole)}
        found = self._session.run(list(outputs.values()), feeds, where=where)
        return {name: found[inner] for name, inner in outputs.items()}

    def _model(self, feeds: Mapping[str, Array]) -> onnx.ModelProto:
        inputs = [
            onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), None)
            for name, array in feeds.items()
        ]
        nodes: dict[str, onnx.NodeProto] = {}
        tensors: dict[str, onnx.TensorProto] = {}
        for place, pair in enumerate(self._whole):
            for name in pair.there.constants:
                nodes |= {node.output[0]: node for node in constant_nodes(self.graph, name)}
                tensors |= {root: _named(self.graph.leaves[root], root) for root in self.graph.roots(name)}
            nodes |= {node.output[0]: node for node in self._members(place, pair)}
        outputs = [onnx.ValueInfoProto(name=_made(place, pair.there.output)) for place, pair in enumerate(self._whole)]
        body = onnx.helper.make_graph(list(nodes.values()), "replay", inputs, outputs, list(tensors.values()))
        model = onnx.helper.make_model(body, opset_imports=list(self.graph.model.opset_import))
        model.ir_version = self.graph.model.ir_version
        return model

    def _members(self, place: int, pair: Pair) -> list[onnx.NodeProto]:
        """Copies of the call's nodes that read the current graph's values and write names of their own."""
        feeds = {theirs: f"feed:{mine}" for mine, theirs in zip(pair.here.feeds, pair.there.feeds, strict=True)}
        copies: list[onnx.NodeProto] = []
        for index in pair.there.members:
            node = onnx.NodeProto.FromString(self.graph.nodes[index].SerializeToString())
            made = [_made(place, name) if name else "" for name in node.output]
            known = {name for each in copies for name in each.output}
            for spot, name in enumerate(node.input):
                node.input[spot] = _made(place, name) if _made(place, name) in known else feeds.get(name, name)
            node.output[:] = made
            node.name = ""
            copies.append(node)
        return copies


def _made(place: int, name: str) -> str:
    return f"call{place}:{name}"


def _named(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    copy = onnx.TensorProto()
    copy.CopyFrom(tensor)
    copy.name = name
    return copy
