"""Unfolding a TorchScript program into one graph in which every call of a module shows what goes in and comes out."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from covscan.capture.script_arguments import Argument, Constant, Data, Group, Unknown, attribute, module_path
from covscan.capture.script_operator import TAP, TAP_LIST

# torch.jit.trace calls the second use of a module "forward1", torch.jit.script the first overload "forward__0".
_FORWARD = re.compile(r"^forward(\d*|__\d+)$")

# One operator for a whole layer, which torch takes without hooks; every program that uses one has the open way too.
_FUSED = frozenset({"aten::_transformer_encoder_layer_fwd", "aten::_native_multi_head_attention"})


@dataclass(frozen=True, slots=True)
class Call:
    """One place in the graph that is shown: taps ``2 * number`` before and ``2 * number + 1`` behind it.

    ``name`` is the qualified name of the module, or a name made for an operator outside of any layer's module.
    ``method`` is the method or the operator. ``facts`` are constants and ``weights`` names of weights that the operator
    inside is given, by the names of its schema.
    """

    number: int
    kind: Literal["module", "operator", "sum", "logits"]
    name: str
    type: str
    method: str
    arguments: tuple[Argument, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)


class CallInliner:
    """Replaces calls of methods by their bodies, noting where the forward of a module begins and ends.

    torch's own inlining forgets those places. The program of ``module`` is copied, not changed.
    """

    def __init__(self, module: torch.jit.ScriptModule, number: int) -> None:
        self._module = module
        self._number = number
        self.graph: Any = module._c._get_method("forward").graph.copy()
        self.calls: list[Call] = []

    def run(self) -> None:
        """Unfold everything; ``graph`` and ``calls`` hold the result."""
        self._walk(self.graph.nodes())
        torch._C._jit_pass_inline(self.graph)  # functions, which are no modules
        for node in list(nodes_in(self.graph)):
            if node.kind() == "prim::If":
                _leave_fused(self.graph, node)
        # Passes go back to the insertion point, which must not be a node that they removed.
        self.graph.setInsertPoint(self.graph.return_node())
        # Branches that are settled by a constant go, such as the one of F.relu that works in place.
        torch._C._jit_pass_constant_propagation_immutable_types(self.graph)  # type: ignore[attr-defined]

    def _walk(self, nodes: Any) -> None:
        for node in list(nodes):
            if node.kind() == "prim::CallMethod":
                self._expand(node)
            else:
                for block in node.blocks():
                    self._walk(block.nodes())

    def _expand(self, node: Any) -> None:
        path = module_path(node.inputsAt(0))
        if path is None:
            return
        called, method = attribute(self._module, path), node.s("name")
        body = called._c._get_method(method).graph
        graph = self.graph
        graph.setInsertPoint(node)
        call = self._enter(node, path, called, method) if path and _FORWARD.match(method) else None
        values = {inner.debugName(): outer for inner, outer in zip(body.inputs(), node.inputs(), strict=True)}
        clones = []
        for inner in body.nodes():
            clone = graph.createClone(inner, lambda value: values[value.debugName()])
            graph.insertNode(clone)
            clones.append(clone)
            for old, new in zip(inner.outputs(), clone.outputs(), strict=True):
                values[old.debugName()] = new
        results = [values[value.debugName()] for value in body.outputs()]
        if call is not None:
            show(graph, self._number, results, 2 * call.number + 1)
        for old, new in zip(node.outputs(), results, strict=True):
            old.replaceAllUsesWith(new)
        graph.setInsertPoint(graph.return_node())
        node.destroy()
        self._walk(clones)

    def _enter(self, node: Any, path: str, called: Any, method: str) -> Call:
        number = len(self.calls)
        arguments = show(self.graph, self._number, list(node.inputs())[1:], 2 * number)
        call = Call(number, "module", path, called.original_name, method, arguments)
        self.calls.append(call)
        return call


def nodes_in(block: Any) -> Iterator[Any]:
    """Every node of a graph or block and of the blocks inside, in order."""
    for node in list(block.nodes()):
        yield node
        for inner in node.blocks():
            yield from nodes_in(inner)


def show(graph: Any, number: int, values: list[Any], place: int) -> tuple[Argument, ...]:
    """Insert a tap of ``values`` at the graph's insertion point and say how each value is to be found in it."""
    if len(values) == 1 and values[0].type().annotation_str == "List[Tensor]":
        _insert(graph, TAP_LIST, values[0], number, place)
        return (Unknown(),)
    shown: list[Any] = []
    arguments = tuple(_expose(graph, value, shown) for value in values)
    gathered = graph.insertNode(graph.create("prim::ListConstruct", shown, 1)).output()
    gathered.setType(torch._C.ListType(torch._C.OptionalType(torch._C.TensorType.get())))
    _insert(graph, TAP, gathered, number, place)
    return arguments


def _insert(graph: Any, operator: str, values: Any, number: int, place: int) -> None:
    inputs = [values, graph.insertConstant(number), graph.insertConstant(place)]
    graph.insertNode(graph.create(operator, inputs, 0))


def _expose(graph: Any, value: Any, shown: list[Any]) -> Argument:
    """Add the tensors in ``value`` to ``shown``."""
    kind = value.type().kind()
    if kind == "NoneType":
        return Constant(None)
    if kind == "TensorType" or value.type().annotation_str == "Optional[Tensor]":
        shown.append(value)
        return Data(len(shown) - 1)
    if kind == "TupleType":
        types = value.type().containedTypes()
        unpacked = graph.insertNode(graph.create("prim::TupleUnpack", [value], len(types)))
        for item, item_type in zip(unpacked.outputs(), types, strict=True):
            item.setType(item_type)
        return Group(tuple(_expose(graph, item, shown) for item in unpacked.outputs()), is_list=False)
    if value.node().kind() == "prim::Constant":
        return Constant(value.toIValue())
    return Unknown()


def _leave_fused(graph: Any, node: Any) -> None:
    """Settle the condition of a branch that holds a fused layer, so that the open way is taken.

    The condition says further out, too, whether that branch has returned: all of its uses are settled.
    """
    condition = node.inputsAt(0)
    for taken, block in zip((True, False), node.blocks(), strict=True):
        fused = any(inner.kind() in _FUSED for inner in block.nodes())
        if fused and condition.node().kind() not in {"prim::Constant", "prim::Param"}:
            graph.setInsertPoint(condition.node())
            condition.replaceAllUsesWith(graph.insertConstant(not taken))
