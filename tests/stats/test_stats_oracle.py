"""Accumulators against numpy on all values at once."""

import numpy as np
import pytest

from covscan.stats import BlockMoments, RowSample
from covscan.stats.counts import ChannelCounts
from covscan.stats.extremes import Extremes
from covscan.stats.hashing import hash_index, hash_pair
from covscan.stats.origin import Origin
from covscan.stats.tile import Tile


def streamed(values, batch):
    moments = BlockMoments(4, values.shape[1])
    for start in range(0, len(values), batch):
        part = values[start : start + batch]
        moments.update(Tile(part, np.arange(start, start + len(part)) % 4))
    return moments


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("offset", "scale"), [(0.0, 1.0), (1e4, 1.0), (1e-6, 1e-9), (1e30, 1e28)])
def test_moments_agree_with_numpy(dtype, offset, scale):
    values = np.random.default_rng(0).normal(offset, scale, (1000, 6)).astype(dtype)
    pooled = streamed(values, 37).pooled()
    exact = values.astype(np.float64)
    np.testing.assert_allclose(pooled.mean, exact.mean(axis=0), rtol=1e-6, atol=1e-7 * scale)
    np.testing.assert_allclose(pooled.variance, exact.var(axis=0), rtol=1e-5)
    assert (pooled.count == 1000).all()


def test_variance_survives_a_large_offset_in_float32():
    # E[x^2] - E[x]^2 in float32 gives 0 here.
    values = (1e4 + np.random.default_rng(0).normal(0, 1e-2, (4096, 2))).astype(np.float32)
    pooled = streamed(values, 256).pooled()
    np.testing.assert_allclose(pooled.variance, values.astype(np.float64).var(axis=0), rtol=1e-6)


def test_squares_beyond_float32_do_not_become_infinite():
    values = np.array([[1e30], [-1e30], [3e30]], np.float32)
    pooled = streamed(values, 3).pooled()
    np.testing.assert_allclose(pooled.variance, values.astype(np.float64).var(axis=0), rtol=1e-5)


def test_moments_of_chosen_blocks_are_those_of_their_rows():
    values = np.random.default_rng(1).normal(5, 2, (200, 3))
    block = np.arange(200) % 4
    moments = streamed(values, 50)
    chosen = moments.subsets(np.array([[1, 0, 0, 1], [1, 1, 1, 0]], float))
    for row, blocks in enumerate(([0, 3], [0, 1, 2])):
        rows = values[np.isin(block, blocks)]
        np.testing.assert_allclose(chosen.mean[row], rows.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(chosen.variance[row], rows.var(axis=0), rtol=1e-10)


def test_nonfinite_values_are_left_out_of_moments_and_counted():
    values = np.random.default_rng(2).normal(size=(50, 3)).astype(np.float32)
    values[3, 0], values[4, 0], values[:, 2] = np.nan, np.inf, np.nan
    pooled = streamed(values, 10).pooled()
    finite = np.delete(values[:, 0], [3, 4]).astype(np.float64)
    np.testing.assert_allclose(pooled.mean[0], finite.mean(), rtol=1e-5)
    np.testing.assert_allclose(pooled.variance[0], finite.var(), rtol=1e-5)
    np.testing.assert_allclose(pooled.mean[1], values[:, 1].astype(np.float64).mean(), rtol=1e-5)
    assert np.isnan(pooled.mean[2])
    counts, extremes = ChannelCounts(3), Extremes(3)
    tile = Tile(values, np.arange(50) % 4)
    counts.update(tile)
    extremes.update(tile)
    assert counts.nonfinite.tolist() == [2, 0, 50]
    assert counts.total.tolist() == [50, 50, 50]
    assert extremes.high[0] == finite.max()
    assert extremes.low[2] == np.inf


def test_counts_of_zero_and_saturated_values():
    values = np.array([[0.0, -4.0], [4.0, 3.9], [-0.0, np.nan], [np.inf, 9.0]])
    counts = ChannelCounts(2, low=-4.0, high=4.0)
    counts.update(Tile(values, np.arange(4)))
    assert counts.zero.tolist() == [2, 0]
    assert counts.saturated.tolist() == [1, 2]


def test_nothing_at_all_is_nothing():
    moments = BlockMoments(2, 2)
    moments.update(Tile(np.zeros((0, 2)), np.zeros(0, np.int64)))
    assert np.isnan(moments.pooled().mean).all()
    assert (moments.pooled_mean() == 0).all()
    extremes = Extremes(2)
    extremes.update(Tile(np.zeros((0, 2)), np.zeros(0, np.int64)))
    assert extremes.low[0] == np.inf


def test_rows_with_the_smallest_hash_are_kept():
    sample = RowSample(600, seed=5)  # 512 of 600 channels, 256 rows
    values = np.random.default_rng(0).normal(size=(2000, 600)).astype(np.float32)
    index = np.arange(2000)
    for start in range(0, 2000, 300):
        part = slice(start, start + 300)
        sample.update(values[part], Origin(index[part], index[part] * 0, index[part] % 7))
    key = hash_pair(index, index * 0, 5, 4)
    expected = np.argsort(key)[:256]
    assert sample.sample.tolist() == expected.tolist()
    assert len(sample.channels) == 512
    np.testing.assert_array_equal(sample.values, values[expected][:, sample.channels])
    np.testing.assert_array_equal(sample.block, expected % 7)


def test_hashes_are_uniform_and_differ_by_seed_and_stream():
    values = hash_index(np.arange(100_000), seed=1) / 2.0**64
    counts, _ = np.histogram(values, bins=100, range=(0, 1))
    assert abs(counts - 1000).max() < 5 * np.sqrt(1000)
    assert (hash_index([1, 2], 1) != hash_index([1, 2], 2)).all()
    assert (hash_index([1, 2], 1, stream=1) != hash_index([1, 2], 1, stream=2)).all()
    pairs = hash_pair(np.arange(300)[:, None], np.arange(300), seed=0)
    assert len(np.unique(pairs)) == 90_000
    assert hash_index([7], -3).shape == (1,)
