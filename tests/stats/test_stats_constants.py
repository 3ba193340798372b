"""Channels that are constant, and values so small that their squares vanish in float32."""

import numpy as np
import pytest

from covscan.stats import BlockMoments
from covscan.stats.tile import Tile


def moments(values, cuts=1):
    kept = BlockMoments(4, values.shape[1])
    block = np.arange(len(values)) % 4
    for part in np.array_split(np.arange(len(values)), cuts):
        kept.update(Tile(values[part], block[part]))
    return kept.pooled()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cuts", [1, 3, 7])
def test_a_constant_channel_has_no_variance_at_all(dtype, cuts):
    constants = np.array([0.1, -1e6 / 3, 7e-9, 0.0, 3.3], dtype)
    values = np.tile(constants, (41, 1))
    values[::5, 4] = np.nan
    found = moments(values, cuts)
    assert found.variance.tolist() == [0.0] * 5
    assert found.mean.tolist() == constants.astype(np.float64).tolist()


@pytest.mark.parametrize("scale", [1e-30, 1e-23, 1e-20, 1e-12, 1e15, 1e25])
@pytest.mark.parametrize("cuts", [1, 5])
def test_small_and_large_values_keep_their_variance(scale, cuts):
    values = (np.random.default_rng(0).normal(size=(64, 3)) * scale).astype(np.float32)
    values[:, 2] = 0.0
    found = moments(values, cuts)
    assert found.variance == pytest.approx(values.astype(np.float64).var(axis=0), rel=1e-5)
    assert found.mean == pytest.approx(values.astype(np.float64).mean(axis=0), rel=1e-5, abs=1e-6 * scale)
