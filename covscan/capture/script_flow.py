"""Following the channel axis through every operation, so that what no layer made is read along the right axis."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from covscan.capture.tensors import Origin, Provenance, tensors_in
from covscan.capture.types import Layout

_CHANNELS_SECOND = ("convolution", "conv", "batch_norm", "group_norm", "instance_norm")
_CHANNELS_LAST = ("addmm", "linear", "layer_norm", "rms_norm", "embedding", "lstm", "gru", "rnn")
_RESHAPES = frozenset({"view", "reshape", "unsafe_view", "expand", "as_strided"})
_PRODUCTS = frozenset({"mm", "bmm", "baddbmm", "matmul"})


class ChannelFlow(TorchDispatchMode):
    """While it is active, remembers a Layout for each tensor whose channel axis follows from how it was made.

    Layers set it, transpositions move it, and operations that keep the size of that axis keep it. Works for what runs
    inside TorchScript as well, since its interpreter calls the same operators.
    """

    def __init__(self, known: Provenance) -> None:
        super().__init__()
        self._known = known

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and note the layout of what it gives."""
        before = self._tagged(args)
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__.strip("_")
        for made in tensors_in(result):
            layout = _layout_of(name, args, before, made)
            if layout is not None:
                self._known.remember(made, Origin(None, layout))
            if name not in {"split", "chunk", "unbind", "split_with_sizes"}:
                break
        return result

    def _tagged(self, args: Any) -> list[tuple[tuple[int, ...], Layout]]:
        """Shapes and layouts of the arguments that have one, before the operation changes them."""
        found = ((tensor, self._known.layout(tensor)) for tensor in tensors_in(args))
        return [(tuple(tensor.shape), layout) for tensor, layout in found if layout is not None]


def _layout_of(name: str, args: Any, before: list[tuple[tuple[int, ...], Layout]], made: torch.Tensor) -> Layout | None:
    if made.ndim < 2:
        return None
    sample = before[0][1].sample_axis if before and len(before[0][0]) == made.ndim else 0
    if any(part in name for part in _CHANNELS_SECOND):
        return Layout(1)
    if name in _PRODUCTS or any(part in name for part in _CHANNELS_LAST):
        return Layout(made.ndim - 1, sample if sample != made.ndim - 1 else 0)
    order = _order(name, args, made.ndim)
    for shape, layout in before:
        axes = _moved(order, layout) if order else _kept(shape, layout, tuple(made.shape), name)
        if axes is not None:
            return axes
    return None


def _order(name: str, args: Any, rank: int) -> list[int] | None:
    """For each axis of the result, the axis it came from, where the operation reorders axes."""
    order = list(range(rank))
    if name == "permute":
        return [int(axis) % rank for axis in args[1]]
    if name in {"transpose", "t"}:
        first, second = (int(axis) % rank for axis in args[1:3]) if name == "transpose" else (0, 1)
        order[first], order[second] = order[second], order[first]
        return order
    return None


def _moved(order: list[int], layout: Layout) -> Layout:
    return Layout(order.index(layout.channel_axis), order.index(layout.sample_axis))


def _kept(shape: tuple[int, ...], layout: Layout, made: tuple[int, ...], name: str) -> Layout | None:
    """The layout of a tensor made of one of ``shape`` by an operation that leaves the order of axes."""
    axis, sample = layout.channel_axis, layout.sample_axis
    if len(made) == len(shape) and (made[axis] == shape[axis] or name not in _RESHAPES):
        return Layout(axis, sample)
    ahead = _product(shape[:axis])
    for place in range(1, len(made)):
        if made[place] == shape[axis] and _product(made[:place]) == ahead:
            return Layout(place, sample if sample < place and made[sample] == shape[sample] else 0)
    if axis == len(shape) - 1 and made[-1] == shape[-1]:
        return Layout(len(made) - 1)
    return None


def _product(sizes: tuple[int, ...]) -> int:
    return int(torch.Size(sizes).numel())
