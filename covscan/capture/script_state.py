"""Putting back what a TorchScript module changes in itself while it runs."""

import copy
from typing import Any

import torch

from covscan.capture.script_arguments import attribute, module_path
from covscan.capture.script_graph import nodes_in
from covscan.capture.script_operators import written_attribute


class AttributeState:
    """The attributes that a graph sets, or may change in place, as they were when this was made.

    Streaming models keep their recurrent state in attributes; without this each batch would begin where another ended.
    """

    def __init__(self, module: torch.jit.ScriptModule, graph: Any) -> None:
        self._module = module
        self._saved = {name: copy.deepcopy(attribute(module, name)) for name in sorted(_changeable(module, graph))}

    def restore(self) -> None:
        """Set every attribute to a copy of what it was."""
        for name, value in self._saved.items():
            path, _, last = name.rpartition(".")
            held = attribute(self._module, name)
            if isinstance(value, torch.Tensor) and isinstance(held, torch.Tensor) and _same(held, value):
                continue
            setattr(attribute(self._module, path), last, copy.deepcopy(value))


def _changeable(module: torch.jit.ScriptModule, graph: Any) -> set[str]:
    parameters = {name for name, _ in module.named_parameters()}
    names = set()
    for node in nodes_in(graph):
        written = written_attribute(node)
        if written is not None:
            names.add(written)
        elif node.kind() == "prim::GetAttr" and node.output().type().kind() in {
            "TensorType",
            "ListType",
            "DictType",
        }:
            path = module_path(node.output())
            if path is not None and path not in parameters:
                names.add(path)
    return names


def _same(held: torch.Tensor, saved: torch.Tensor) -> bool:
    if held.shape != saved.shape or held.dtype != saved.dtype or held.device != saved.device:
        return False
    return bool(((held == saved) | ((held != held) & (saved != saved))).all())  # noqa: PLR0124 NaN is not itself
