"""Packed and nested sequences as padded tensors with the places that hold data, quantized tensors as what they mean."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from covscan.capture.tensors import first_tensor

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Readable:
    """A tensor that can be read, the object that identifies it, and where it holds data (None: everywhere)."""

    tensor: "torch.Tensor"
    identity: "torch.Tensor"
    valid: npt.NDArray[np.bool_] | None = None


def readable(*values: Any) -> Readable | None:
    """The first tensor in ``values`` in a form that can be read by (sample, position); None where there is none."""
    from torch.nn.utils.rnn import PackedSequence

    for value in values:
        packed = _find(value, PackedSequence)
        if packed is not None:
            return _unpack(packed)
    tensor = first_tensor(*values)
    if tensor is None:
        return None
    if tensor.is_quantized:
        return Readable(tensor.dequantize(), tensor)
    return _pad(tensor) if tensor.is_nested else Readable(tensor, tensor)


def _find(value: Any, kind: type) -> Any:
    if isinstance(value, kind):
        return value
    if isinstance(value, tuple | list):
        return next((found for found in (_find(item, kind) for item in value) if found is not None), None)
    return None


def _unpack(packed: Any) -> Readable:
    import torch

    padded, lengths = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    return Readable(padded, packed.data, _valid(lengths.tolist(), padded.shape[1]))


def _pad(nested: "torch.Tensor") -> Readable:
    parts = nested.unbind()
    padded = nested.to_padded_tensor(0.0)
    return Readable(padded, nested, _valid([len(part) for part in parts], padded.shape[1]))


def _valid(lengths: list[int], longest: int) -> npt.NDArray[np.bool_]:
    places: npt.NDArray[np.bool_] = np.arange(longest)[None, :] < np.asarray(lengths)[:, None]
    return places
