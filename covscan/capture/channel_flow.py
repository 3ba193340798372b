"""Following the channel axis through every operation, so that what no layer made is read along the right axis."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from covscan.capture.tensors import Origin, Provenance, tensors_in
from covscan.capture.types import Layout

INTERLEAVED = 0
"""``Layout.folded`` of a tensor whose axis 0 holds position 0 of every sample, then position 1, and so on."""

_CHANNELS_SECOND = ("convolution", "conv", "batch_norm", "group_norm", "instance_norm")
_CHANNELS_LAST = ("addmm", "linear", "layer_norm", "rms_norm", "embedding", "lstm", "gru", "rnn", "scaled_dot_product")
_PRODUCTS = frozenset({"mm", "bmm", "baddbmm", "matmul"})
_RESHAPES = frozenset({"view", "reshape", "unsafe_view", "expand", "as_strided", "clone"})
_TELLING = frozenset(
    {"local_scalar_dense", "equal", "is_nonzero", "nonzero", "nonzero_static", "masked_select", "repeat_interleave"}
    | {"unique", "unique2", "unique_dim", "unique_consecutive"}
)
"""Operations by which Python, or a shape, comes to depend on numbers."""
_DIVISIONS = frozenset({"split", "chunk", "unbind", "split_with_sizes"})

_Tagged = tuple[tuple[int, ...], Layout]


class ChannelFlow(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is active, remembers a Layout for each tensor whose channel axis follows from how it was made.

    Layers set it, transpositions move it, and operations that keep the size of that axis keep it. Works for what runs
    inside TorchScript as well, since its interpreter calls the same operators. ``decided`` says that something
    looked at numbers, upon which other weights might run other operations.
    """

    def __init__(self, known: Provenance) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._known = known
        self.decided = False

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: where nothing is compiled, as ``left_as_found`` sees to, that would import the compiler for a second."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and note the layout of what it gives."""
        before = self._tagged(args)
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__.strip("_")
        self.decided = self.decided or name in _TELLING
        for made in tensors_in(result):
            if made.is_nested:
                break
            layout = _layout_of(name, args, before, tuple(made.shape)) if made.ndim > 1 else None
            if layout is not None:
                self._known.remember(made, Origin(None, layout))
            if name not in _DIVISIONS:
                break
        return result

    def _tagged(self, args: Any) -> list[_Tagged]:
        """Shapes and layouts of the arguments that have one, before the operation changes them.

        The layout of a packed sequence is that of its padded form, and says nothing about the rows it is stored as.
        """
        found = ((tensor, self._known.layout(tensor)) for tensor in tensors_in(args) if not tensor.is_nested)
        return [
            (tuple(tensor.shape), layout)
            for tensor, layout in found
            if layout is not None and layout.channel_axis < tensor.ndim
        ]


def _layout_of(name: str, args: Any, before: list[_Tagged], made: tuple[int, ...]) -> Layout | None:
    """The layout of a tensor of shape ``made``, given the arguments that have one."""
    if any(part in name for part in _CHANNELS_SECOND):
        return Layout(1)
    if name in _PRODUCTS or any(part in name for part in _CHANNELS_LAST):
        last = len(made) - 1
        same = next((layout for shape, layout in before if len(shape) == len(made)), Layout(last))
        return Layout(last, same.sample_axis if same.sample_axis != last else 0, same.folded)
    order = _order(name, args, len(made))
    for shape, layout in before:
        found = _moved(order, layout) if order else _kept(name, shape, layout, made)
        if found is not None:
            return found
    return None


def _order(name: str, args: Any, rank: int) -> list[int] | None:
    """For each axis of the result, the axis it came from (-1: none), where an operation moves, adds or drops one."""
    order = list(range(rank))
    if name == "permute":
        return [int(axis) % rank for axis in args[1]]
    if name in {"transpose", "t"}:
        first, second = (int(axis) % rank for axis in args[1:3]) if name == "transpose" else (0, 1)
        order[first], order[second] = order[second], order[first]
        return order
    if name == "unsqueeze":
        place = int(args[1]) % rank
        return [*range(place), -1, *range(place, rank - 1)]
    if name in {"select", "unbind"}:
        dropped = int(args[1]) % (rank + 1) if len(args) > 1 else 0
        return [axis for axis in range(rank + 1) if axis != dropped]
    return None


def _moved(order: list[int], layout: Layout) -> Layout | None:
    if layout.channel_axis not in order:
        return None
    channel = order.index(layout.channel_axis)
    sample = order.index(layout.sample_axis) if layout.sample_axis in order else 0
    return Layout(channel, sample, layout.folded) if channel != sample else None


def _kept(name: str, shape: tuple[int, ...], layout: Layout, made: tuple[int, ...]) -> Layout | None:
    """The layout of a tensor made of one of ``shape`` by an operation that leaves the order of axes."""
    axis = layout.channel_axis
    if len(made) == len(shape) and (made[axis] == shape[axis] or name not in _RESHAPES):
        return layout
    channel = _place(shape, axis, made)
    if channel is None:
        return None
    if layout.folded == INTERLEAVED:
        return Layout(channel, 1) if len(made) > len(shape) and channel != 1 else Layout(channel, 0, INTERLEAVED)
    sample = layout.sample_axis
    if sample and made[0] != shape[0]:
        # Axes before the sample were merged with it, or taken away.
        return Layout(channel, 0, INTERLEAVED if name in _RESHAPES else 1)
    return Layout(channel, sample if sample < len(made) and sample != channel else 0)


def _place(shape: tuple[int, ...], axis: int, made: tuple[int, ...]) -> int | None:
    """Where the channels are after a change of shape: where as many values stand before them, or still last."""
    ahead = torch.Size(shape[:axis]).numel()
    for place in range(1, len(made)):
        if made[place] == shape[axis] and torch.Size(made[:place]).numel() == ahead:
            return place
    is_last = axis == len(shape) - 1 and made[-1] and shape[-1]
    return len(made) - 1 if is_last and (made[-1] % shape[-1] == 0 or shape[-1] % made[-1] == 0) else None
