"""What a module gives at a few places of its output, without the rest of it."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from covscan.capture.places import Convolution, Where, are_few, moved, where_read
from covscan.capture.types import Float, Layout, Rows
from covscan.models.plain import is_plain

if TYPE_CHECKING:
    import torch

_At = Callable[["torch.nn.Module", "Mapping[str, torch.Tensor]", Float, Where], Float | None]


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
) -> Float | None:
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
    if not are_few(rows, output.shape, layout):
        return None
    return at(module, weights, moved(value.detach().numpy(), layout), where_read(rows, output.shape, layout))


def _usual(tensor: "torch.Tensor") -> bool:
    import torch

    usual = tensor.dtype in (torch.float32, torch.float64) or not tensor.is_floating_point()
    return usual and not tensor.is_nested and is_plain(tensor) and tensor.device.type == "cpu"


def _by_itself(
    module: "torch.nn.Module", weights: "Mapping[str, torch.Tensor]", value: Float, where: Where
) -> Float | None:
    """Of a module that works on the channels of one position: run on those that are wanted."""
    import torch

    shape = getattr(module, "normalized_shape", (0,))
    if len(shape) != 1 or (isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and module.running_mean is None):
        return None
    taken = torch.from_numpy(value[where])
    spare = {"BatchNorm2d": 2, "BatchNorm3d": 3}.get(type(module).__name__, 0)
    given = taken.reshape(*taken.shape, *(1,) * spare)
    found = torch.func.functional_call(module, dict(weights), (given,), tie_weights=False)
    result: Float = found.reshape(len(taken), found.shape[1]).detach().numpy()
    return result


def _by_patches(module: Any, weights: "Mapping[str, torch.Tensor]", value: Float, where: Where) -> Float | None:
    """Of a convolution: the patches of its input that lie under the wanted places, times the weights."""
    if module.padding_mode != "zeros" or value.ndim != len(module.kernel_size) + 2:
        return None
    bias = weights.get("bias")
    return Convolution(
        weights["weight"].detach().numpy(),
        None if bias is None else bias.detach().numpy(),
        module.stride,
        module.dilation,
        _before(module),
        module.groups,
    ).at(value, where)


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
