"""Intervals and noise floors of what compares rows, and how shifts travel, beside numpy on whole activations.

The same draws as in ``test_differential_statistics.py``. Groups of blocks and random halves follow from the seed by the
documented rule, so that they are drawn here once more; the arithmetic is that of ``plain.py``. Rows are kept in float32
and compared in float32: 1e-4 of a value, and 2e-3 of an interval or a floor, which are differences of such values.
"""

import math

import numpy as np
import plain
import pytest
from drawn import CASES, Case, close, finite_pair
from scipy import stats

from covscan.measures.amplification import shift_amplification
from covscan.measures.compare import compare, noise_floors
from covscan.measures.views import Kept
from covscan.stats import SiteSummary
from covscan.stats.origin import Origin

DISTRIBUTION = ("wasserstein_1", "kolmogorov_smirnov", "population_stability_index", "jensen_shannon")
GEOMETRY = ("linear_cka_distance", "effective_rank")
SIGNED = {"effective_rank"}


def row_groups(*sides):
    """Blocks with data on all sides, dealt into at most 16 groups in turn."""
    present = [set(each.block[np.isfinite(each.values).any(axis=1)].tolist()) for each in sides]
    blocks = sorted(set.intersection(*present))
    count = min(16, len(blocks))
    return [set(blocks[start::count]) for start in range(count)]


def finite_rows(*sides):
    """(rows,) which rows are finite in every channel of every side, as they are kept."""
    with np.errstate(over="ignore"):
        return np.logical_and.reduce([np.isfinite(each.values.astype(np.float32)).all(axis=1) for each in sides])


def halves_of(case, groups, draws=16):
    """Sets of blocks: a random half of the groups at each draw."""
    generator = np.random.default_rng([case.seed, len(groups)])
    for _ in range(draws):
        chosen = generator.permutation(len(groups))[: len(groups) // 2]
        yield set().union(*(groups[place] for place in chosen))


def paired_rows(case):
    """Rows that are finite on both sides, as they are kept, the block of each, and the groups of blocks."""
    one, other = case.whole(case.first), case.whole(case.second)
    return *finite_pair(case, narrow=True), one.block[finite_rows(one, other)], row_groups(one, other)


@pytest.mark.parametrize("seed", range(0, CASES, 5))
def test_intervals_of_what_compares_rows_are_its_jackknifes(seed):
    case = Case(seed)
    _, comparison = case.compared()
    a, b, block, groups = paired_rows(case)
    keeps = [np.ones(len(block), bool), *(~np.isin(block, list(group)) for group in groups)]
    least = min(keep.sum() for keep in keeps)
    measured = {
        **dict.fromkeys(DISTRIBUTION, lambda keep: plain.distribution_measures(a[keep], b[keep], (a, b))),
        **dict.fromkeys(GEOMETRY, lambda keep: plain.geometry_measures(a[keep], b[keep])),
    }
    for name, of in measured.items():
        found = comparison.measures[name]
        if least < (4 if name in GEOMETRY else 2) or of(keeps[0]) is None:
            continue  # no value: see the other tests
        values = np.array([of(keep)[name] for keep in keeps])
        if len(groups) < 4 or not np.isfinite(values).all():
            assert found.low is None, name
            continue
        n = len(groups)
        half = stats.t.ppf(0.975, n - 1) * math.sqrt((n - 1) / n * np.sum((values[1:] - values[1:].mean()) ** 2))
        room = 5e-3 * half + 1e-4 * max(1.0, abs(values[0]))
        low = values[0] - half if name in SIGNED else max(values[0] - half, 0.0)
        assert abs(found.high - (values[0] + half)) <= room, (name, found.high, values[0] + half)
        assert abs(found.low - low) <= room, (name, found.low, low)


@pytest.mark.parametrize("seed", range(0, CASES, 5))
def test_noise_floors_of_what_compares_rows_are_those_of_the_same_halves(seed):
    case = Case(seed)
    side = case.whole(case.first)
    floors = noise_floors(Kept(case.summary(case.first)), case.seed)
    groups = row_groups(side)
    if len(groups) < 4:
        assert floors == {}
        return
    finite = finite_rows(side)
    rows, block = case.whole(case.first, narrow=True).values[finite], side.block[finite]
    pairs = [(np.isin(block, list(first)), ~np.isin(block, list(first))) for first in halves_of(case, groups)]
    truth = dict.fromkeys((*DISTRIBUTION, "effective_rank"), math.nan)
    least = min(min(one.sum(), other.sum()) for one, other in pairs)
    if len(rows) >= 2 and least >= 1 and plain.distribution_measures(rows, rows) is not None:
        drawn = [plain.distribution_measures(rows[one], rows[other], (rows, rows)) for one, other in pairs]
        truth |= {name: float(np.quantile([abs(each[name]) for each in drawn], 0.95)) for name in DISTRIBUTION}
    if least >= 4:
        ratios = [plain.participation_ratio(rows[one]) / plain.participation_ratio(rows[other]) for one, other in pairs]
        truth["effective_rank"] = float(np.quantile(np.abs(np.log(ratios)), 0.95))
    for name, value in truth.items():
        close(floors.get(name), value, relative=2e-3, absolute=1e-5, what=name)


@pytest.mark.parametrize("seed", range(0, CASES, 5))
def test_the_floor_of_what_compares_sample_by_sample_is_its_spread_over_halves(seed):
    case = Case(seed)
    _, comparison = case.compared()
    a, b, block, groups = paired_rows(case)
    keeps = [np.isin(block, list(first)) for first in halves_of(case, groups)] if len(groups) >= 4 else []
    found = comparison.measures["linear_cka_distance"]
    if not keeps or min(keep.sum() for keep in keeps) < 4 or found.value is None:
        return
    values = np.array([plain.geometry_measures(a[keep], b[keep])["linear_cka_distance"] for keep in keeps])
    values = values[np.isfinite(values)]
    truth = float(np.quantile(np.abs(values - np.median(values)), 0.95)) if len(values) else math.nan
    close(found.noise, truth, relative=2e-3, absolute=1e-4, what=seed)


def _side(draw, samples, channels, blocks, shift, spread):
    values = (draw.normal(size=(samples, channels)) * spread + shift).astype(np.float32)
    index = np.arange(samples)
    kept = SiteSummary(channels, blocks, 0)
    for part in np.array_split(index, 3):
        kept.update(values[part], Origin(part, np.zeros(len(part), np.int64), part % blocks))
    return kept, plain.Whole(values.astype(np.float64), index, index % blocks)


def _dealt(blocks):
    count = min(32, blocks)
    return [set(range(start, blocks, count)) for start in range(count)]


@pytest.mark.parametrize("seed", range(40))
def test_how_a_shift_travels_is_the_ratio_of_its_distances(seed):
    draw = np.random.default_rng([seed, 11])
    blocks = [int(draw.integers(5, 40)) for _ in range(2)]
    samples = [int(each * draw.integers(2, 6)) for each in blocks]
    distances, truth = [], []
    for least in (1.0, 0.0):  # where the data enter, which shift for certain, and a site further on
        channels = int(draw.integers(1, 9))
        spread = np.exp(draw.normal(size=channels))
        moved = [0.0, (least + np.abs(draw.normal(size=channels)) * float(draw.choice([0.3, 1, 4]))) * spread]
        sides = [
            _side(draw, count, channels, of, shift, spread * factor)
            for count, of, shift, factor in zip(samples, blocks, moved, (1.0, draw.uniform(0.5, 2)), strict=True)
        ]
        (kept_a, whole_a), (kept_b, whole_b) = sides
        distances.append(compare(Kept(kept_a), Kept(kept_b), {}, {}, 0, paired=False).distance)
        truth.append(plain.independent_distances(whole_a, whole_b, _dealt(blocks[0]), _dealt(blocks[1])))
    (entry, site), (true_entry, true_site) = distances, truth
    np.testing.assert_allclose(entry.replicates, true_entry, rtol=1e-3, atol=1e-3)
    found, ratios = shift_amplification(site, entry), true_site / true_entry
    close(found.value, float(ratios[0]), relative=2e-3, absolute=1e-3, what="value")
    half = plain.welch_half_width(ratios, min(32, blocks[0]), min(32, blocks[1]))
    close(found.high, float(ratios[0] + half), relative=5e-3, absolute=5e-3, what="high")
    close(found.low, float(max(ratios[0] - half, 0.0)), relative=5e-3, absolute=5e-3, what="low")
