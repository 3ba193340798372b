"""The layers that are put in: a normalization, its fixed affine control, and forms that preserve the function."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from covscan.surgery.types import Insertion, groups_for, per_channel

EPS = 1e-5


@dataclass(frozen=True, slots=True)
class Standardization:
    """What a normalization would subtract and divide by on average: float32 tensors of shape (channels,).

    For BatchNorm, GroupNorm and InstanceNorm these are each channel's mean and standard deviation; LayerNorm and
    RMSNorm treat channels alike, so that all entries are the same, and RMSNorm subtracts 0.
    """

    mean: torch.Tensor
    std: torch.Tensor


class ChannelsFirst(nn.Module):
    """Shows a tensor of any layout to ``inner`` as (samples, channels, positions), or (samples, channels)."""

    def __init__(self, inner: nn.Module, channel_axis: int) -> None:
        super().__init__()
        self.inner = inner
        self.channel_axis = channel_axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape out as in."""
        if x.ndim == 2:
            out: torch.Tensor = self.inner(x)
            return out
        moved = x.movedim(self.channel_axis, 1)
        shaped: torch.Tensor = self.inner(moved.flatten(2)).reshape(moved.shape)
        return shaped.movedim(1, self.channel_axis)


class ChannelsLast(nn.Module):
    """Shows a tensor of any layout to ``inner`` with its channels on the last axis."""

    def __init__(self, inner: nn.Module, channel_axis: int) -> None:
        super().__init__()
        self.inner = inner
        self.channel_axis = channel_axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape out as in."""
        if self.channel_axis == x.ndim - 1:
            out: torch.Tensor = self.inner(x)
            return out
        moved: torch.Tensor = self.inner(x.movedim(self.channel_axis, -1))
        return moved.movedim(-1, self.channel_axis)


class FixedAffine(nn.Module):
    """``gain * (x - mean) / std + bias`` over the last axis or axis 1, with constants for mean and std.

    The control arm of a trial: it starts where the normalization starts and takes no statistics afterwards. With
    ``identity`` gain and bias undo the constants at first.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, constants: Standardization, *, last: bool, identity: bool = False) -> None:
        super().__init__()
        std = (constants.std.square() + EPS).sqrt()  # as the normalization itself would divide
        self.register_buffer("mean", constants.mean)
        self.register_buffer("scale", 1 / std)
        self.weight = nn.Parameter(std.clone() if identity else torch.ones_like(std))
        self.bias = nn.Parameter(constants.mean.clone() if identity else torch.zeros_like(std))
        self.last = last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape out as in."""
        shape = (-1,) if self.last or x.ndim == 2 else (-1, *[1] * (x.ndim - 2))
        mean, scale = self.mean.view(shape), self.scale.view(shape)
        return (x - mean) * scale * self.weight.view(shape) + self.bias.view(shape)


class Gate(nn.Module):
    """``x + gate * (norm(x) - x)`` with a learned gate for each channel that starts at 0: the identity at first."""

    def __init__(self, norm: nn.Module, channels: int, channel_axis: int) -> None:
        super().__init__()
        self.norm = norm
        self.gate = nn.Parameter(torch.zeros(channels))
        self.channel_axis = channel_axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape out as in."""
        shape = [1] * x.ndim
        shape[self.channel_axis] = -1
        return x + self.gate.view(shape) * (self.norm(x) - x)


def core(norm: str, channels: int) -> nn.Module:
    """The normalization as torch has it, initially with gain 1 and bias 0. Raises KeyError for an unknown kind."""
    return _CORES[norm.rstrip("123d") if norm.startswith(("Batch", "Instance")) else norm](channels)


_CORES: dict[str, Callable[[int], nn.Module]] = {
    "BatchNorm": lambda channels: nn.BatchNorm1d(channels, eps=EPS),
    "SyncBatchNorm": lambda channels: nn.BatchNorm1d(channels, eps=EPS),
    "InstanceNorm": lambda channels: nn.InstanceNorm1d(channels, eps=EPS, affine=True),
    "GroupNorm": lambda channels: nn.GroupNorm(groups_for(channels), channels, eps=EPS),
    "LayerNorm": lambda channels: nn.LayerNorm(channels, eps=EPS),
    "RMSNorm": lambda channels: nn.RMSNorm(channels, eps=EPS),
}


class Scale(nn.Module):
    """Multiplies each channel by a learned factor: what residual branches are scaled down by (SkipInit, LayerScale)."""

    def __init__(self, channels: int, channel_axis: int, factor: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), factor))
        self.channel_axis = channel_axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape out as in."""
        shape = [1] * x.ndim
        shape[self.channel_axis] = -1
        return x * self.weight.view(shape)


def normalization(insertion: Insertion) -> nn.Module:
    """The normalization in its standard initialization (gain 1, bias 0), for the tensor's own layout."""
    return _laid_out(insertion, core(insertion.norm, insertion.channels))


def fixed_affine(insertion: Insertion, constants: Standardization, *, identity: bool = False) -> nn.Module:
    """The control arm: the same standardization at the start, constants afterwards, gain and bias learned."""
    return _laid_out(insertion, FixedAffine(constants, last=not per_channel(insertion.norm), identity=identity))


def preserving(insertion: Insertion, constants: Standardization) -> nn.Module:
    """A normalization that does not change what the network computes at first.

    BatchNorm: running statistics, gain and bias set so that evaluation mode is the identity. The others divide
    every sample by its own scale, which no constants undo: they are mixed in by a gate that starts at 0.
    """
    norm = core(insertion.norm, insertion.channels)
    if isinstance(norm, nn.BatchNorm1d):
        set_identity(norm, constants.mean.double().cpu().numpy(), constants.std.double().square().cpu().numpy())
        return _laid_out(insertion, norm)
    return Gate(_laid_out(insertion, norm), insertion.channels, insertion.channel_axis)


@torch.no_grad()
def set_identity(layer: nn.Module, mean: npt.NDArray[np.float64], variance: npt.NDArray[np.float64]) -> None:
    """Give the BatchNorm in ``layer`` these running statistics and the gain and bias that undo them in evaluation."""
    norm = next(each for each in layer.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm))
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(torch.from_numpy(mean))
    norm.running_var.copy_(torch.from_numpy(variance))
    norm.weight.copy_((norm.running_var.double() + norm.eps).sqrt())  # of what was kept of it, not of what was given
    norm.bias.copy_(norm.running_mean)


def _laid_out(insertion: Insertion, inner: nn.Module) -> nn.Module:
    if per_channel(insertion.norm):
        return ChannelsFirst(inner, insertion.channel_axis)
    return ChannelsLast(inner, insertion.channel_axis)
