"""Preparing a copy of a model for tapping: functions and decided branches become part of the main graph.

A branch is decided where its condition depends on nothing but constants, the shapes of tensors, and inputs
that are the same for every sample (a sampling rate): such an If is how exporters write Python's own ``if``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx.inliner

from covscan.capture.onnx_graph import Graph, index_graph, subgraphs
from covscan.capture.onnx_operators import PARAMETRIZED, QUANTIZED
from covscan.capture.types import Skip
from covscan.errors import UsageError

Evaluate = Callable[[onnx.ModelProto, Sequence[str]], Mapping[str, bool]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model whose main graph shows all it can.

    ``decisions`` are the conditions that were decided, with the branch that is taken; they hold for the
    data that they were decided with. ``skipped`` lists the weighted nodes in branches that are not taken.
    """

    graph: Graph
    decisions: Mapping[str, bool]
    skipped: tuple[Skip, ...]


def inline_functions(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """``model`` with its local functions written out. Raises UsageError."""
    if not model.functions:
        return model
    try:
        return onnx.inliner.inline_local_functions(model)
    except (RuntimeError, ValueError) as error:
        raise UsageError(
            "unreadable-model",
            f"the local functions of '{path}' cannot be written out",
            found=str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__,
            hint="export the model without model-local functions",
        ) from error


def prepare(model: onnx.ModelProto, path: Path, free_inputs: frozenset[str], evaluate: Evaluate) -> Prepared:
    """Write out functions and decided branches, in a copy. ``free_inputs`` are the graph inputs that hold samples.

    ``evaluate`` runs a model on the first samples and returns boolean values of it by name.
    """
    model = inline_functions(model, path)
    graph = index_graph(model, path.parent)
    decisions: dict[str, bool] = {}
    skipped: list[Skip] = []
    while True:
        conditions = [
            node.input[0]
            for node in graph.nodes
            if node.op_type == "If" and not _depends(graph, node.input[0], free_inputs)
        ]
        if not conditions:
            return Prepared(graph, decisions, (*skipped, *inner_skips(graph)))
        taken = evaluate(model, tuple(dict.fromkeys(conditions)))
        if not taken:
            return Prepared(graph, decisions, (*skipped, *inner_skips(graph)))
        if not decisions:
            model = _copy(model)
        decisions |= taken
        skipped.extend(_write_out(model, taken))
        graph = index_graph(model, path.parent)


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def inner_skips(graph: Graph) -> list[Skip]:
    """The weighted nodes inside control flow that is left alone."""
    return [
        skip
        for node in graph.nodes
        for label, body in subgraphs(node)
        for skip in _skips(body, f"inside the {label} subgraph of {node.op_type} '{_name(node)}', which is left alone")
    ]


def _skips(body: onnx.GraphProto, reason: str) -> list[Skip]:
    skips = []
    for node in body.node:
        if node.op_type in (PARAMETRIZED.keys() - {"Gather"}) | QUANTIZED:
            skips.append(Skip(node.output[0] or _name(node), reason))
        for _, inner in subgraphs(node):
            skips.extend(_skips(inner, reason))
    return skips


def _name(node: onnx.NodeProto) -> str:
    return str(node.name or next((output for output in node.output if output), node.op_type))


def _depends(graph: Graph, value: str, free_inputs: frozenset[str]) -> bool:
    """Whether a condition depends on what the samples hold (not merely on how large they are)."""
    pending, seen = [value], {value}
    while pending:
        name = pending.pop()
        if name in free_inputs:
            return True
        maker = graph.maker(name)
        if maker is None or maker.op_type in ("Shape", "Size"):
            continue
        if maker.op_type != "Constant" and (not maker.input or any(True for _ in subgraphs(maker))):
            return True
        sources = [source for source in maker.input if source and source not in seen]
        seen.update(sources)
        pending.extend(sources)
    return False


def _write_out(model: onnx.ModelProto, taken: Mapping[str, bool]) -> list[Skip]:
    """Put the taken branch of every decided If in its place; what the other holds is returned as skipped."""
    skipped: list[Skip] = []
    nodes: list[onnx.NodeProto] = []
    names = _names(model.graph)
    for node in model.graph.node:
        if node.op_type != "If" or node.input[0] not in taken:
            nodes.append(node)
            continue
        branches = dict(subgraphs(node))
        chosen, other = ("then_branch", "else_branch") if taken[node.input[0]] else ("else_branch", "then_branch")
        reason = f"inside the {other} subgraph of If '{_name(node)}', which this data does not take"
        skipped.extend(_skips(branches[other], reason))
        nodes.extend(_unpack(model, branches[chosen], node, names))
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    return skipped


def _unpack(
    model: onnx.ModelProto, branch: onnx.GraphProto, node: onnx.NodeProto, names: set[str]
) -> list[onnx.NodeProto]:
    """The nodes of a branch under names that are free in the main graph; its tensors move there too."""
    renamed: dict[str, str] = {}
    made = {tensor.name for tensor in branch.initializer} | {name for inner in branch.node for name in inner.output}
    for name in sorted(made - {""}):
        fresh = name
        while fresh in names:
            fresh = f"{fresh}_"
        names.add(fresh)
        if fresh != name:
            renamed[name] = fresh
    for tensor in branch.initializer:
        moved = model.graph.initializer.add()
        moved.CopyFrom(tensor)
        moved.name = renamed.get(tensor.name, tensor.name)
    inner = [onnx.NodeProto.FromString(each.SerializeToString()) for each in branch.node]
    for each in inner:
        _rename(each, renamed)
    for result, output in zip(branch.output, node.output, strict=True):
        if output:
            inner.append(onnx.helper.make_node("Identity", [renamed.get(result.name, result.name)], [output]))
    return inner


def _rename(node: onnx.NodeProto, renamed: Mapping[str, str]) -> None:
    for place, name in enumerate(node.input):
        node.input[place] = renamed.get(name, name)
    for place, name in enumerate(node.output):
        node.output[place] = renamed.get(name, name)
    for _, body in subgraphs(node):
        for inner in body.node:
            _rename(inner, renamed)
        for value in body.output:
            value.name = renamed.get(value.name, value.name)


def _names(graph: onnx.GraphProto) -> set[str]:
    """Every name of the main graph."""
    values = [*graph.input, *graph.initializer]
    return {value.name for value in values} | {name for node in graph.node for name in node.output}
