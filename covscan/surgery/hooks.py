"""Putting layers into a live model by hooks: nothing is renamed, nothing is replaced, and all of it comes out again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from covscan.capture.tensors import first_tensor
from covscan.errors import UsageError
from covscan.surgery.layers import EPS, Standardization
from covscan.surgery.types import Insertion, per_channel
from covscan.surgery.wrappers import exchanged

Seen = Callable[[Insertion, torch.Tensor], torch.Tensor | None]


@contextmanager
def watching(model: nn.Module, insertions: Sequence[Insertion], act: Seen) -> Iterator[None]:
    """Show ``act`` the tensor at each place whenever it is computed; what it returns, if anything, takes its place.

    Of nested outputs or arguments the first floating tensor of two dimensions or more is meant, as capture
    reads it. Raises UsageError for a module that the model does not have.
    """
    handles = []
    try:
        for insertion in insertions:
            module = _module(model, insertion.site)
            if insertion.position == "after":
                handles.append(module.register_forward_hook(_behind(insertion, act)))
            else:
                handles.append(module.register_forward_pre_hook(_in_front(insertion, act), with_kwargs=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def inserted(model: nn.Module, layers: Mapping[Insertion, nn.Module]) -> Iterator[None]:
    """Run the tensors at these places through these layers while the context lasts.

    A layer computes in its own dtype, and what it gives gets that of the tensor.
    """
    dtypes = {each: parameter.dtype for each, layer in layers.items() for parameter in layer.parameters()}

    def through(insertion: Insertion, tensor: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = layers[insertion](tensor.to(dtypes.get(insertion, tensor.dtype)))
        return found.to(tensor.dtype)

    with watching(model, list(layers), through):
        yield


@torch.no_grad()
def standardizations(
    model: nn.Module, insertions: Sequence[Insertion], forward: Callable[[], Any]
) -> dict[Insertion, Standardization]:
    """What each normalization would subtract and divide by, over all that ``forward`` runs, in the model's mode.

    Computed in float64 from sums around the first value seen; population variance. Raises UsageError for a place
    that the forward passes did not come to.
    """
    sums: dict[Insertion, _Sums] = {}

    def add(insertion: Insertion, tensor: torch.Tensor) -> None:
        values = tensor.detach().cpu().movedim(insertion.channel_axis, -1).flatten(0, -2).double()
        sums.setdefault(insertion, _Sums(values.shape[1])).add(values)

    with watching(model, insertions, add):
        forward()
    for insertion in insertions:
        if insertion not in sums:
            raise UsageError("unknown-site", f"the model never calls {insertion.site!r}")
    return {insertion: sums[insertion].standardization(insertion.norm) for insertion in insertions}


class _Sums:
    """Count, mean and sum of squared deviations for each channel, merged pairwise; on the CPU, which has float64."""

    def __init__(self, channels: int) -> None:
        self.count = 0
        self.mean = torch.zeros(channels, dtype=torch.float64)
        self.squares = torch.zeros(channels, dtype=torch.float64)

    def add(self, values: torch.Tensor) -> None:
        """Take (rows, channels) in; rows that are not finite are left out."""
        values = values[values.isfinite().all(dim=1)]
        new = len(values)
        if not new:
            return
        mean = values.mean(0)
        total, apart = self.count + new, mean - self.mean
        self.squares += (values - mean).square().sum(0) + apart.square() * (self.count * new / total)
        self.mean += apart * (new / total)
        self.count = total

    def standardization(self, norm: str) -> Standardization:
        """For one kind of normalization, see ``Standardization``."""
        mean, variance = self.mean, self.squares / max(1, self.count)
        if not per_channel(norm):
            total = (variance + mean.square()).mean()
            middle = torch.zeros_like(total) if norm == "RMSNorm" else mean.mean()
            mean, variance = middle.expand_as(mean), (total - middle.square()).expand_as(mean)
        return Standardization(mean.float().clone(), variance.clamp_min(EPS**2).sqrt().float().clone())


def _module(model: nn.Module, name: str) -> nn.Module:
    try:
        return model.get_submodule(name)
    except AttributeError as error:
        raise UsageError("unknown-site", f"the model has no module {name!r}") from error


def _behind(insertion: Insertion, act: Seen) -> Callable[[nn.Module, Any, Any], Any]:
    def hook(module: nn.Module, arguments: Any, output: Any) -> Any:
        del module, arguments
        old = first_tensor(output)
        new = None if old is None else act(insertion, old)
        return None if old is None or new is None else exchanged(output, old, new)

    return hook


def _in_front(insertion: Insertion, act: Seen) -> Callable[[nn.Module, Any, Any], Any]:
    def hook(module: nn.Module, arguments: Any, keywords: Any) -> Any:
        del module
        old = first_tensor(arguments, keywords)
        new = None if old is None else act(insertion, old)
        if old is None or new is None:
            return None
        return exchanged(arguments, old, new), exchanged(keywords, old, new)

    return hook
