"""covscan beside numpy on whole activations, over drawn shapes, dtypes, batch cuts, offsets and scales.

Tolerances and their reasons:

- counts, shares and extremes are exact;
- moments are sums of deviations in the dtype of the rows, merged in float64: float32 rows carry 2e-5 of a variance
  (sums of up to 128 squares) and 1e-6 of a standard deviation of a mean, float64 rows 1e-9 and 1e-12;
- percentiles, kurtosis, directions and what compares distributions come from kept rows in float32, so the truth is
  taken from float32 rows as well and only the arithmetic is compared: 1e-5, for directions 1e-4, since a spectrum of
  products has half the digits of one of values.

Values reach from 1e-20 to 1e20, with offsets of up to a million times the scale. What float32 can no longer tell apart
under such an offset is rounded before either side sees it.
"""

import math

import numpy as np
import plain
import pytest
import torch
from drawn import CASES, DTYPES, Case, close, finite_pair, groups_of
from scipy import stats

from covscan.measures.compare import noise_floors
from covscan.measures.excess import excess
from covscan.measures.movement import shift_per_weight_movement, squared_norms
from covscan.measures.result import Result
from covscan.measures.views import Kept

EXACT = {"samples", "count", "zero_share", "saturated_share", "nonfinite_share", "min", "max", "dead_channels"}
ROWS = {"kurtosis", *(f"p{q}" for q in plain.QUANTILES)}
DIRECTIONS = {"effective_rank", "participation_ratio", "conditioning", "cross_sample_cosine"}


@pytest.fixture(scope="module", params=range(CASES))
def measured(request):
    """A case, its facts and its comparison, for every test that looks at them."""
    case = Case(request.param)
    return case, *case.compared()


def test_every_statistic_is_that_of_the_whole_activations(measured):
    case, facts, _ = measured
    whole, narrow = case.whole(case.second), case.whole(case.second, narrow=True)
    of_rows = plain.described(narrow, rectified=case.rectified, bounds=case.bounds)
    truth = plain.described(whole, rectified=case.rectified, bounds=case.bounds)
    of_variance, of_mean = case.fine
    spread, largest = truth.get("std", 0.0), max(abs(truth.get("min", 0.0)), abs(truth.get("max", 0.0)))
    fields = dict(facts.fields)
    for name in EXACT & truth.keys():
        assert fields.pop(name) == truth[name], (name, truth[name], case)
    if not truth["count"]:
        assert set(fields) == {"status"}
        return
    close(fields.pop("mean"), truth["mean"], relative=1e-12, absolute=of_mean * spread, what="mean")
    close(fields.pop("std"), truth["std"], relative=of_variance, absolute=1e-12 * largest, what="std")
    for name in ("channel_scale", "channel_mean_square", "mean_to_variance"):
        close(fields.pop(name), truth[name], relative=2 * of_variance, what=name)
    close(fields.pop("channel_heterogeneity"), truth["channel_heterogeneity"], relative=1e-3, absolute=1e-5,
          what="channel_heterogeneity")  # fmt: skip
    for name in ROWS:
        absolute = 1e-7 * largest if name != "kurtosis" else 0.0
        close(fields.pop(name), of_rows[name], relative=1e-5, absolute=absolute, what=name)
    close(fields.pop("massive_activation"), of_rows["massive_activation"], relative=1e-6, what="massive_activation")
    finite = np.isfinite(narrow.values).all(axis=1)
    directions = plain.directions(narrow.values[finite], narrow.sample[finite])
    for name, value in directions.items():
        close(fields.pop(name), value, relative=1e-4, absolute=1e-6, what=name)
    assert fields == {}
    for name, values in plain.per_channel(whole).items():
        kept = facts.channels[name]
        for found, value in zip(kept, [None if each is None else float(each) for each in values], strict=True):
            slack = of_mean * spread if name == "channel_means" else 1e-12 * largest
            close(found, value, relative=of_variance, absolute=slack, what=name)


def test_every_measure_is_that_of_the_whole_activations(measured):
    case, _, comparison = measured
    found = {name: result.value for name, result in comparison.measures.items()}
    relative = 1e-7 if case.dtype == "float64" else 2e-4
    one, other = case.whole(case.first), case.whole(case.second)
    truth = plain.moment_measures(one, other, groups_of(case))
    for name in ("standardized_mean_difference", "log_variance_ratio", "absolute_log_variance_ratio", "gaussian_w2"):
        # w2 is a root of a difference: near 0 it has half the digits.
        absolute = math.sqrt(relative) / 10 if name == "gaussian_w2" else relative
        close(found.pop(name), truth and truth[name], relative=relative, absolute=absolute, what=name)
    a, b = finite_pair(case, narrow=True)
    rows = plain.distribution_measures(a, b) if len(a) >= 2 and _groups_leave_rows(case, 1) else None
    for name in ("wasserstein_1", "kolmogorov_smirnov", "population_stability_index", "jensen_shannon"):
        close(found.pop(name), rows and rows[name], relative=1e-4, absolute=1e-6, what=name)
    enough = len(a) >= 4 and _groups_leave_rows(case, 4)
    geometry = plain.geometry_measures(a, b) if enough else {"linear_cka_distance": None, "effective_rank": None}
    for name, value in geometry.items():
        close(found.pop(name), value, relative=1e-4, absolute=1e-6, what=name)
    assert found == {}


def _groups_leave_rows(case, least):
    """Whether every replicate of the jackknife over 16 groups keeps so many rows."""
    one, other = case.whole(case.first), case.whole(case.second)
    finite = np.isfinite(one.values.astype(np.float32)).all(axis=1) & np.isfinite(other.values.astype(np.float32)).all(
        axis=1
    )
    present = [set(each.block[np.isfinite(each.values).any(axis=1)].tolist()) for each in (one, other)]
    blocks = sorted(present[0] & present[1])
    count = min(16, len(blocks))
    left = [np.sum(finite & ~np.isin(one.block, blocks[start::count])) for start in range(count)]
    return min([np.sum(finite), *left]) >= least


def replicates_of(case):
    """The moment measures of everything and without each group, on the channels and with the bias of everything."""
    one, other = case.whole(case.first), case.whole(case.second)
    groups = groups_of(case)
    every = set(one.block.tolist())
    return [plain.fixed_measures(one, other, groups, each) for each in (every, *(every - group for group in groups))]


@pytest.mark.parametrize("seed", range(0, CASES, 9))
def test_intervals_are_the_jackknifes_of_the_whole_activations(seed):
    case = Case(seed)
    _, comparison = case.compared()
    groups = groups_of(case)
    if len(groups) < 4 or comparison.measures["gaussian_w2"].value is None:
        assert comparison.measures["gaussian_w2"].low is None
        return
    truth = replicates_of(case)
    slack = 1e-6 if case.dtype == "float64" else 1e-3
    for name in ("standardized_mean_difference", "log_variance_ratio", "absolute_log_variance_ratio", "gaussian_w2"):
        values = np.array([each[name] for each in truth])
        if name == "gaussian_w2":
            if values.min() < 0.05:  # a root has no digits near 0, and its jackknife none there either
                continue
            slack *= 20
        found = comparison.measures[name]
        if not np.isfinite(values).all():
            assert found.low is None
            continue
        n = len(groups)
        error = math.sqrt((n - 1) / n * np.sum((values[1:] - values[1:].mean()) ** 2))
        half = stats.t.ppf(0.975, n - 1) * error
        low = values[0] - half if name == "log_variance_ratio" else max(values[0] - half, 0.0)
        # Student's quantile is an expansion that is 0.2 % off at most.
        room = 3e-3 * half + slack * max(1.0, abs(values[0]))
        assert abs(found.high - (values[0] + half)) <= room, (name, found.high, values[0] + half)
        assert abs(found.low - low) <= room, (name, found.low, low)


@pytest.mark.parametrize("seed", range(0, CASES, 11))
def test_noise_floors_are_those_of_the_same_halves(seed):
    case = Case(seed)
    whole, kept = case.whole(case.first), Kept(case.summary(case.first))
    floors = noise_floors(kept, case.seed)
    blocks = sorted(set(whole.block[np.isfinite(whole.values).any(axis=1)].tolist()))
    count = min(32, len(blocks))
    if count < 4:
        assert floors == {}
        return
    groups = [set(blocks[start::count]) for start in range(count)]
    generator = np.random.default_rng([case.seed, count])
    halves = []
    for _ in range(64):
        first = set().union(*(groups[place] for place in generator.permutation(count)[: count // 2]))
        halves.append(plain.halves_measures(whole, groups, first))
    if halves[0] is None:
        assert "gaussian_w2" not in floors
        return
    for name in halves[0]:
        values = np.array([each[name] for each in halves])
        truth = float(np.quantile(np.abs(values), 0.95)) if np.isfinite(values).all() else math.nan
        close(floors.get(name), truth, relative=1e-3, absolute=1e-3, what=name)


@pytest.mark.parametrize("seed", range(0, CASES, 4))
def test_what_a_layer_adds_is_that_of_the_whole_activations(seed):
    case = Case(seed)
    old, new = case.summary(case.first), case.summary(case.second)
    found = excess(new.moments, old.moments, new.moments.pooled(), {})
    truth = plain.moment_measures(
        case.whole(case.first), case.whole(case.second), groups_of(case), floor_of_second=True
    )
    relative = 1e-7 if case.dtype == "float64" else 2e-4
    pairs = {
        "excess_shift": "gaussian_w2",
        "excess_mean_difference": "standardized_mean_difference",
        "excess_log_variance_ratio": "log_variance_ratio",
    }
    for name, plainly in pairs.items():
        absolute = math.sqrt(relative) / 10 if name == "excess_shift" else relative
        close(found[name].value, truth and truth[plainly], relative=relative, absolute=absolute, what=name)


@pytest.mark.parametrize("dtype", list(DTYPES))
@pytest.mark.parametrize("scale", [1e-18, 1e-3, 1.0, 1e18])
def test_the_movement_of_weights_is_the_ratio_of_their_norms(dtype, scale):
    draw = np.random.default_rng(1)
    scale = float(np.clip(scale, 1e-2, 1e2)) if dtype == "float16" else scale
    old = {name: torch.from_numpy(draw.normal(size=shape) * scale).to(DTYPES[dtype]) for name, shape in
           {"a": (7, 5), "b": (3,), "c": (2, 2)}.items()}  # fmt: skip
    new = {name: (value.double() * 1.1 + 0.01 * scale).to(DTYPES[dtype]) for name, value in old.items()}
    moved, size = squared_norms(old, new, ["a", "b"])
    flat = [np.concatenate([weights[name].double().numpy().ravel() for name in ("a", "b")]) for weights in (old, new)]
    truth = np.linalg.norm(flat[1] - flat[0]) / np.linalg.norm(flat[0])
    assert math.sqrt(moved / size) == pytest.approx(truth, rel=1e-5)
    found = shift_per_weight_movement(Result(0.6, 0.1, 0.5, 0.7, significant=True), math.sqrt(moved / size))
    assert (found.value, found.low, found.high) == pytest.approx((0.6 / truth, 0.5 / truth, 0.7 / truth), rel=1e-5)


@pytest.mark.parametrize("seed", range(0, CASES, 11))
def test_the_cuts_of_batches_change_nothing_but_the_last_digits(seed):
    case = Case(seed)
    facts, comparison = case.compared()
    case.cuts = np.arange(1, case.samples)
    one_by_one, compared = case.compared()
    for name, value in facts.fields.items():
        if isinstance(value, float):
            slack = 1e-3 if name == "channel_heterogeneity" else case.fine[0]
            close(
                one_by_one.fields[name],
                value,
                relative=2 * slack,
                absolute=1e-6 * facts.fields.get("std", 0.0),
                what=name,
            )
    for name, result in comparison.measures.items():
        close(compared.measures[name].value, result.value, relative=1e-3, absolute=1e-3, what=name)
