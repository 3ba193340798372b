"""A model opened for losses and gradients, in training mode, and left as it was found."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from covscan.capture.torch_session import left_as_found, reseed
from covscan.config.loading import describe_error
from covscan.errors import UsageError
from covscan.prove.objective import Objective
from covscan.prove.pool import Draw

FORWARD, BACKWARD = 1, 2
"""What passes cost, in forward passes."""

Tensors = list[torch.Tensor]


@dataclass(slots=True)
class Probe:
    """Losses and gradients of one model at whatever weights it has at the moment.

    The same batch number gets the same random numbers each time, so that dropout is no difference; buffers are put
    back before each pass. Gradients come back as tensors and never touch ``.grad``. ``spent`` counts
    passes, see ``FORWARD`` and ``BACKWARD``.
    """

    model: nn.Module
    objective: Objective
    seed: int
    tick: Callable[[int], None] = lambda forwards: None
    spent: int = 0
    parameters: dict[str, nn.Parameter] = field(default_factory=dict)
    """What is trained, by name."""
    buffers: dict[str, torch.Tensor] = field(default_factory=dict)
    """Copies of the buffers as they were found."""

    def loss(self, draw: Draw, number: int, *, fresh: bool = True) -> torch.Tensor:
        """The objective on a batch, with a graph where gradients are on. Raises UsageError."""
        if fresh:
            self.restore_buffers()
        self._reseed(number)
        self.spend(FORWARD)
        try:
            return self.objective(self.model(*draw.args, **draw.kwargs), draw.target, draw.mask)
        except UsageError:
            raise
        except Exception as error:
            raise _failed(error) from error

    @torch.no_grad()
    def value(self, draw: Draw, number: int) -> float:
        """The loss as a number."""
        return float(self.loss(draw, number))

    def gradients(
        self, draw: Draw, number: int, parameters: Iterable[nn.Parameter] | None = None
    ) -> tuple[float, Tensors]:
        """Loss and gradient by these parameters, all that are trained unless told; zeros where it does not depend."""
        wanted = list(self.parameters.values() if parameters is None else parameters)
        loss = self.loss(draw, number)
        self.spend(BACKWARD)
        try:
            found = torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)
        except Exception as error:
            raise _failed(error) from error
        return float(loss.detach()), [dense(gradient.detach()) for gradient in found]

    def spend(self, forwards: int) -> None:
        """Count passes and tell about them."""
        self.spent += forwards
        self.tick(forwards)

    @torch.no_grad()
    def restore_buffers(self) -> None:
        """Undo what forward passes in training mode did to buffers."""
        for name, buffer in self.model.named_buffers():
            if name in self.buffers and buffer.shape == self.buffers[name].shape:
                buffer.copy_(self.buffers[name])

    def _reseed(self, number: int) -> None:
        stream = (self.seed * 1_000_003 + number) % 2**31
        random.seed(stream)
        np.random.seed(stream)  # noqa: NPY002 the user's code may use the global one
        reseed(stream)


@contextmanager
def probing(
    model: nn.Module,
    objective: Objective,
    device: torch.device,
    seed: int = 0,
    tick: Callable[[int], None] = lambda forwards: None,
) -> Iterator[Probe]:
    """Open a model in training mode on ``device``; everything about it is put back afterwards, also after an error.

    A model that refuses training mode, as exported programs do, stays in evaluation mode.
    """
    with left_as_found(model, device), torch.enable_grad():
        try:
            model.train()
        except NotImplementedError:
            model.eval()
        parameters = {name: each for name, each in model.named_parameters() if each.requires_grad}
        buffers = {name: buffer.detach().clone() for name, buffer in model.named_buffers()}
        probe = Probe(model, objective, seed, tick, 0, parameters, buffers)
        try:
            yield probe
        finally:
            probe.restore_buffers()


@contextmanager
def moved_back(parameters: Sequence[nn.Parameter]) -> Iterator[Tensors]:
    """Copies of these parameters, which get their old values back at the end."""
    before = [parameter.detach().clone() for parameter in parameters]
    try:
        yield before
    finally:
        with torch.no_grad():
            for parameter, old in zip(parameters, before, strict=True):
                parameter.copy_(old)


def graph_of(tensors: Iterable[torch.Tensor]) -> Iterator[Any]:
    """Every node of the graph that these tensors were computed by."""
    front: list[Any] = [tensor.grad_fn for tensor in tensors if tensor.grad_fn is not None]
    seen = set(front)
    while front:
        node = front.pop()
        yield node
        for other, _ in node.next_functions:
            if other is not None and other not in seen:
                seen.add(other)
                front.append(other)


def dot(left: Iterable[torch.Tensor], right: Iterable[torch.Tensor]) -> float:
    """Inner product of two lists of tensors, added up in float64 where the device has it."""
    return sum(float((_single(a) * _single(b)).sum(dtype=_sum_type(a))) for a, b in zip(left, right, strict=True))


def square(values: Iterable[torch.Tensor]) -> float:
    """Squared norm of a list of tensors."""
    held = list(values)
    return dot(held, held)


def _single(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def _sum_type(tensor: torch.Tensor) -> torch.dtype:
    return torch.float32 if tensor.device.type == "mps" else torch.float64


def dense(gradient: torch.Tensor) -> torch.Tensor:
    """A gradient as an ordinary tensor; those of sparse embeddings are not."""
    return gradient.to_dense() if gradient.is_sparse else gradient


def _failed(error: Exception) -> UsageError:
    return UsageError(
        "gradient-failed",
        f"the model or its gradient raised {type(error).__name__} in training mode",
        found=describe_error(error),
        hint="gradients need a forward pass in training mode that can be differentiated",
    )
