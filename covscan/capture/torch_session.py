"""Running somebody's module without leaving a trace in it."""

import copy
import random
import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import numpy as np

from covscan.errors import UsageError

if TYPE_CHECKING:
    import torch


def pick_device(wanted: str) -> "torch.device":
    """The device to run on; ``auto`` takes CUDA, then MPS, then the CPU. Raises UsageError where it is absent."""
    import torch

    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        wanted = next(name for name in ("cuda", "mps", "cpu") if present[name])
    if not present.get(wanted, False):
        raise UsageError(
            "no-such-device",
            f"device '{wanted}' is not available",
            found=", ".join(name for name, there in present.items() if there),
            hint="use --device auto or --device cpu",
        )
    return torch.device(wanted)


_CONTAINERS = (list, dict, OrderedDict, set)
_GONE = object()


@contextmanager
def left_as_found(model: "torch.nn.Module", device: "torch.device") -> Iterator[None]:
    """Put the model into eval mode on ``device`` without gradients, and everything back afterwards.

    Restored, also when something raises: training flags and other attributes of every module with what its lists and
    dictionaries hold (hooks, parameters, buffers), the content of buffers, the devices of weights, random number
    generators of Python, numpy and torch, and the attention fast path, which is switched off because it would bypass
    the modules inside (and turn padded batches into nested tensors).
    """
    import torch

    flags = [(module, module.training) for module in model.modules()]
    attributes = [_Attributes(module) for module in model.modules() if not isinstance(module, torch.jit.ScriptModule)]
    buffers = [  # by name: moving a model to another device replaces its buffers
        (module, name, buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    home = _device_of(model)
    states = (random.getstate(), np.random.get_state())  # noqa: NPY002 the user's code may use the global one
    fast_path = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(enabled=True))
        stack.enter_context(torch.no_grad())
        if "torch._dynamo" in sys.modules:  # only then can anything be compiled; importing it would cost seconds
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        try:
            torch.backends.mha.set_fastpath_enabled(False)
            model.eval()
            if home is not None and home != device:
                model.to(device)
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast_path)
            if home is not None and home != device:
                model.to(home)
            for each in attributes:
                each.restore()
            for module, name, before in buffers:
                buffer = getattr(module, name, None)
                if buffer is not None and buffer.shape == before.shape and not _same(buffer, before):
                    buffer.copy_(before)
            for module, training in flags:
                module.training = training
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002


class _Attributes:
    """What a module's attributes were, and what its lists, dictionaries and sets held."""

    def __init__(self, module: "torch.nn.Module") -> None:
        self._module, self._kind, self._values = module, type(module), dict(vars(module))
        self._held = [(value, copy.copy(value)) for value in self._values.values() if type(value) in _CONTAINERS]

    def restore(self) -> None:
        """Put back what differs; a lazy module that became a real one stays that, since its class changed with it."""
        if type(self._module) is not self._kind:
            return
        now = vars(self._module)
        for name in now.keys() - self._values.keys():
            del now[name]
        now.update(self._values)
        for container, before in self._held:
            if isinstance(container, list):
                container[:] = before
            elif isinstance(container, set):
                container.intersection_update(before)
                container.update(before)
            elif len(container) != len(before) or any(container.get(key, _GONE) is not before[key] for key in before):
                container.clear()
                container.update(before)


def _device_of(model: "torch.nn.Module") -> "torch.device | None":
    for tensor in (*model.parameters(), *model.buffers()):
        return tensor.device
    return None


def _same(left: "torch.Tensor", right: "torch.Tensor") -> bool:
    import torch

    right = right.to(left.device)
    return torch.equal(left, right) or bool(((left == right) | (torch.isnan(left) & torch.isnan(right))).all())


def seed_everything(seed: int) -> None:
    """Give models that draw random numbers the same ones at every checkpoint."""
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.manual_seed(seed)


def reseed(stream: int) -> None:
    """Give torch's generators the numbers of one stream, at every step of a training.

    The generators themselves: ``torch.manual_seed`` takes 3 ms a call where CUDA is built in and not started.
    """
    import torch

    torch.default_generator.manual_seed(stream)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed(stream)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(stream)
