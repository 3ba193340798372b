"""Every accumulator: merge of parts is one pass over all, in any order, and an empty one changes nothing."""

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covscan.registry import resolve
from covscan.stats import ACCUMULATORS, BlockMoments, RowSample, SiteSummary
from covscan.stats.counts import ChannelCounts
from covscan.stats.extremes import Extremes
from covscan.stats.origin import Origin
from covscan.stats.tile import Tile

BLOCKS, CHANNELS = 5, 3


def made(name):
    return {
        "moments": lambda: BlockMoments(BLOCKS, CHANNELS),
        "counts": lambda: ChannelCounts(CHANNELS, low=-1.0, high=1.0),
        "extremes": lambda: Extremes(CHANNELS),
        "rows": lambda: RowSample(CHANNELS, seed=3),
    }[name]()


def feed(name, accumulator, values, samples):
    block = samples % BLOCKS
    if name == "rows":
        accumulator.update(values, Origin(samples, np.zeros_like(samples), block))
    else:
        accumulator.update(Tile(values, block))


def same(left, right):
    # Rounding is relative to what the block was merged with, not to the block: hence atol by the largest entry.
    for key, value in left.state().items():
        known = np.abs(np.asarray(value, float)[np.isfinite(value)])
        atol = 1e-10 * max(1.0, float(known.max(initial=0.0)))
        np.testing.assert_allclose(value, right.state()[key], rtol=1e-10, atol=atol, err_msg=key)


@st.composite
def cut_data(draw):
    n = draw(st.integers(1, 60))
    generator = np.random.default_rng(draw(st.integers(0, 2**31)))
    offset, scale = draw(st.sampled_from([(0, 1), (1e6, 1e-3), (-3, 100)]))
    values = generator.normal(offset, scale, (n, CHANNELS))
    if draw(st.booleans()):
        values[generator.random(values.shape) < 0.1] = draw(st.sampled_from([np.nan, np.inf, -np.inf, 0.0]))
    cuts = sorted(draw(st.lists(st.integers(0, n), max_size=4)))
    order = draw(st.permutations(range(len(cuts) + 1)))
    return values, [0, *cuts, n], order


def test_the_laws_cover_every_accumulator():
    assert set(ACCUMULATORS) == {"moments", "counts", "extremes", "rows"}
    for name, target in ACCUMULATORS.items():
        assert isinstance(made(name), resolve(target))


@pytest.mark.parametrize("name", ACCUMULATORS)
@given(data=cut_data())
def test_any_cut_merged_in_any_order_is_one_pass(name, data):
    values, edges, order = data
    samples = np.arange(len(values))
    whole = made(name)
    feed(name, whole, values, samples)
    parts = []
    for start, end in itertools.pairwise(edges):
        part = made(name)
        feed(name, part, values[start:end], samples[start:end])
        parts.append(part)
    merged = made(name)
    for number in order:
        merged.merge(parts[number])
    same(whole, merged)
    streamed = made(name)
    for start, end in itertools.pairwise(edges):
        feed(name, streamed, values[start:end], samples[start:end])
    same(whole, streamed)


@pytest.mark.parametrize("name", ACCUMULATORS)
def test_empty_is_the_identity_and_merging_two_empties_is_empty(name):
    values = np.random.default_rng(0).normal(size=(7, CHANNELS))
    one, empty, other = made(name), made(name), made(name)
    feed(name, one, values, np.arange(7))
    feed(name, other, values, np.arange(7))
    one.merge(empty)
    same(one, other)
    empty.merge(other)
    same(empty, other)
    nothing = made(name)
    nothing.merge(made(name))
    same(nothing, made(name))


@pytest.mark.parametrize("name", ACCUMULATORS)
def test_state_rebuilds_and_pickles(name):
    one = made(name)
    feed(name, one, np.random.default_rng(0).normal(size=(9, CHANNELS)), np.arange(9))
    rebuilt = resolve(ACCUMULATORS[name]).from_state(one.state())
    for copy in (rebuilt, pickle.loads(pickle.dumps(one))):
        same(one, copy)
        extra = np.random.default_rng(1).normal(size=(4, CHANNELS))
        feed(name, copy, extra, np.arange(9, 13))
    both = made(name)
    feed(name, both, np.random.default_rng(0).normal(size=(9, CHANNELS)), np.arange(9))
    feed(name, both, extra, np.arange(9, 13))
    same(both, rebuilt)


def test_summary_state_rebuilds():
    values = np.random.default_rng(0).normal(size=(12, CHANNELS))
    index = np.arange(12)
    one = SiteSummary(CHANNELS, BLOCKS, seed=1, saturation=(-1.0, 1.0))
    one.update(values, Origin(index, index * 0, index % BLOCKS))
    rebuilt = SiteSummary.from_state(one.state())
    assert rebuilt.samples == 12
    assert rebuilt.channels == CHANNELS
    assert rebuilt.blocks == BLOCKS
    for part in ("moments", "counts", "extremes", "rows"):
        same(getattr(one, part), getattr(rebuilt, part))
    half, rest = (SiteSummary(CHANNELS, BLOCKS, 1, (-1.0, 1.0)) for _ in range(2))
    half.update(values[:5], Origin(index[:5], index[:5] * 0, index[:5] % BLOCKS))
    rest.update(values[5:], Origin(index[5:], index[5:] * 0, index[5:] % BLOCKS))
    half.merge(rest)
    assert half.samples == 12
    same(half.moments, BlockMoments.from_state(one.moments.state()))
