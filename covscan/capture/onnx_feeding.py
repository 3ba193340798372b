"""Cutting batches to the size that an ONNX graph takes and binding them to its inputs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from covscan.capture.onnx_constants import Array
from covscan.data.binding import bind_onnx
from covscan.data.types import Batch
from covscan.errors import UsageError

Declared = tuple[str, np.dtype[Any], tuple[int | str | None, ...]]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Part of a batch as one run of the graph takes it: ``batch`` from ``start``, run with ``rows`` samples.

    The rows behind ``batch.n`` repeat the last sample, because the graph takes no fewer; what it says of them is
    cut off. ``alone``: there is no other part.
    """

    batch: Batch
    start: int
    rows: int
    alone: bool


def cut(batch: Batch, size: int | None, *, fixed: bool, least: int = 1) -> Iterator[Chunk]:
    """``batch`` in pieces of at most ``size`` samples; ``fixed``: each run takes exactly that many."""
    step = size or max(batch.n, 1)
    for start in range(0, batch.n, step):
        part = pick(batch, np.arange(start, min(start + step, batch.n)))
        yield Chunk(part, start, step if fixed else max(part.n, least), alone=part.n == batch.n)


def fill(chunk: Chunk) -> Batch:
    """The chunk's samples, the last one repeated up to the rows that one run takes."""
    if chunk.rows == chunk.batch.n:
        return chunk.batch
    return pick(chunk.batch, np.minimum(np.arange(chunk.rows), chunk.batch.n - 1))


def pick(batch: Batch, places: npt.NDArray[np.int64]) -> Batch:
    """A batch of the samples at ``places``; arrays of another length than the batch are constants."""
    if len(places) == batch.n and bool((places == np.arange(batch.n)).all()):
        return batch
    return Batch(
        index=batch.index[places],
        block=batch.block[places],
        positional=tuple(_pick(value, places, batch.n) for value in batch.positional),
        named={name: _pick(value, places, batch.n) for name, value in batch.named.items()},
        target=_pick(batch.target, places, batch.n),
        mask=None if batch.mask is None else batch.mask[places],
    )


def _pick(value: Any, places: Array, n: int) -> Any:
    if isinstance(value, Mapping):
        return {key: _pick(entry, places, n) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_pick(entry, places, n) for entry in value)
    shape = getattr(value, "shape", None)
    return value[places] if shape is not None and len(shape) > 0 and shape[0] == n else value


def declared(inputs: Sequence[onnx.ValueInfoProto]) -> tuple[Declared, ...]:
    """(name, dtype, shape) of graph inputs; a dimension that may vary is its name or None."""
    return tuple((value.name, _dtype(value), _shape(value)) for value in inputs)


def _dtype(value: onnx.ValueInfoProto) -> np.dtype[Any]:
    dtype: np.dtype[Any] = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
    return dtype


def _shape(value: onnx.ValueInfoProto) -> tuple[int | str | None, ...]:
    # Exporters write an unknown size as 0 or -1 as well as by leaving it out.
    return tuple(
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else dim.dim_param or None
        for dim in value.type.tensor_type.shape.dim
    )


def bind(inputs: Sequence[onnx.ValueInfoProto], batch: Batch, path: Path) -> dict[str, Array]:
    """The batch as what the graph's inputs are fed. Raises UsageError where an array does not fit its input."""
    bound: dict[str, Array] = dict(bind_onnx(declared(inputs), batch).kwargs)
    for name, dtype, shape in declared(inputs):
        array = bound.get(name)
        if array is None or not _fits(array, dtype, shape):
            found = "nothing" if array is None else f"{array.dtype}{list(array.shape)}"
            wanted = ", ".join("?" if size is None else str(size) for size in shape)
            raise UsageError(
                "input-mismatch",
                f"the sample data does not fit input '{name}' of '{path}'",
                found=f"{found}; the model takes {dtype}[{wanted}]",
                hint=f"the model's inputs are {', '.join(each.name for each in inputs)}",
            )
    return bound


def _fits(array: Array, dtype: np.dtype[Any], shape: tuple[int | str | None, ...]) -> bool:
    """Whether type, rank and all fixed sizes but the first (the samples of one run) agree."""
    if array.dtype != dtype or array.ndim != len(shape):
        return not shape and array.dtype == dtype
    return all(not isinstance(size, int) or size == array.shape[axis] for axis, size in enumerate(shape) if axis)
