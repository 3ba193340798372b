"""The weights that short trainings start from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from covscan.config.settings import Settings
from covscan.models.factory import build
from covscan.models.types import Checkpoint, TorchSource

State = dict[str, torch.Tensor]
_FEW = 16
_ALIKE = 1.5
"""Two draws of a random tensor of at least 16 values differ in root mean square by less than this factor."""


@dataclass(frozen=True, slots=True)
class Starts:
    """States to start from, one for each seed or one for all; ``trained`` where they are not initial weights."""

    states: tuple[State, ...]
    trained: bool
    description: str

    @property
    def intervention(self) -> Literal["from the start", "into a checkpoint"]:
        """Which question a trial from here answers."""
        return "into a checkpoint" if self.trained else "from the start"


def find_starts(source: TorchSource, settings: Settings, seeds: int) -> Starts:
    """The initial weights where they are known, else the last checkpoint's.

    They are known from a first checkpoint at step 0, or from the factory. Where the factory draws weights like those
    of step 0, further seeds start from further draws; where it does not (somebody changed them afterwards, or it
    draws the same each time), every seed starts from that checkpoint and only batches and dropout differ.
    """
    first, last = source.series.checkpoints[0], source.series.checkpoints[-1]
    known = _state(source, first) if first.step == 0 else None
    if settings.model is None:
        if known is not None:
            return Starts((known,), False, f"the weights of {first.id} (step 0)")
        return Starts((_state(source, last),), True, f"the weights of {last.id}")
    draws = [_drawn(settings, seed) for seed in range(seeds)]
    if known is None:
        return Starts(tuple(draws), False, f"{_count(draws)} of the factory's")
    others = [_drawn(settings, seed) for seed in range(1, seeds)]
    fits = draws[0].keys() == known.keys() and all(_alike(known, draws[0], other) for other in others)
    if fits and not any(_same(draws[0], other) for other in others):
        return Starts(
            (known, *others), False, f"the weights of {first.id} (step 0) and {_count(others)} of the factory's"
        )
    return Starts((known,), False, f"the weights of {first.id} (step 0)")


def _count(draws: list[State]) -> str:
    return "an initialization" if len(draws) == 1 else f"{len(draws)} initializations"


def _state(source: TorchSource, checkpoint: Checkpoint) -> State:
    return _tensors(source.module(checkpoint).state_dict())


def _drawn(settings: Settings, seed: int) -> State:
    assert settings.model is not None
    return _tensors(build(settings.model, dict(settings.model_args), seed).state_dict())


def _tensors(state: Mapping[str, object]) -> State:
    return {name: value.detach().cpu().clone() for name, value in state.items() if isinstance(value, torch.Tensor)}


def _same(one: State, other: State) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def _alike(known: State, one: State, other: State) -> bool:
    """Whether ``known`` could be a third draw beside ``one`` and ``other``: in shape, size, and what is constant."""
    for name, tensor in known.items():
        if tensor.shape != one[name].shape or tensor.shape != other[name].shape:
            return False
        if not tensor.is_floating_point():
            continue
        if torch.equal(one[name], other[name]):
            if not torch.equal(tensor.to(one[name].dtype), one[name]):
                return False
        elif tensor.numel() >= _FEW:
            sizes = [float(each.double().square().mean().sqrt()) for each in (tensor, one[name])]
            if max(sizes) > _ALIKE * min(sizes):
                return False
    return True
