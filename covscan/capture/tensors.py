"""Finding the tensors in what modules take and give, and knowing one again."""

import dataclasses
import weakref
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from covscan.capture.types import Layout, SiteKey

if TYPE_CHECKING:
    import torch


_UNCOUNTED = -1


def tensors_in(value: Any) -> Iterator["torch.Tensor"]:
    """Every tensor in nested tuples, lists, mappings, dataclasses and model outputs, in order."""
    import torch

    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, torch.nn.utils.rnn.PackedSequence):
        yield value.data
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors_in(item)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from tensors_in(getattr(value, field.name))


def first_tensor(*values: Any) -> "torch.Tensor | None":
    """The first floating tensor of at least two dimensions, else the first tensor of any kind."""
    found = list(tensors_in(values))
    for tensor in found:
        if tensor.is_floating_point() and tensor.ndim >= 2:
            return tensor
    return found[0] if found else None


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """Where a tensor was first seen and how it is laid out."""

    key: SiteKey | None
    layout: Layout


class Provenance:
    """Remembers tensors by identity and version, so that an in-place change makes another tensor of it.

    Tensors of inference mode count no versions: their layout is remembered, and none is taken for another.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[torch.Tensor], int, Origin]] = {}

    def remember(self, tensor: "torch.Tensor", origin: Origin) -> None:
        """Note that ``tensor`` as it is now is what ``origin`` says."""
        version = _UNCOUNTED if tensor.is_inference() else tensor._version
        self._known[id(tensor)] = (weakref.ref(tensor), version, origin)

    def same(self, tensor: "torch.Tensor") -> Origin | None:
        """The origin of exactly this tensor with exactly these values."""
        entry = self._entry(tensor)
        return entry[2] if entry and entry[1] != _UNCOUNTED and entry[1] == tensor._version else None

    def layout(self, tensor: "torch.Tensor") -> Layout | None:
        """The layout of this tensor, changed in place or not."""
        entry = self._entry(tensor)
        return entry[2].layout if entry else None

    def _entry(self, tensor: "torch.Tensor") -> "tuple[weakref.ref[torch.Tensor], int, Origin] | None":
        entry = self._known.get(id(tensor))
        return entry if entry is not None and entry[0]() is tensor else None
