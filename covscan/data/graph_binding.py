"""What an ONNX graph is fed, made of a batch."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from covscan.data.arrays import Array, is_array
from covscan.data.matching import Bound, Input, match, unmatched
from covscan.data.types import Batch
from covscan.errors import UsageError

Shape = tuple[int | str | None, ...]
GraphInput = tuple[str, np.dtype[Any], Shape]


def bind_onnx(inputs: Sequence[GraphInput], batch: Batch) -> Bound:
    """Bind the arrays of ``batch`` to the (name, dtype, shape) of a graph's inputs; ``kwargs`` is the feed.

    ``matching.match`` says which array goes where; values get the graph's dtype, and a number the graph's
    rank. Inputs that the data does not hold are made up where that says nothing about the data: an attention
    mask is ``batch.mask`` or ones, token types and float arrays (initial states) are zeros, as far as their
    sizes are known from the graph, from the batch or from sizes of the same name. Raises UsageError for any
    other.
    """
    wanted = {name: (dtype, shape) for name, dtype, shape in inputs}

    def fits(name: str, value: Any) -> bool:
        return _fits(value, *wanted[name])

    takers = [Input(name) for name in wanted]
    found = match(takers, batch, fits=fits)
    feed = {name: _cast(value, name, *wanted[name], batch.n) for name, value in found.given.items()}
    sizes = _named_sizes(feed, inputs)
    filled = {}
    for name in found.missing:
        made = _made_up(name, *wanted[name], sizes, batch) if feed else None
        if made is not None:
            filled[name] = made
    missing = [name for name in found.missing if name not in filled]
    if missing:
        raise unmatched(takers, batch, missing)
    return Bound((), {name: (feed | filled)[name] for name in wanted}, found.unused, tuple(filled))


def _fits(value: Any, dtype: np.dtype[Any], shape: Shape) -> bool:
    """Whether the array may be meant for an input of this dtype and shape."""
    if not is_array(value) or (value.dtype.kind == "f" and dtype.kind in "biu"):
        return False
    if value.ndim != len(shape):
        return value.size == 1 and len(shape) <= 1
    return all(not isinstance(size, int) or size == got for size, got in zip(shape[1:], value.shape[1:], strict=True))


def _cast(value: Any, name: str, dtype: np.dtype[Any], shape: Shape, samples: int) -> Array:
    """``value`` in the graph's dtype; one number gets the graph's rank."""
    if not is_array(value):
        raise UsageError(
            "bad-input",
            f"the graph's input {name!r} takes one array",
            found=f"the data has a {type(value).__name__}",
        )
    array = np.asarray(value)
    if dtype.kind in "biu" and array.dtype.kind == "f" and not (array == np.trunc(array)).all():
        raise UsageError(
            "bad-input",
            f"the graph's input {name!r} takes {dtype}",
            found=f"{array.dtype} with fractions",
            hint="give token ids or flags as integers",
        )
    if dtype.kind in "OUS":
        raise UsageError("bad-input", f"the graph's input {name!r} takes text, which covscan does not feed")
    if array.size == 1 and len(shape) != array.ndim:
        array = array.reshape(()) if not shape else np.full(_sizes_or(shape, samples), array.reshape(()))
    return np.ascontiguousarray(array.astype(dtype, copy=False)).reshape(array.shape)


def _sizes_or(shape: Shape, samples: int) -> tuple[int, ...]:
    """The shape of one number that the graph wants as an array: a free axis 0 is the samples."""
    return tuple(size if isinstance(size, int) else (samples if place == 0 else 1) for place, size in enumerate(shape))


def _named_sizes(feed: dict[str, Array], inputs: Sequence[GraphInput]) -> dict[str, int]:
    """The sizes that the graph's named dimensions have in what is fed."""
    pairs = itertools.chain.from_iterable(
        zip(shape, feed[name].shape, strict=False) for name, _, shape in inputs if name in feed
    )
    return {size: got for size, got in pairs if isinstance(size, str)}


def _made_up(name: str, dtype: np.dtype[Any], shape: Shape, sizes: dict[str, int], batch: Batch) -> Array | None:
    """A mask, zeros, or None where nothing neutral is known."""
    known = [size if isinstance(size, int) else sizes.get(size or "") for size in shape]
    if known.count(None) == 1:
        known[known.index(None)] = batch.n
    if not known or None in known:
        return None
    full = tuple(size for size in known if size is not None)
    lower = name.lower()
    if "attention_mask" in lower:
        fits = batch.mask is not None and batch.mask.shape == full
        return batch.mask.astype(dtype) if fits and batch.mask is not None else np.ones(full, dtype)
    if "position_ids" in lower and len(full) == 2:
        return np.broadcast_to(np.arange(full[1], dtype=dtype), full).copy()
    if dtype.kind == "f" or "token_type" in lower or "segment" in lower:
        return np.zeros(full, dtype)
    return None
