"""Finding the operators of a TorchScript graph that no module of their own stands for, and showing their tensors."""

from collections import Counter
from typing import Any

import torch

from covscan.capture.script_arguments import (
    Argument,
    Constant,
    Data,
    Group,
    Unknown,
    Weight,
    attribute,
    module_path,
)
from covscan.capture.script_attention import are_logits
from covscan.capture.script_graph import Call, nodes_in, show
from covscan.capture.script_kinds import ACTIVATIONS, FACTS, LAYERS, NORMS, class_name, operator_name
from covscan.capture.torch_modules import channel_axis_of, role_of

_TAPS = ("covscan::tap", "covscan::tap_list")
_LOGIT_ARGUMENTS = ("self", "query", "key", "attn_mask")
_REARRANGED = frozenset({"t", "transpose", "to", "contiguous", "detach", "view", "reshape"})


class OperatorFinder:
    """Adds functional layers, norms, activations, sums and attention logits to the calls of an unfolded graph.

    ``weights`` are the archive's named tensors; constants of frozen archives, which have lost their names, are added
    under the name of the operator and of its argument.
    """

    def __init__(
        self,
        module: torch.jit.ScriptModule,
        graph: Any,
        number: int,
        calls: list[Call],
        weights: dict[str, torch.Tensor],
    ) -> None:
        self._module, self._graph, self._number = module, graph, number
        self._calls, self._weights = calls, weights
        self._modules = {name for name, _ in module.named_modules()}
        self._written = {path for node in nodes_in(graph) if (path := written_attribute(node)) is not None}
        self._ordinals: Counter[tuple[int, str]] = Counter()

    def run(self) -> None:
        """Walk the graph once."""
        self._walk(self._graph, [])

    def _walk(self, block: Any, owners: list[Call]) -> None:
        owners = list(owners)
        for node in list(block.nodes()):
            if node.kind() in _TAPS:
                place = node.inputsAt(2).toIValue()
                if place % 2:
                    owners.pop()
                else:
                    owners.append(self._calls[place // 2])
            elif operator_name(node) and node.outputsSize():
                self._look(node, operator_name(node), owners[-1] if owners else None)
            for inner in node.blocks():
                self._walk(inner, owners)

    def _look(self, node: Any, operator: str, owner: Call | None) -> None:
        if owner is not None and operator in FACTS and not owner.facts:
            facts, weights = _known_of(self._describe(node, owner.name, []))
            owner.facts.update(facts)
            owner.weights.update(weights)
        if operator == "scaled_dot_product_attention" or (operator == "softmax" and are_logits(node.inputsAt(0))):
            self._add_logits(node, operator, owner)
        if owner is not None and (is_one_operator(owner.type) or _is_its_result(node.outputsAt(0), owner)):
            return
        if operator in NORMS or operator in ACTIVATIONS or (operator in LAYERS and self._has_weight(node)):
            self._add_operator(node, operator, owner)
        elif operator == "add" and all(value.type().kind() == "TensorType" for value in list(node.inputs())[:2]):
            self._add_sum(node, owner)

    def _add_operator(self, node: Any, operator: str, owner: Call | None) -> None:
        name = self._name(owner, operator.strip("_"))
        shown: list[Any] = []
        named = self._describe(node, name, shown)
        facts, weights = _known_of(named)
        facts["biased"] = operator == "addmm" or not weights.keys().isdisjoint(("bias", "b_ih"))
        kind = class_name(operator, transposed=facts.get("transposed") is True)
        arguments = tuple(named.values())
        call = Call(len(self._calls), "operator", name, kind, operator, arguments, facts, weights)
        self._insert(node, call, shown)

    def _add_sum(self, node: Any, owner: Call | None) -> None:
        shown: list[Any] = []
        terms = tuple(self._argument(value, "", shown) for value in list(node.inputs())[:2])
        if all(isinstance(term, Data) for term in terms):
            call = Call(len(self._calls), "sum", self._name(owner, "add"), "Add", "add", terms)
            self._insert(node, call, shown)

    def _add_logits(self, node: Any, operator: str, owner: Call | None) -> None:
        name = owner.name if owner is not None else self._name(owner, operator)
        shown: list[Any] = []
        named = self._describe(node, name, shown)
        kind = owner.type if owner is not None else "Softmax"
        arguments = tuple(named[key] for key in _LOGIT_ARGUMENTS if key in named)
        call = Call(len(self._calls), "logits", name, kind, operator, arguments, _known_of(named)[0])
        self._calls.append(call)
        self._graph.setInsertPoint(node)
        show(self._graph, self._number, shown, 2 * call.number)

    def _insert(self, node: Any, call: Call, shown: list[Any]) -> None:
        self._calls.append(call)
        self._graph.setInsertPoint(node)
        show(self._graph, self._number, shown, 2 * call.number)
        self._show_behind(node, node.outputsAt(0), 2 * call.number + 1)

    def _show_behind(self, node: Any, value: Any, place: int) -> None:
        """Insert before the node, for behind it is not possible, and move the node before what was inserted."""
        self._graph.setInsertPoint(node)
        first = self._graph.insertConstant(None).node()
        show(self._graph, self._number, [value], place)
        node.moveBefore(first)

    def _name(self, owner: Call | None, word: str) -> str:
        """``owner.relu``, ``owner.relu_1``, ... in the order of the program, apart from the names of modules."""
        prefix = f"{owner.name}." if owner is not None else ""
        key = (owner.number if owner is not None else -1, word)
        while True:
            ordinal = self._ordinals[key]
            self._ordinals[key] += 1
            name = f"{prefix}{word}_{ordinal}" if ordinal else f"{prefix}{word}"
            if name not in self._modules:
                return name

    def _describe(self, node: Any, name: str, shown: list[Any]) -> dict[str, Argument]:
        schema = torch._C.parse_schema(node.schema()).arguments
        values = zip(schema, node.inputs(), strict=False)
        return {item.name: self._argument(value, f"{name}.{item.name}", shown) for item, value in values}

    def _argument(self, value: Any, constant_name: str, shown: list[Any]) -> Argument:
        """What a value is; a nameless constant tensor is called ``constant_name``."""
        node = value.node()
        fixed = self._fixed(value, constant_name)
        if fixed is not None:
            return fixed
        if node.kind() == "prim::ListConstruct":
            items = (
                self._argument(item, constant_name and f"{constant_name}.{i}", shown)
                for i, item in enumerate(node.inputs())
            )
            return Group(tuple(items), is_list=True)
        if value.type().kind() == "TensorType" or value.type().annotation_str == "Optional[Tensor]":
            shown.append(value)
            return Data(len(shown) - 1)
        return Unknown()

    def _fixed(self, value: Any, constant_name: str) -> Constant | Weight | None:
        """A weight, a setting or a constant; None for what is computed and for attributes that the program sets."""
        path = module_path(value) if value.node().kind() == "prim::GetAttr" else None
        if path is not None and path not in self._written:
            held = attribute(self._module, path)
            if not isinstance(held, torch.Tensor):
                return Constant(held)
            return Weight(path) if path in self._weights else None
        if value.node().kind() != "prim::Constant":
            return None
        held = value.toIValue()
        if not isinstance(held, torch.Tensor):
            return Constant(held)
        if constant_name:
            self._weights.setdefault(constant_name, held)
            return Weight(constant_name)
        return None

    def _has_weight(self, node: Any) -> bool:
        """Whether an input is, or holds, a weight or a rearranged weight."""
        return any(self._is_weight(value) for value in node.inputs())

    def _is_weight(self, value: Any) -> bool:
        while operator_name(value.node()) in _REARRANGED:
            value = value.node().inputsAt(0)
        if value.node().kind() == "prim::ListConstruct":
            return self._has_weight(value.node())
        is_constant = value.type().kind() == "TensorType" and value.node().kind() == "prim::Constant"
        return is_constant or isinstance(self._fixed(value, ""), Weight)


def _known_of(named: dict[str, Argument]) -> tuple[dict[str, Any], dict[str, str]]:
    """Constants, and names of weights, among described arguments."""
    facts = {key: item.value for key, item in named.items() if isinstance(item, Constant)}
    return facts, {key: item.name for key, item in named.items() if isinstance(item, Weight)}


def written_attribute(node: Any) -> str | None:
    """The qualified name of the attribute that a node sets; None for other nodes and objects that are no modules."""
    if node.kind() != "prim::SetAttr":
        return None
    path = module_path(node.inputsAt(0))
    if path is None:
        return None
    return f"{path}.{node.s('name')}" if path else str(node.s("name"))


def is_one_operator(type_name: str) -> bool:
    """Whether a module of this class is one layer, norm, activation or attention, whatever it is made of."""
    role = role_of((type_name,), leaf=True, parametrized=False, only_vectors=False)
    return role in {"activation", "norm", "attention"} or channel_axis_of((type_name,)) is not None


def _is_its_result(value: Any, owner: Call) -> bool:
    """Whether a value is what the call returns, which is shown there."""
    for use in value.uses():
        if use.user.kind() != "prim::ListConstruct":
            continue
        for tap in use.user.output().uses():
            if tap.user.kind() in _TAPS and tap.user.inputsAt(2).toIValue() == 2 * owner.number + 1:
                return True
    return False
