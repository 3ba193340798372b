"""The arguments of a model's forward, made of a batch."""

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from covscan.data.arrays import Array
from covscan.data.graph_binding import bind_onnx
from covscan.data.masks import PADDING_MASKS
from covscan.data.matching import Bound, Input, Match, match, unmatched
from covscan.data.structure import map_arrays
from covscan.data.types import Batch

if TYPE_CHECKING:
    import torch

__all__ = ["Bound", "bind_onnx", "bind_torch", "take"]

_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def bind_torch(
    signature: inspect.Signature | None,
    batch: Batch,
    device: "torch.device | str",
    dtype: "torch.dtype | None",
) -> Bound:
    """Bind the arrays of ``batch`` to the parameters of ``signature`` as tensors on ``device``.

    ``matching.match`` says which array goes where; ``signature`` None takes everything by place. Floats
    become ``dtype`` (None: they stay), integers int64, which embeddings need; uint8 and booleans stay. A
    parameter ``attention_mask``, ``src_key_padding_mask`` or ``key_padding_mask`` that the data does not hold
    gets ``batch.mask`` where there is one. Raises UsageError where a required parameter gets nothing.
    """
    parameters = list(signature.parameters.values()) if signature is not None else []
    kinds = {parameter.kind for parameter in parameters}
    inputs = [
        _input(p) for p in parameters if p.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    ]
    any_place = signature is None or inspect.Parameter.VAR_POSITIONAL in kinds
    found = match(inputs, batch, any_place=any_place, any_name=inspect.Parameter.VAR_KEYWORD in kinds)
    masks = _masks(inputs, found, batch)
    given = found.given | masks
    missing = [name for name in found.missing if name not in masks]
    if missing or not (given or found.more_by_place or found.more_by_name):
        raise unmatched(inputs, batch, missing or [each.name for each in inputs])
    args, kwargs = _arguments(parameters, given, found)

    def convert(array: Array) -> Any:
        return _tensor(array, device, dtype)

    return Bound(
        tuple(map_arrays(convert, value) for value in args),
        {name: map_arrays(convert, value) for name, value in kwargs.items()},
        found.unused,
        tuple(masks),
    )


def take(batch: Batch, count: int) -> Batch:
    """The first ``count`` samples of ``batch``; constants, whose axis 0 is not the sample, stay."""

    def first(array: Array) -> Array:
        return array[:count] if array.shape[:1] == (batch.n,) else array

    named: Mapping[str, Any] = map_arrays(first, batch.named)
    return Batch(
        index=batch.index[:count],
        block=batch.block[:count],
        positional=map_arrays(first, batch.positional),
        named=named,
        target=map_arrays(first, batch.target),
        mask=None if batch.mask is None else batch.mask[:count],
    )


def _input(parameter: inspect.Parameter) -> Input:
    annotation = str(getattr(parameter.annotation, "__name__", parameter.annotation)).lower()
    return Input(
        parameter.name,
        required=parameter.default is inspect.Parameter.empty,
        by_place=parameter.kind in _BY_PLACE,
        whole=annotation.rpartition(".")[2].startswith(("dict", "mapping")) or annotation.startswith("typing.dict"),
    )


def _masks(inputs: list[Input], found: Match, batch: Batch) -> dict[str, Array]:
    """What mask parameters get that the data holds no array for."""
    if batch.mask is None:
        return {}
    values = {"attention_mask": batch.mask.astype(np.int64), **dict.fromkeys(PADDING_MASKS, ~batch.mask)}
    return {each.name: values[each.name] for each in inputs if each.name in values and each.name not in found.given}


def _arguments(
    parameters: list[inspect.Parameter], given: Mapping[str, Any], found: Match
) -> tuple[list[Any], dict[str, Any]]:
    """By place as long as the parameters are given without a gap, by keyword behind it."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    gap = False
    for parameter in parameters:
        gap = gap or parameter.kind not in _BY_PLACE or parameter.name not in given
        if parameter.name in given and gap:
            kwargs[parameter.name] = given[parameter.name]
        elif parameter.name in given:
            args.append(given[parameter.name])
    return [*args, *found.more_by_place], {**kwargs, **found.more_by_name}


def _tensor(array: Array, device: "torch.device | str", dtype: "torch.dtype | None") -> "torch.Tensor":
    import torch

    if array.dtype.kind in "iu" and array.dtype != np.uint8:
        array = array.astype(np.int64, copy=False)
    tensor = torch.from_numpy(np.require(array, requirements=("C", "W")))
    if dtype is not None and tensor.is_floating_point():
        return tensor.to(device=device, dtype=dtype)
    return tensor.to(device=device)
