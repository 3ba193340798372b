"""What a module expects of a set of weights, and which differences do no harm."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from covscan.models.plain import is_plain, kind_of


@dataclass(frozen=True, slots=True)
class Expected:
    """The names and tensors of a module's state, and what may be absent from or surplus in a file."""

    tensors: dict[str, Any]
    tied: dict[str, str]
    """Each name that shares its memory with others, and the first of those, which stands for all."""
    unsaved: frozenset[str]
    """Buffers that the module does not save, but that older versions of it may have."""

    def may_be_absent(self, name: str, given: set[str]) -> bool:
        """Whether ``name`` may be missing from a file that holds ``given``."""
        if name.endswith("num_batches_tracked"):
            return True
        leader = self.tied.get(name)
        return leader is not None and any(self.tied[other] == leader for other in self.tied if other in given)

    def is_surplus(self, name: str) -> bool:
        """Whether ``name`` may be in a file although the module has no place for it."""
        return name in self.unsaved or name == "n_averaged" or name.endswith("num_batches_tracked")


def expected_of(module: nn.Module) -> Expected:
    """The state that ``module`` expects, by its own names."""
    tensors: dict[str, Any] = dict(module.state_dict(keep_vars=True))
    saved = set(tensors)
    unsaved = frozenset(name for name, _ in module.named_buffers() if name not in saved)
    return Expected(tensors, _tied(tensors), unsaved)


def shape_difference(given: Any, wanted: Any) -> str | None:
    """How a tensor of the file differs from the module's in shape or kind; None where it can be loaded."""
    if not isinstance(given, torch.Tensor) or not isinstance(wanted, torch.Tensor) or is_lazy(wanted):
        return None
    if is_lazy(given):
        return "never initialized in the file"
    if is_plain(wanted) and kind_of(given) is not None:
        return f"{kind_of(given)} in the file, an ordinary tensor in the model"
    if given.shape != wanted.shape and not (given.numel() == wanted.numel() == 1 and given.dim() + wanted.dim() == 1):
        return f"{tuple(given.shape)} in the file, {tuple(wanted.shape)} in the model"
    if wanted.is_floating_point() and not given.is_floating_point():
        return f"{given.dtype} in the file, {wanted.dtype} in the model"
    return None


def _tied(tensors: dict[str, Any]) -> dict[str, str]:
    first: dict[tuple[Any, ...], str] = {}
    names: dict[str, str] = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, torch.Tensor) or is_lazy(tensor) or tensor.is_meta or not tensor.numel():
            continue
        if not is_plain(tensor):  # which has no one address
            continue
        key = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype)
        names[name] = first.setdefault(key, name)
    return {name: leader for name, leader in names.items() if leader != name or leader in _followed(names)}


def _followed(names: dict[str, str]) -> set[str]:
    return {leader for name, leader in names.items() if name != leader}
