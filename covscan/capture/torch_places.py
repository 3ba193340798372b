"""What a layer gives at a few places of its output, without the rest of it."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from covscan.capture.types import Layout, Rows
from covscan.models.plain import is_plain

if TYPE_CHECKING:
    import torch

_FEWER = 2
"""Of so many positions one is read at most: else all of them together take no longer."""
_NUMBERS = 2**22
"""Numbers of the input that are gathered at once."""

_Places = tuple["torch.Tensor", ...]
"""(rows,) for each of the axes of a (samples, *positions, channels) tensor but the last."""
_At = Callable[["torch.nn.Module", "Mapping[str, torch.Tensor]", "torch.Tensor", _Places], "torch.Tensor | None"]


def is_as_torch_made_it(module: "torch.nn.Module") -> bool:
    """Whether calling ``module`` runs what its class says and nothing else."""
    return not (module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module))


def output_at(
    module: "torch.nn.Module",
    weights: "Mapping[str, torch.Tensor]",
    value: "torch.Tensor",
    output: "torch.Tensor",
    layout: Layout,
    rows: Rows,
) -> "torch.Tensor | None":
    """(rows, channels) what ``module`` gives with other ``weights`` for ``value`` at the places of ``rows``.

    ``output`` is what it gave with its own, read by ``layout``. None where it has to run as a whole: where it is no
    convolution and works on no single position, on other devices than the CPU, where convolutions may round otherwise
    than products do, and where most places are wanted. Convolutions are sums in another order: they differ by rounding.
    """
    at, axis = _KINDS.get(f"{type(module).__module__}.{type(module).__qualname__}", (None, 0))
    if at is None or (layout.sample_axis, layout.channel_axis) != (0, axis % output.ndim):
        return None
    if not all(map(_usual, (value, output, *weights.values()))) or value.ndim != output.ndim:
        return None
    if len(rows.sample) * _FEWER > output.numel() // output.shape[layout.channel_axis]:
        return None
    sizes = [size for axis, size in enumerate(output.shape) if axis not in (layout.sample_axis, layout.channel_axis)]
    where = _places(rows.sample, rows.position, sizes, layout.folded)
    moved = value.movedim((layout.sample_axis, layout.channel_axis), (0, -1))
    return at(module, weights, moved, where)


def _usual(tensor: "torch.Tensor") -> bool:
    import torch

    usual = tensor.dtype in (torch.float32, torch.float64) or not tensor.is_floating_point()
    return usual and not tensor.is_nested and is_plain(tensor) and tensor.device.type == "cpu"


def _places(
    sample: npt.NDArray[np.int64], position: npt.NDArray[np.int64], sizes: Sequence[int], folded: int
) -> _Places:
    import torch

    count = math.prod(sizes)
    # numpy's: torch's own loads a library for symbols first, which takes 0.8 s.
    inner = np.unravel_index(position % count, sizes) if sizes else ()
    return tuple(map(torch.from_numpy, (sample * folded + position // count, *inner)))


def _by_itself(
    module: "torch.nn.Module", weights: "Mapping[str, torch.Tensor]", value: "torch.Tensor", where: _Places
) -> "torch.Tensor | None":
    """Of a module that works on the channels of one position: run on those that are wanted."""
    import torch

    shape = getattr(module, "normalized_shape", (0,))
    if len(shape) != 1 or (isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and module.running_mean is None):
        return None
    taken = value[where]
    spare = {"BatchNorm2d": 2, "BatchNorm3d": 3}.get(type(module).__name__, 0)
    given = taken.reshape(*taken.shape, *(1,) * spare)
    found: torch.Tensor = torch.func.functional_call(module, dict(weights), (given,), tie_weights=False)
    return found.reshape(len(taken), -1)


def _by_patches(
    module: Any, weights: "Mapping[str, torch.Tensor]", value: "torch.Tensor", where: _Places
) -> "torch.Tensor | None":
    """Of a convolution: the patches of its input that lie under the wanted places, times the weights."""
    import torch

    if module.padding_mode != "zeros" or value.ndim != len(module.kernel_size) + 2:
        return None
    weight, bias = weights["weight"], weights.get("bias")
    outputs, channels, size = weight.shape[0], weight.shape[1], math.prod(module.kernel_size)
    groups = module.groups
    # (groups, kernel x channels, outputs)
    factors = weight.reshape(groups, outputs // groups, channels, size).permute(0, 3, 2, 1)
    factors = factors.reshape(groups, size * channels, outputs // groups)
    found = []
    for part in range(0, len(where[0]), step := max(1, _NUMBERS // (size * value.shape[-1]))):
        patches = _patches(module, value, tuple(axis[part : part + step] for axis in where))
        apart = patches.reshape(-1, size, groups, channels).permute(2, 0, 1, 3).reshape(groups, -1, size * channels)
        found.append(torch.bmm(apart, factors).permute(1, 0, 2).reshape(-1, outputs))
    result = torch.cat(found)
    return result if bias is None else result + bias


def _patches(module: Any, value: "torch.Tensor", where: _Places) -> "torch.Tensor":
    """(rows, *kernel, channels) of a (samples, *positions, channels) input, with zeros around it."""
    import torch

    row, *centres = where
    spatial = len(centres)
    places, inside = [], torch.ones((), dtype=torch.bool)
    for axis, (centre, before) in enumerate(zip(centres, _before(module), strict=True)):
        reach = torch.arange(module.kernel_size[axis]) * module.dilation[axis]
        place = (centre * module.stride[axis] - before)[:, None] + reach
        place = place.reshape(-1, *(len(reach) if each == axis else 1 for each in range(spatial)))
        inside = inside & (place >= 0) & (place < value.shape[axis + 1])
        places.append(place.clamp(0, value.shape[axis + 1] - 1))
    taken = value[(row.reshape(-1, *(1,) * spatial), *places)]
    return taken.masked_fill_(~inside[..., None], 0.0)


def _before(module: Any) -> list[int]:
    """Zeros in front of each axis."""
    if module.padding == "valid":
        return [0] * len(module.kernel_size)
    if module.padding == "same":
        return [step * (size - 1) // 2 for step, size in zip(module.dilation, module.kernel_size, strict=True)]
    return list(module.padding)


_KINDS: dict[str, tuple[_At, int]] = {
    "torch.nn.modules.linear.Linear": (_by_itself, -1),
    "transformers.pytorch_utils.Conv1D": (_by_itself, -1),
    "torch.nn.modules.normalization.LayerNorm": (_by_itself, -1),
    "torch.nn.modules.normalization.RMSNorm": (_by_itself, -1),
    "torch.nn.modules.batchnorm.BatchNorm1d": (_by_itself, 1),
    "torch.nn.modules.batchnorm.BatchNorm2d": (_by_itself, 1),
    "torch.nn.modules.batchnorm.BatchNorm3d": (_by_itself, 1),
    "torch.nn.modules.conv.Conv1d": (_by_patches, 1),
    "torch.nn.modules.conv.Conv2d": (_by_patches, 1),
    "torch.nn.modules.conv.Conv3d": (_by_patches, 1),
}
"""What works so, and the axis of its channels."""
