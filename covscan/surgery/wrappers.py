"""A module and a normalization as one module. The classes are also pasted into the files that ``insert`` writes."""

import dataclasses
from typing import Any

import torch
from torch import nn

from covscan.capture.tensors import first_tensor


def exchanged(value: Any, old: torch.Tensor, new: torch.Tensor) -> Any:
    """``value`` with ``new`` wherever it holds ``old`` itself, nested as before."""
    if value is old:
        return new
    if isinstance(value, tuple) and hasattr(value, "_fields"):  # packed sequences are such too
        return type(value)(*(exchanged(item, old, new) for item in value))
    if isinstance(value, tuple | list):
        return type(value)(exchanged(item, old, new) for item in value)
    if isinstance(value, dict):
        for key, item in value.items():  # in place: model outputs are dicts with constructors of their own
            if item is old or isinstance(item, tuple | list | dict):
                value[key] = exchanged(item, old, new)
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: exchanged(getattr(value, field.name), old, new) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **fields)
    return value


class Wrapped(nn.Sequential):
    """Module and normalization in the order in which they run; other attributes are those of the module."""

    place = 0  # of the module; the normalization has the other one of 0 and 1

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__(*parts)
        # Layers that bypass their submodules for speed (nn.TransformerEncoderLayer) do not where there are hooks.
        self.register_forward_pre_hook(_nothing)

    def __getattr__(self, name: str) -> Any:
        """The module's own, for those who look at its weight or at its number of features."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            module = self.__dict__.get("_modules", {}).get(str(self.place))
            if module is None:
                raise
            return getattr(module, name)


class Behind(Wrapped):
    """A module, and a normalization of the first tensor that it returns."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module returns, that tensor exchanged."""
        output = self[0](*args, **kwargs)
        old = first_tensor(output)
        return output if old is None else exchanged(output, old, self[1](old))


class InFront(Wrapped):
    """A normalization of the first tensor that a module takes, and the module."""

    place = 1

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module returns for that tensor exchanged."""
        old = first_tensor(args, kwargs)
        if old is not None:
            new = self[0](old)
            args, kwargs = exchanged(args, old, new), exchanged(kwargs, old, new)
        return self[1](*args, **kwargs)


def _nothing(module: nn.Module, args: Any) -> None:
    """A hook that only has to be there."""
