"""Rows that stand in runs of one block are summed run by run, which must give what a sum over the block gives."""

import numpy as np
import pytest

from covscan.stats import BlockMoments, SiteSummary
from covscan.stats.extremes import Extremes
from covscan.stats.hashing import hash_pair
from covscan.stats.origin import Grouping, Origin
from covscan.stats.rows import RowSample
from covscan.stats.tile import ALL_FINITE, Tile, in_rows, offset_of

BLOCKS = 5
RUNS = {
    "equal": np.repeat([3, 0, 4, 1], 32),
    "two samples of one block": np.repeat([2, 2, 0, 2], 16),
    "long": np.repeat([1, 0], 600),
    "longer than a slab": np.repeat([1, 0, 1], 128 * 9),
    "ragged": np.repeat([1, 0, 4, 2], [32, 17, 32, 5]),
    "short": np.arange(40) % BLOCKS,
    "one": np.array([2]),
}


def moments_of(values, block):
    moments = BlockMoments(BLOCKS, values.shape[1])
    moments.update(Tile(values, block))
    return moments


@pytest.mark.parametrize("block", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize(
    ("dtype", "offset", "scale", "rtol"),
    [(np.float64, 1e4, 1e-3, 1e-9), (np.float32, 1e4, 1e-2, 1e-5), (np.float32, 1e30, 1e28, 1e-5)],
)
def test_moments_are_those_of_each_blocks_rows(block, dtype, offset, scale, rtol):
    values = np.random.default_rng(0).normal(offset, scale, (len(block), 33)).astype(dtype)
    found = moments_of(values, block)
    for number in range(BLOCKS):
        rows = values[block == number].astype(np.float64)
        assert (found.count[number] == len(rows)).all()
        if len(rows):
            np.testing.assert_allclose(found.mean[number], rows.mean(axis=0), rtol=1e-6)
            exact = np.square(rows - rows.mean(axis=0)).sum(axis=0)
            np.testing.assert_allclose(found.m2[number], exact, rtol=rtol, atol=rtol * scale**2)


@pytest.mark.parametrize("block", RUNS.values(), ids=RUNS)
def test_rows_with_values_left_out_are_summed_in_runs_too(block):
    values = np.random.default_rng(0).normal(3, 1, (len(block), 4))
    values[::7, 1], values[:, 3] = np.nan, np.inf
    found = moments_of(values, block)
    for number in np.unique(block):
        rows = values[block == number]
        np.testing.assert_array_equal(found.count[number], np.isfinite(rows).sum(axis=0))
        kept = rows[np.isfinite(rows[:, 1]), 1]
        if len(kept):
            np.testing.assert_allclose(found.mean[number, 1], kept.mean(), rtol=1e-12)
            np.testing.assert_allclose(found.m2[number, 1], np.square(kept - kept.mean()).sum(), atol=1e-10)


def test_runs_are_found_where_samples_have_as_many_rows():
    equal = Grouping(np.repeat([4, 1, 1], 32))
    assert equal.present.tolist() == [1, 4]
    assert equal.count.tolist() == [64, 32]
    np.testing.assert_array_equal(equal.total(np.ones((96, 2), np.float32)), [[64, 64], [32, 32]])


@pytest.mark.parametrize("shape", [(1, 3), (7, 3), (32, 3), (48, 64), (64, 2000)])
def test_extremes_of_rows_side_by_side(shape):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    extremes = Extremes(shape[1])
    tile = Tile(values, np.zeros(len(values), np.int64))
    assert tile.finite is ALL_FINITE
    extremes.update(tile)
    np.testing.assert_array_equal(extremes.low, values.min(axis=0))
    np.testing.assert_array_equal(extremes.high, values.max(axis=0))
    values[0, 1], values[-1, 2] = np.nan, np.inf
    tile = Tile(values, np.zeros(len(values), np.int64))
    np.testing.assert_array_equal(tile.finite, np.isfinite(values))
    extremes.update(tile)
    assert np.isfinite(extremes.high).all()


def test_an_origin_works_out_hashes_per_seed():
    origin = Origin(np.array([5, 5, 7]), np.array([0, 3, 1]), np.array([0, 0, 1]))
    assert origin.samples == 2
    assert (origin.keys(1) != origin.keys(2)).all()
    assert origin.keys(1) is origin.keys(1)


def test_the_first_rows_are_a_copy():
    values = np.ones((3, 2), np.float32)
    rows = RowSample(2, seed=0)
    rows.update(values, Origin(np.arange(3), np.zeros(3, np.int64), np.arange(3)))
    values[:] = 9
    assert (rows.values == 1).all()


PLANES = {"one run": 49, "runs": 784, "longer than a slab": 131_328, "no run": 67}


@pytest.mark.parametrize("positions", PLANES.values(), ids=PLANES)
@pytest.mark.parametrize(("offset", "scale"), [(0.0, 1.0), (50.0, 1e-2), (1e30, 1e28)])
@pytest.mark.parametrize("rectified", [False, True])
def test_planes_of_channels_come_to_what_their_rows_come_to(positions, offset, scale, rectified):
    sizes = (5, 3, positions)
    values = np.random.default_rng(0).normal(offset, scale, sizes).astype(np.float32)
    values[:, 2] = np.float32(0.1)  # constant
    if rectified:
        values = np.maximum(values, np.float32(offset))
        values[:, 1, ::2] = 0.0
    sample = np.repeat(np.arange(5), positions)
    origin = Origin(sample, np.tile(np.arange(positions), 5), np.array([3, 0, 3, 1, 2])[sample])
    planes, rows = (SiteSummary(3, BLOCKS, 0, (-1.0, 1.0)) for _ in range(2))
    for _ in range(2):  # the second time around what the first one found
        planes.update(values, origin)
        rows.update(in_rows(values), origin)
    for part in ("counts", "extremes", "rows"):
        mine, theirs = getattr(planes, part).state(), getattr(rows, part).state()
        assert all(np.array_equal(mine[name], theirs[name]) for name in mine)
    found, expected = planes.moments.pooled(), in_rows(values).astype(np.float64)
    np.testing.assert_allclose(found.mean, expected.mean(axis=0), rtol=1e-6, atol=1e-6 * scale)
    np.testing.assert_allclose(found.variance, expected.var(axis=0), rtol=1e-5)
    assert found.variance[2] == 0
    np.testing.assert_allclose(planes.moments.m2, rows.moments.m2, rtol=1e-4, atol=1e-5 * positions * scale**2)


def test_planes_with_values_that_are_not_finite():
    values = np.random.default_rng(0).normal(size=(4, 3, 64)).astype(np.float32)
    values[0, 0, 5], values[1, 1, :], values[:, 2] = np.nan, np.inf, np.nan
    sample = np.repeat(np.arange(4), 64)
    origin = Origin(sample, np.tile(np.arange(64), 4), sample % BLOCKS)
    planes, rows = (SiteSummary(3, BLOCKS, 0, (-1.0, 1.0)) for _ in range(2))
    planes.update(values, origin)
    rows.update(in_rows(values), origin)
    for part in ("moments", "counts", "extremes", "rows"):
        mine, theirs = getattr(planes, part).state(), getattr(rows, part).state()
        assert all(np.array_equal(mine[name], theirs[name], equal_nan=mine[name].dtype.kind == "f") for name in mine)
    assert planes.counts.nonfinite.tolist() == [1, 64, 256]


def test_what_is_added_up_is_looked_at_first():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(500, 16)).astype(np.float32)
    assert offset_of(values) is None
    values[:, :3] += 10
    np.testing.assert_allclose(offset_of(values)[:3], 10, atol=0.5)
    values[:, 1:3] -= 10
    assert offset_of(values) is None  # one of sixteen is worked out again
    assert offset_of(values[:0]) is None
    constant = np.full((7, 2, 40), 0.1, np.float32)
    assert offset_of(constant).tolist() == constant[0, :, 0].tolist()


def test_rows_enter_the_places_of_those_that_leave():
    values = np.arange(2 * 600, dtype=np.float32).reshape(600, 2)[:, :1] * np.ones(512, np.float32)
    index = np.arange(600)
    one, other = (RowSample(512, seed=0) for _ in range(2))  # keep 256 rows each
    for start in range(0, 600, 100):
        part = slice(start, start + 100)
        origin = Origin(index[part], index[part] * 0, index[part] % BLOCKS)
        one.update(values[part], origin)
        other.update(-values[part], origin)
        assert one.key is other.key  # worked out once
        assert start or np.array_equal(one.values, -other.values)  # asked for in between
    key = hash_pair(index, index * 0, 0, 4)
    kept = np.argsort(key)[:256]
    np.testing.assert_array_equal(one.values, values[kept])
    np.testing.assert_array_equal(other.values, -values[kept])
    np.testing.assert_array_equal(one.sample, kept)
