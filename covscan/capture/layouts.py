"""Deciding which axis of a tensor is the sample and which the channel."""

from collections.abc import Sequence

from covscan.capture.types import Layout


class UnknownLayoutError(Exception):
    """No axis of the tensor can be the sample; the message says what was found."""


def infer_layout(
    shape: Sequence[int], samples: int, *, axis: int | None, sequence_first: bool | None, hint: Layout | None
) -> Layout:
    """The layout of a tensor of ``shape`` in a batch of ``samples``.

    ``axis`` is the channel axis where the module's class fixes it (1 or -1), ``sequence_first`` the place of the sample
    where the class fixes that, ``hint`` the layout of a tensor that this one was made of. Raises UnknownLayoutError.
    """
    if len(shape) < 2:
        raise UnknownLayoutError(f"shape {tuple(shape)} has no separate sample and channel axes")
    channel = _channel_axis(shape, axis, hint)
    if sequence_first and len(shape) == 3 and shape[1] == samples:
        return Layout(channel, sample_axis=1)
    if hint is not None and hint.sample_axis == 1 and channel != 1 and len(shape) >= 3 and shape[1] == samples:
        return Layout(channel, sample_axis=1)
    if shape[0] == samples:
        return Layout(channel)
    if channel != 1 and len(shape) >= 3 and shape[1] == samples:
        return Layout(channel, sample_axis=1)
    if shape[0] and shape[0] % samples == 0:
        return Layout(channel, folded=shape[0] // samples)
    raise UnknownLayoutError(f"shape {tuple(shape)} has no axis of {samples} samples")


def _channel_axis(shape: Sequence[int], axis: int | None, hint: Layout | None) -> int:
    rank = len(shape)
    if axis is not None:
        return axis % rank if axis == -1 else min(axis, rank - 1)
    if rank == 2:
        return 1
    if hint is not None and hint.channel_axis < rank:
        return hint.channel_axis
    return rank - 1 if rank == 3 else 1
