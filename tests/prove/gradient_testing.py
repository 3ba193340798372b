"""Small models, data and series in memory, for tests of gradients."""

import copy
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from covscan.capture.channel_flow import ChannelFlow
from covscan.capture.tensors import Provenance
from covscan.capture.torch_plan import Discovery
from covscan.capture.torch_session import left_as_found
from covscan.capture.types import Network
from covscan.data.matching import Bound
from covscan.data.types import Batch
from covscan.models.types import Checkpoint, Series
from covscan.prove.gradient_types import Effort, Gradients
from covscan.prove.gradients import gradient_evidence
from covscan.prove.objective import open_objective
from covscan.prove.optimizers import Trainer, open_trainer
from covscan.prove.pool import Draw, Pool

CPU = torch.device("cpu")
DEFAULT = Effort()
State = Mapping[str, torch.Tensor]


class MemorySource:
    """One module and the states it had."""

    engine = "torch"
    foreign = False
    description = "in memory"

    def __init__(self, model: nn.Module, states: Sequence[State]) -> None:
        self.model = model.eval()
        self.states = [{name: tensor.clone() for name, tensor in state.items()} for state in states]
        self.notes: list[str] = []
        self.series = Series(
            tuple(Checkpoint(f"step-{n}", Path(f"step-{n}.pt"), n, "0" * 64) for n in range(len(states))), "given"
        )

    def check(self, checkpoint: Checkpoint) -> None:
        """Nothing changes in memory."""

    def identity(self) -> None:
        """Nothing that could be kept."""

    def module(self, checkpoint: Checkpoint) -> nn.Module:
        self.model.load_state_dict(self.states[checkpoint.step])
        return self.model

    def weights(self, checkpoint: Checkpoint) -> State:
        return self.states[checkpoint.step]


class Held:
    """Samples of two arrays."""

    def __init__(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        self.inputs, self.targets = inputs, targets

    def batches(self) -> Iterator[Batch]:
        index = np.arange(len(self.inputs))
        yield Batch(index=index, block=index % 4, positional=(self.inputs,), target=self.targets)


def pool_of(inputs: torch.Tensor, targets: torch.Tensor, size: int) -> Pool:
    def bind(batch: Batch) -> Bound:
        return Bound((torch.from_numpy(batch.positional[0]),), {}, (), ())

    return Pool(Held(inputs.numpy(), targets.numpy()), size, bind)


def draw_of(inputs: torch.Tensor, targets: torch.Tensor) -> Draw:
    return Draw((inputs,), {}, targets, None, len(inputs))


def network_of(model: nn.Module, inputs: torch.Tensor) -> Network:
    known = Provenance()
    found = Discovery(model, len(inputs), known, {})
    with left_as_found(model, CPU), found.watching(), ChannelFlow(known):
        model(inputs)
    return found.network()


def trained_states(
    model: nn.Module,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    rate: float,
    steps: int,
    count: int,
    loss: str = "mse",
) -> list[State]:
    """States of a copy of the model before training and after each of ``count - 1`` stretches of SGD."""
    model, objective = copy.deepcopy(model).train(), open_objective(loss)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    states = [copy.deepcopy(model.state_dict())]
    for _ in range(count - 1):
        for _ in range(steps):
            optimizer.zero_grad()
            objective(model(inputs), targets).backward()
            optimizer.step()
        states.append(copy.deepcopy(model.state_dict()))
    return states


def measure(
    model: nn.Module,
    states: Sequence[State],
    inputs: torch.Tensor,
    targets: torch.Tensor,
    *,
    loss: str | Callable[..., Any] = "mse",
    optimizer: str | Callable[..., Any] | Trainer = "sgd",
    rate: float | None = 0.1,
    size: int = 16,
    effort: Effort = DEFAULT,
    tick: Callable[[int], None] = lambda forwards: None,
) -> Gradients:
    source = MemorySource(model, states)
    trainer = optimizer if isinstance(optimizer, Trainer) else open_trainer(optimizer)
    return gradient_evidence(
        source,
        source.series.checkpoints,
        network_of(model, inputs[:4]),
        pool_of(inputs, targets, size),
        open_objective(loss),
        trainer,
        rate,
        CPU,
        effort=effort,
        tick=tick,
    )


def fingerprint(model: nn.Module) -> str:
    """All that a measurement might leave behind: state, gradients, modes, hooks and the random number generator."""
    held = hashlib.sha256()
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        held.update(name.encode() + tensor.detach().numpy().tobytes() + bytes([tensor.requires_grad]))
    for name, parameter in model.named_parameters():
        held.update(name.encode() + (b"" if parameter.grad is None else parameter.grad.numpy().tobytes()))
    for name, module in model.named_modules():
        held.update(f"{name}{module.training}{len(module._forward_hooks)}{len(module._forward_pre_hooks)}".encode())
    held.update(torch.get_rng_state().numpy().tobytes())
    held.update(np.random.get_state()[1].tobytes())  # noqa: NPY002
    return held.hexdigest()
