"""Find the mask among the parts of a batch: True where there is data, False where there is padding."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from covscan.data.arrays import Array, is_array
from covscan.errors import UsageError

Mask = npt.NDArray[np.bool_]

PADDING_MASKS = ("src_key_padding_mask", "key_padding_mask")
"""torch's names for the opposite of a mask: True where there is padding."""
DATA_MASKS = ("attention_mask", "padding_mask", "mask")


def find_mask(parts: Mapping[str, Any], chosen: str | None, samples: int) -> Mask | None:
    """The mask (samples, positions) that ``chosen`` names, else the first part with a usual name that is one.

    A chosen mask may have several position axes, which are flattened. Raises UsageError for one that is no
    mask.
    """
    if chosen is not None:
        return _chosen_mask(parts[chosen], chosen, samples)
    for name in (*DATA_MASKS, *PADDING_MASKS):
        value = parts.get(name)
        if value is not None and is_array(value) and value.ndim == 2 and len(value) == samples and _is_binary(value):
            return _true_at_data(value, name)
    return None


def _chosen_mask(value: Any, name: str, samples: int) -> Mask:
    if not is_array(value) or value.ndim < 2 or len(value) != samples:
        found = f"shape {value.shape} for {samples} samples" if is_array(value) else type(value).__name__
        raise UsageError(
            "bad-mask",
            f"--mask {name}: a mask has the shape (samples, positions)",
            found=found,
            hint="non-zero marks data and zero marks padding",
        )
    if not (value >= 0).all():
        raise UsageError(
            "bad-mask",
            f"--mask {name}: a mask has no negative values and no NaN",
            found=f"least value {value.min()}",
            hint="non-zero marks data and zero marks padding; an additive mask has to be turned round",
        )
    return _true_at_data(value.reshape(samples, -1), name)


def _true_at_data(value: Array, name: str) -> Mask:
    return np.asarray(value == 0 if name in PADDING_MASKS else value != 0)


def _is_binary(value: Array) -> bool:
    return value.dtype == np.bool_ or bool(((value == 0) | (value == 1)).all())
