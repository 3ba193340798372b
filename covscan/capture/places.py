"""What a layer gives at a few places of its output, from what lies under them in its input."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from covscan.capture.types import Float, Layout, Rows

Index = npt.NDArray[np.int64]
Where = tuple[Index, ...]
"""(rows,) for each of the axes of a (samples, *positions, channels) array but the last."""

_FEWER = 2
"""Of so many positions one is read at most: else all of them together take no longer."""
_NUMBERS = 2**22
"""Numbers of the input that are gathered at once."""


@dataclass(frozen=True, slots=True)
class Convolution:
    """What a convolution with zeros around its input is made of.

    ``weight`` (outputs, channels of a group, *kernel), ``bias`` (outputs,) or None; ``stride``, ``dilation`` and
    ``before``, the zeros in front, are one number for each axis of the kernel.
    """

    weight: Float
    bias: Float | None
    stride: Sequence[int]
    dilation: Sequence[int]
    before: Sequence[int]
    groups: int

    def at(self, value: Float, where: Where) -> Float:
        """(rows, outputs) what it gives for ``value`` (samples, *positions, channels) at these places of its output."""
        outputs, channels, *kernel = self.weight.shape
        size = math.prod(kernel)
        # (groups, kernel x channels, outputs)
        apart = self.weight.reshape(self.groups, -1, channels, size).transpose(0, 3, 2, 1)
        factors = apart.reshape(self.groups, size * channels, -1)
        found = np.empty((len(where[0]), outputs), value.dtype)
        step = max(1, _NUMBERS // (size * value.shape[-1]))
        for part in (slice(start, start + step) for start in range(0, len(found), step)):
            patches = self._patches(value, tuple(axis[part] for axis in where))
            grouped = patches.reshape(-1, size, self.groups, channels).transpose(2, 0, 1, 3)
            given = np.matmul(grouped.reshape(self.groups, -1, size * channels), factors)
            found[part] = given.transpose(1, 0, 2).reshape(-1, outputs)
        return found if self.bias is None else found + self.bias

    def _patches(self, value: Float, where: Where) -> Float:
        """(rows, *kernel, channels) of the input."""
        row, *centres = where
        kernel, spatial = self.weight.shape[2:], len(centres)
        places: list[Index] = []
        inside = np.ones((), bool)
        for axis, centre in enumerate(centres):
            reach = np.arange(kernel[axis]) * self.dilation[axis]
            place = (centre * self.stride[axis] - self.before[axis])[:, None] + reach
            place = place.reshape(-1, *(len(reach) if each == axis else 1 for each in range(spatial)))
            inside = inside & (place >= 0) & (place < value.shape[axis + 1])
            places.append(place.clip(0, value.shape[axis + 1] - 1))
        taken: Float = value[(row.reshape(-1, *(1,) * spatial), *places)]
        taken[~inside] = 0.0
        return taken


def moved(value: npt.NDArray[Any], layout: Layout) -> Float:
    """A view of ``value`` as (samples, *positions, channels)."""
    view: Float = np.moveaxis(value, (layout.sample_axis, layout.channel_axis), (0, -1))
    return view


def are_few(rows: Rows, shape: Sequence[int], layout: Layout) -> bool:
    """Whether ``rows`` are so few of an output of ``shape`` that they are better worked out by themselves."""
    return len(rows.sample) * _FEWER <= math.prod(shape) // max(1, shape[layout.channel_axis])


def where_read(rows: Rows, shape: Sequence[int], layout: Layout) -> Where:
    """Where ``rows`` of a tensor of ``shape`` were read."""
    sizes = [size for axis, size in enumerate(shape) if axis not in (layout.sample_axis, layout.channel_axis)]
    count = math.prod(sizes)
    row, inner = rows.sample * layout.folded + rows.position // count, rows.position % count
    return (row, *np.unravel_index(inner, sizes)) if sizes else (row,)
