"""Knowing attention in a TorchScript graph: a softmax over the product of two computed tensors."""

from typing import Any

from covscan.capture.script_arguments import module_path
from covscan.capture.script_kinds import operator_name

_PRODUCTS = frozenset({"matmul", "bmm", "baddbmm", "einsum"})
# What may stand between the product and the softmax: scaling, masks, casts and changes of shape.
_BETWEEN = frozenset(
    {
        "mul",
        "div",
        "masked_fill",
        "add",
        "sub",
        "where",
        "to",
        "type_as",
        "float",
        "view",
        "reshape",
        "contiguous",
    }
)


def are_logits(value: Any) -> bool:
    """Whether what goes into a softmax comes from a product; one with a weight is a layer and not attention."""
    node = value.node()
    operator = operator_name(node)
    if operator in _PRODUCTS:
        return not any(_is_fixed(item) for item in list(node.inputs())[-2:])
    if node.kind() == "prim::If":
        return any(are_logits(list(block.outputs())[value.offset()]) for block in node.blocks())
    if operator in _BETWEEN:
        return any(are_logits(item) for item in node.inputs() if item.type().kind() == "TensorType")
    return False


def _is_fixed(value: Any) -> bool:
    """Whether a value is a tensor of the archive, looked at through a transposition."""
    while operator_name(value.node()) in {"t", "transpose"}:
        value = value.node().inputsAt(0)
    is_tensor = value.type().kind() == "TensorType"
    return is_tensor and (value.node().kind() == "prim::Constant" or module_path(value) is not None)
