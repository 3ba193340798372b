"""Rows out of the arrays that a run of an ONNX graph returns."""

from typing import Any

import numpy as np

from covscan.capture.onnx_constants import Array
from covscan.capture.onnx_feeding import Chunk
from covscan.capture.reading import Reader, UnreadableError
from covscan.capture.types import Layout, Rows, Site

_MASKED = -1e4
"""Additive masks hold -inf or the dtype's minimum where attention is forbidden; no real logit is that low."""


def read_rows(value: Any, site: Site, chunk: Chunk, reader: Reader) -> Rows:
    """The rows of one site in one chunk. Raises UnreadableError."""
    if not isinstance(value, np.ndarray) or value.ndim < 2:
        raise UnreadableError("no tensor with sample and channel axes in a later batch")
    if site.key.position == "logits":
        value, layout = _largest(value, chunk.rows), Layout(1)
    else:
        layout = site.layout
    if value.ndim <= max(layout.sample_axis, layout.channel_axis):
        raise UnreadableError(f"shape {value.shape} in a later batch")
    return reader.array_rows(_trimmed(value, layout, chunk), layout)


def joined(parts: list[tuple[int, Rows]]) -> Rows:
    """Rows of consecutive chunks as rows of the whole batch; each part with the start of its chunk."""
    if len(parts) == 1 and parts[0][0] == 0:
        return parts[0][1]
    return Rows(
        given=np.concatenate([rows.given for _, rows in parts]),
        sample=np.concatenate([rows.sample + start for start, rows in parts]),
        position=np.concatenate([rows.position for _, rows in parts]),
    )


def _trimmed(value: Array, layout: Layout, chunk: Chunk) -> Array:
    """``value`` without the rows that only filled the run up."""
    if chunk.rows == chunk.batch.n:
        return value
    size = value.shape[layout.sample_axis]
    if size % chunk.rows:
        raise UnreadableError(f"axis {layout.sample_axis} holds {size} rows for {chunk.rows} samples")
    kept = slice(0, size // chunk.rows * chunk.batch.n)
    return value[(slice(None),) * layout.sample_axis + (kept,)]


def _largest(logits: Array, samples: int) -> Array:
    """(samples, heads, queries): the largest |logit| over the keys that a query may attend to, 0 if none."""
    if logits.ndim not in (3, 4) or logits.shape[0] % samples:
        raise UnreadableError(f"attention logits of shape {logits.shape} for {samples} samples")
    whole = logits.astype(np.float32, copy=False).reshape(samples, -1, *logits.shape[-2:])
    result: Array = np.where(whole > _MASKED, np.abs(whole), np.float32(0)).max(axis=-1)
    return result
