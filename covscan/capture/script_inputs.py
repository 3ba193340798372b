"""Giving the forward of a TorchScript archive its arguments, as its schema types them."""

import inspect
from typing import Any

import numpy as np
import torch

from covscan.data.binding import bind_torch
from covscan.data.types import Batch
from covscan.errors import UsageError

_NUMBERS = {"IntType": int, "FloatType": float, "BoolType": bool, "NumberType": float}


def signature_of(schema: Any) -> inspect.Signature:
    """The parameters of a method's schema, without ``self``."""
    return inspect.Signature(
        [
            inspect.Parameter(
                argument.name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=argument.default_value if argument.has_default_value() else inspect.Parameter.empty,
            )
            for argument in schema.arguments[1:]
        ]
    )


def arguments_for(schema: Any, batch: Batch, device: torch.device, dtype: torch.dtype | None) -> list[Any]:
    """One value for each parameter of the schema, in order. Raises UsageError where the data has none for it."""
    bound = bind_torch(signature_of(schema), batch, device, dtype)
    given = {item.name: value for item, value in zip(schema.arguments[1:], bound.args, strict=False)}
    given.update(bound.kwargs)
    return [_typed(item, given.get(item.name, item.default_value)) for item in schema.arguments[1:]]


def notes_on(schema: Any, batch: Batch) -> tuple[str, ...]:
    """What of the data the program does not take, and what was made up for it."""
    return bind_torch(signature_of(schema), batch, torch.device("cpu"), None).notes()


def _typed(argument: Any, value: Any) -> Any:
    """``value`` as a Python number where the schema wants one; anything else as it is."""
    kind = argument.type
    if kind.kind() == "OptionalType":
        if value is None:
            return None
        kind = kind.getElementType()
    number = _NUMBERS.get(kind.kind())
    if number is None or isinstance(value, bool | int | float):
        return value
    array = np.asarray(value.detach().cpu() if isinstance(value, torch.Tensor) else value)
    if array.size == 0 or (array != array.flat[0]).any():
        raise UsageError(
            "input-type",
            f"the archive's forward takes one {kind} as '{argument.name}', and the data holds different ones",
            found=f"an array of shape {array.shape}",
            hint="give one number, an array without dimensions",
        )
    return number(array.flat[0])
