"""Rows are cut out of tensors of any strides, and are lasting only where no layer can change them any more."""

import numpy as np
import pytest
import torch

from covscan.capture.reading import Reader, _with_one_position_axis
from covscan.capture.types import Layout
from covscan.data.types import Batch

SAMPLES, CHANNELS, HEIGHT, WIDTH = 3, 5, 4, 6


def strided(kind, dtype=torch.float32):
    """(samples, channels, height, width) of the same values, laid out in memory in different ways."""
    drawing = torch.Generator().manual_seed(0)
    values = torch.randn(SAMPLES, CHANNELS, HEIGHT, WIDTH, generator=drawing).to(dtype)
    if kind == "channels last":
        return values.contiguous(memory_format=torch.channels_last)
    if kind == "cut":
        return torch.cat([values, values], dim=3)[..., :WIDTH]
    if kind == "every other row":
        return torch.cat([values[:, :, :, None], values[:, :, :, None]], dim=3).flatten(2, 3)[:, :, ::2]
    if kind == "turned":
        return values.transpose(2, 3).contiguous().transpose(2, 3)
    if kind == "expanded":
        return values[:, :, :1].expand(-1, -1, HEIGHT, -1)
    return values


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("limit", [None, 7])
@pytest.mark.parametrize("kind", ["plain", "channels last", "cut", "every other row", "turned", "expanded"])
def test_rows_are_those_at_the_chosen_places_whatever_the_strides(kind, limit, dtype):
    values = strided(kind, dtype)
    batch = Batch(np.arange(SAMPLES), np.zeros(SAMPLES, np.int64), (np.zeros((SAMPLES, 1)),))
    rows = Reader(batch, limit, 0).rows(values, Layout(1))
    high, wide = rows.position // WIDTH, rows.position % WIDTH
    expected = values.double().numpy()[rows.sample, :, high, wide]
    np.testing.assert_array_equal(rows.values, expected)
    assert len(rows.sample) == SAMPLES * (HEIGHT * WIDTH if limit is None else limit)
    before = rows.given.copy()
    if rows.lasting:
        values.data = values.contiguous().fill_(7.0) if kind == "expanded" else values.fill_(7.0)
        np.testing.assert_array_equal(rows.given, before)
    assert rows.lasting or limit is None


@pytest.mark.parametrize(
    ("kind", "axes"),
    [("plain", 1), ("channels last", 1), ("cut", 2), ("every other row", 2), ("turned", 2), ("expanded", 2)],
)
def test_axes_of_positions_are_made_one_only_where_nothing_is_copied_for_it(kind, axes):
    values = strided(kind).numpy()
    seen = _with_one_position_axis(np.moveaxis(values, 1, -1))
    assert seen.ndim == 2 + axes
    assert np.shares_memory(seen, values)


@pytest.mark.parametrize("shape", [(3, 0, 4, 2), (3, 5, 0, 2), (3, 5, 1, 1), (3, 5, 1, 9), (3, 5, 9, 1)])
def test_axes_of_length_0_and_1_are_read_too(shape):
    values = torch.arange(float(np.prod(shape))).reshape(shape)
    batch = Batch(np.arange(3), np.zeros(3, np.int64), (np.zeros((3, 1)),))
    rows = Reader(batch, 4, 0).rows(values, Layout(1))
    flat = values.reshape(3, shape[1], shape[2] * shape[3]).numpy()
    np.testing.assert_array_equal(rows.values, flat[rows.sample, :, rows.position])
