"""A TorchScript archive made to show its tensors."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.jit._fuser import optimized_execution

from covscan.capture.script_graph import CallInliner, nodes_in
from covscan.capture.script_operator import Listener, listening, new_graph_number
from covscan.capture.script_operators import OperatorFinder
from covscan.capture.script_state import AttributeState
from covscan.errors import UsageError
from covscan.memory import guarded
from covscan.models.operators import SPEAKING


class ScriptProgram:
    """One archive's forward as a function whose calls can be listened to.

    ``calls`` are the places that are shown, ``weights`` the archive's tensors by name: those of its state dict, and
    of a frozen archive those in its program.
    """

    def __init__(self, module: torch.jit.ScriptModule) -> None:
        self.module = module
        try:
            self.schema: Any = module._c._get_method("forward").schema
        except RuntimeError as error:
            raise UsageError(
                "no-forward",
                "the TorchScript archive has no method named forward",
                found=", ".join(name for name in module._c._method_names()) or "no method at all",
                hint="save the module whose forward takes the sample data",
            ) from error
        number = new_graph_number()
        inliner = CallInliner(module, number)
        inliner.run()
        _silence(inliner.graph)
        self.calls = inliner.calls
        self.weights: dict[str, torch.Tensor] = dict(module.state_dict())
        OperatorFinder(module, inliner.graph, number, self.calls, self.weights).run()
        self._number = number
        self._graph = inliner.graph
        self._function = torch._C._create_function_from_graph("covscan_tapped", inliner.graph)
        self.state = AttributeState(module, inliner.graph)

    def needs_cpu(self) -> bool:
        """Whether the program itself holds tensors, or names the CPU, so that it runs nowhere else."""
        for node in nodes_in(self._graph):
            if node.kind() == "prim::Constant" and node.outputsSize() == 1:
                kind = node.output().type().kind()
                if kind == "DeviceObjType" and str(node.output().toIValue()) == "cpu":
                    return True
                if kind == "TensorType" and node.output().toIValue().ndim:
                    return True
        return False

    def run(self, arguments: Sequence[Any], listener: Listener) -> Any:
        """The forward's result, from the state that the archive was opened in."""
        self.state.restore()
        with optimized_execution(False), guarded(), listening(self._number, listener) as raised:
            try:
                return self._function(self.module, *arguments)
            except (RuntimeError, torch.jit.Error):
                if raised:
                    raise raised[0] from None
                raise
            finally:
                self.state.restore()


def _silence(graph: Any) -> None:
    """Take out what prints or warns: a line of a log may be a command to the build server that keeps it."""
    for node in list(nodes_in(graph)):
        if node.kind() in SPEAKING:
            node.destroy()
