"""Measures against scipy, numpy and shifts whose size is known."""

import sys

import numpy as np
import pytest
import torch
from scipy import stats as scipy_stats

from covscan.measures import distribution as dist
from covscan.measures import geometry as geo
from covscan.measures.compare import compare, noise_floors
from covscan.measures.describe import _median_size, describe, per_channel
from covscan.measures.movement import nonfinite_weights, shift_per_weight_movement, squared_norms
from covscan.measures.replicates import groups_of, jackknife_error, student_quantile
from covscan.measures.result import Result, judge
from covscan.measures.views import Kept
from covscan.stats import SiteSummary
from covscan.stats.origin import Origin


def summary(values, seed=0, blocks=32, positions=1):
    made = SiteSummary(values.shape[1], blocks, seed)
    sample = np.arange(len(values)) // positions
    made.update(values, Origin(sample, np.arange(len(values)) % positions, sample % blocks))
    return made


def compared(a, b):
    one, other = summary(a), summary(b)
    return compare(Kept(one), Kept(other), noise_floors(Kept(one), 0), noise_floors(Kept(other), 0), 0)


def drawn(values, take):
    """Each row a block of its own."""
    return dist.Drawn(values, np.arange(len(values)), take)


@pytest.mark.parametrize("ties", [False, True])
def test_wasserstein_and_ks_agree_with_scipy_for_unequal_samples(ties):
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(80, 5)), generator.normal(0.4, 1.7, size=(50, 5))
    if ties:
        a, b = a.round(1), np.maximum(b, 0).round(1)
    pair = dist.pair_samples(drawn(a, np.ones((1, 80))), drawn(b, np.ones((1, 50))))
    for channel in range(5):
        x, y = a[:, channel], b[:, channel]
        scale = np.sqrt((x.var() + y.var()) / 2)
        assert pair.area[0, channel] == pytest.approx(scipy_stats.wasserstein_distance(x, y) / scale, rel=1e-6)
        assert pair.largest[0, channel] == pytest.approx(scipy_stats.ks_2samp(x, y).statistic, rel=1e-9)


def test_sums_are_the_same_bits_with_torch_and_without(monkeypatch):
    generator = np.random.default_rng(5)
    steps = generator.integers(-3, 4, (17, 300)).astype(np.float32)
    order = np.argsort(generator.normal(size=(9, 300)), axis=1)
    assert sys.modules["torch"] is torch
    torch_sums = dist._running_sums(steps, order)
    monkeypatch.delitem(sys.modules, "torch")
    np.testing.assert_array_equal(dist._running_sums(steps, order), torch_sums)
    np.testing.assert_array_equal(torch_sums[3, 4], np.cumsum(steps[3][order[4]]))


def test_a_replicate_sees_only_the_rows_it_takes():
    generator = np.random.default_rng(1)
    a, b = generator.normal(size=(60, 2)), generator.normal(1, 2, size=(60, 2))
    take = (generator.random((3, 60)) < 0.6).astype(np.float64)
    pair = dist.pair_samples(drawn(a, take), drawn(b, take))
    for row, taken in enumerate(take.astype(bool)):
        statistic = scipy_stats.ks_2samp(a[taken, 0], b[taken, 0]).statistic
        assert pair.largest[row, 0] == pytest.approx(statistic)
        inner = np.quantile(a[:, 0], np.arange(1, 10) / 10)
        counts = np.bincount(np.searchsorted(inner, a[taken, 0]), minlength=10)
        assert pair.counts_a[row, 0].tolist() == counts.tolist()


def test_psi_and_js_by_hand():
    pair = dist.DistributionPair(
        np.zeros((1, 1)), np.zeros((1, 1)), np.array([[[30.0, 10.0]]]), np.array([[[10.0, 30.0]]])
    )
    p, q = np.array([30.5, 10.5]) / 41, np.array([10.5, 30.5]) / 41
    assert dist.population_stability_index(pair)[0] == pytest.approx(((p - q) * np.log(p / q)).sum())
    m = (p + q) / 2
    expected = 0.5 * scipy_stats.entropy(p, m) + 0.5 * scipy_stats.entropy(q, m)
    assert dist.jensen_shannon(pair)[0] == pytest.approx(expected)


def test_unbiased_hsic_of_the_definition():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(12, 3)), generator.normal(size=(12, 4))
    k, m = x @ x.T, y @ y.T
    zero_k, zero_m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    one, n = np.ones(12), 12
    expected = (
        np.trace(zero_k @ zero_m)
        + one @ zero_k @ one * (one @ zero_m @ one) / ((n - 1) * (n - 2))
        - 2 / (n - 2) * one @ zero_k @ zero_m @ one
    ) / (n * (n - 3))
    assert geo.unbiased_hsic(geo.Gram(k), geo.Gram(m), np.ones((1, 12)))[0] == pytest.approx(expected)
    taken = np.r_[np.ones(9), np.zeros(3)][None]
    part = geo.unbiased_hsic(geo.Gram(k[:9, :9]), geo.Gram(m[:9, :9]), np.ones((1, 9)))[0]
    assert geo.unbiased_hsic(geo.Gram(k), geo.Gram(m), taken)[0] == pytest.approx(part)


def test_hsic_of_a_linear_kernel_estimates_the_squared_covariance():
    generator = np.random.default_rng(0)
    covariance = np.diag([4.0, 1.0, 0.25])
    draws = [
        geo.unbiased_hsic(k, k, np.ones((1, 40)))[0]
        for k in (geo.gram(generator.normal(size=(40, 3)) * [2, 1, 0.5]) for _ in range(800))
    ]
    assert np.mean(draws) == pytest.approx((covariance**2).sum(), rel=0.05)


def test_participation_ratio_does_not_sink_with_few_rows():
    values = np.random.default_rng(0).normal(size=(64, 400))
    ratio = geo.participation_ratio(geo.gram(values), np.ones((1, 64)))[0]
    assert ratio == pytest.approx(400, rel=0.15)  # the plug-in value cannot pass 63


def test_cka_of_values_whose_squares_of_squares_are_too_small_for_a_float():
    values = 1e-41 * np.random.default_rng(0).normal(size=(64, 5))
    found = compared(values, values[:, ::-1] * 3).measures["linear_cka_distance"]
    assert found.value == pytest.approx(0, abs=1e-6)


def test_cka_is_blind_to_rotation_scale_and_shift():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(300, 10)) * np.arange(1, 11)
    rotation, _ = np.linalg.qr(generator.normal(size=(10, 10)))
    assert compared(values, 3 * values @ rotation + 7).measures["linear_cka_distance"].value == pytest.approx(
        0, abs=1e-5
    )


@pytest.mark.parametrize("size", [0.3, 1.0])
def test_a_planted_bias_is_measured_at_its_size(size):
    values = np.random.default_rng(0).normal(3, 2, size=(512, 20))
    measures = compared(values, values + size * values.std(axis=0)).measures
    for name in ("standardized_mean_difference", "gaussian_w2", "wasserstein_1"):
        assert measures[name].value == pytest.approx(size, rel=0.02), name
        assert measures[name].significant
        assert measures[name].low <= measures[name].value <= measures[name].high
    assert abs(measures["log_variance_ratio"].value) < 1e-6
    assert not measures["linear_cka_distance"].significant


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_planted_scale_is_measured_at_its_size(factor):
    values = np.random.default_rng(0).normal(size=(512, 20))
    measures = compared(values, values * factor).measures
    assert measures["log_variance_ratio"].value == pytest.approx(2 * np.log(factor), rel=1e-5)
    assert measures["absolute_log_variance_ratio"].value == pytest.approx(2 * abs(np.log(factor)), rel=1e-5)
    assert measures["log_variance_ratio"].significant


def test_channels_are_not_to_be_permuted_into_a_shift():
    values = np.random.default_rng(0).normal(size=(256, 12)) * np.arange(1, 13)
    moved = values + 0.4
    order = np.random.default_rng(1).permutation(12)
    plain, permuted = compared(values, moved).measures, compared(values[:, order], moved[:, order]).measures
    for name, result in plain.items():
        assert permuted[name].value == pytest.approx(result.value, rel=1e-9, abs=1e-12), name


def test_lost_rank_shows_in_the_effective_rank():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(400, 16))
    collapsed = values[:, :4] @ generator.normal(size=(4, 16))
    result = compared(values, collapsed).measures["effective_rank"]
    assert result.value < -1.0
    assert result.significant


def test_a_small_shift_below_the_noise_is_not_significant():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(64, 4))
    assert not any(r.significant for r in compared(values, values + 0.02).measures.values())


def test_channels_shifted_counts_those_that_moved():
    values = np.random.default_rng(0).normal(size=(512, 20))
    moved = values + 0.01 * np.random.default_rng(1).normal(size=values.shape)
    moved[:, :5] += 0.5
    assert compared(values, moved).channels_shifted == 0.25


def test_dead_channels_are_not_averaged_in():
    values = np.random.default_rng(0).normal(size=(300, 4))
    values[:, 3] = 0.0
    assert compared(values, values * [2, 2, 2, 1]).measures["log_variance_ratio"].value == pytest.approx(
        2 * np.log(2), rel=1e-5
    )


def test_different_widths_cannot_be_compared():
    a = np.random.default_rng(0).normal(size=(64, 4))
    result = compared(a, a[:, :3])
    assert all(r.value is None and "3 on the other" in r.status for r in result.measures.values())


def test_one_sample_gives_values_without_intervals():
    a = np.random.default_rng(0).normal(size=(1, 4))
    measures = compared(a, a + 1).measures
    assert measures["standardized_mean_difference"].value is None
    few = np.random.default_rng(0).normal(size=(3, 4))
    result = compared(few, few + 1).measures["standardized_mean_difference"]
    assert result.value is not None
    assert result.low is None
    assert not result.significant
    assert "too few" in result.status


def test_jackknife_error_of_a_mean_is_the_standard_error():
    values = np.random.default_rng(0).normal(size=50)
    without = np.array([np.delete(values, i).mean() for i in range(50)])
    assert jackknife_error(without) == pytest.approx(values.std(ddof=1) / np.sqrt(50))


def test_interval_covers_the_true_shift():
    generator = np.random.default_rng(5)
    covered = 0
    for _ in range(60):
        a = generator.normal(size=(256, 1))
        b = a * 1.2 + 0.5 + 0.3 * generator.normal(size=(256, 1))
        truth = 0.5 / np.sqrt((1 + 1.44 + 0.09) / 2)
        result = compared(a, b).measures["standardized_mean_difference"]
        covered += result.low <= truth <= result.high
    assert 51 <= covered <= 60


def test_positions_of_one_sample_are_not_independent_samples():
    generator = np.random.default_rng(0)
    per_sample = np.repeat(generator.normal(size=(64, 4)), 32, axis=0)  # 32 equal positions each
    floor = noise_floors(Kept(summary(per_sample, positions=32)), 0)["standardized_mean_difference"]
    assert floor > 0.15  # 2048 independent rows would give about 0.05


@pytest.mark.parametrize("freedom", [1, 2, 3, 5, 15, 31])
def test_student_quantiles(freedom):
    assert student_quantile(0.975, freedom) == pytest.approx(scipy_stats.t.ppf(0.975, freedom), rel=0.02)


def test_groups_take_every_block_once_and_halves_are_complements():
    present = np.array([True, False] + [True] * 8)
    groups = groups_of(present, 4)
    assert groups.count == 4
    assert (groups.member.sum(axis=0) == present).all()
    first, second = groups.halves(6, seed=1)
    assert ((first + second) == present).all()
    assert (first @ np.ones(10) > 0).all()
    assert groups_of(np.zeros(3, bool), 4).count == 0


def test_judging_a_result():
    assert judge(0.5, 0.1, 0.05, 0.2, signed=False).significant
    assert not judge(0.5, 0.46, 0.05, 0.2, signed=False).significant
    assert not judge(0.15, 0.01, 0.05, 0.2, signed=False).significant
    assert judge(-0.5, 0.1, 0.05, 0.2, signed=True).significant
    assert judge(0.1, 0.5, 0.3, 0.2, signed=False).low == 0.0
    assert judge(0.1, 0.5, 0.3, 0.2, signed=True).low == pytest.approx(-0.2)
    assert judge(float("nan"), 0.1, 0.1, 0.2, signed=False).value is None
    assert judge(1.0, 0.1, None, 0.2, signed=False).status
    assert judge(1.0, None, 0.1, 0.2, signed=False).significant is False


def test_describe_agrees_with_numpy():
    values = np.random.default_rng(0).normal([1, -2, 0.5], [1, 2, 0.1], size=(500, 3))
    fields = describe(Kept(summary(values)), rectified=False, saturating=False)
    assert fields["mean"] == pytest.approx(values.mean())
    assert fields["std"] == pytest.approx(values.std())
    assert (fields["min"], fields["max"]) == (values.min(), values.max())
    for q in (1, 5, 15, 25, 50, 75, 85, 95, 99):
        assert fields[f"p{q}"] == pytest.approx(np.percentile(values, q), abs=1e-5)
    assert fields["kurtosis"] == pytest.approx(scipy_stats.kurtosis(values.ravel(), fisher=False), rel=1e-4)
    assert fields["channel_scale"] == pytest.approx(values.var(axis=0).mean())
    assert fields["channel_mean_square"] == pytest.approx(np.square(values.mean(axis=0)).mean())
    assert fields["channel_heterogeneity"] == pytest.approx(np.log(values.var(axis=0)).std())
    assert fields["saturated_share"] is None
    assert fields["count"] == 1500
    lists = per_channel(summary(values))
    np.testing.assert_allclose(lists["channel_means"], values.mean(axis=0))
    np.testing.assert_allclose(lists["channel_stds"], values.std(axis=0))


def test_describe_directions_agree_with_numpy():
    values = np.random.default_rng(0).normal(2.0, [3, 1, 0.5, 0.1], size=(200, 4))
    fields = describe(Kept(summary(values)), rectified=False, saturating=False)
    rows = np.asarray(summary(values).rows.values, np.float64)
    spectrum = np.linalg.eigvalsh(np.cov(rows.T, bias=True))
    share = spectrum / spectrum.sum()
    assert fields["effective_rank"] == pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=1e-3)
    second = np.linalg.eigvalsh(rows.T @ rows / len(rows))
    assert fields["conditioning"] == pytest.approx(second[-1] / second.mean(), rel=1e-3)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    gram = unit @ unit.T
    assert fields["cross_sample_cosine"] == pytest.approx(
        (gram.sum() - len(gram)) / (len(gram) ** 2 - len(gram)), rel=1e-4
    )


def test_describe_counts_dead_channels_and_survives_nothing_finite():
    values = np.abs(np.random.default_rng(0).normal(size=(400, 4)))
    values[:, 0] = 0.0
    values[3:, 1] = 0.0
    assert describe(Kept(summary(values)), rectified=True, saturating=False)["dead_channels"] == 0.5
    assert describe(Kept(summary(values)), rectified=False, saturating=False)["dead_channels"] == 0.25
    nothing = describe(Kept(summary(np.full((40, 2), np.nan))), rectified=False, saturating=True)
    assert nothing["nonfinite_share"] == 1.0
    assert "mean" not in nothing
    assert nothing["status"]
    constant = describe(Kept(summary(np.full((40, 2), 3.0))), rectified=False, saturating=False)
    assert constant["std"] == 0.0
    assert constant["kurtosis"] is None


@pytest.mark.parametrize("shape", [(5, 3), (60, 200), (256, 64), (256, 300)])
@pytest.mark.parametrize("offset", [0.0, 1.0, 1e3])
@pytest.mark.parametrize("decay", [0.0, 0.5, 3.0])
def test_the_largest_singular_value_is_that_of_all_of_them(shape, offset, decay):
    generator = np.random.default_rng(0)
    values = generator.normal(size=shape) * np.arange(1, shape[1] + 1.0) ** -decay + offset
    for each in (
        values,
        np.outer(np.ones(shape[0]), values[0]),
        np.where(np.arange(shape[0]) % 2, 1, -1)[:, None] * 2.0,
    ):
        found = geo.largest_squared_singular_value(each)
        assert found == pytest.approx(np.linalg.svd(each, compute_uv=False)[0] ** 2, rel=1e-8)


@pytest.mark.parametrize("count", [1, 2, 7, 100, 1001])
@pytest.mark.parametrize("offset", [-9.0, -0.5, 0.0, 0.3, 9.0])
def test_the_median_size_is_found_among_ascending_values(count, offset):
    values = np.random.default_rng(count).normal(offset, 1.0, count).astype(np.float32)
    for each in (values, np.maximum(values, 0), np.round(values), np.zeros_like(values)):
        assert _median_size(np.sort(each)) == pytest.approx(np.median(np.abs(each)), rel=1e-6)


def test_cosines_are_of_pairs_from_different_samples():
    generator = np.random.default_rng(0)
    values = generator.normal(0.3, 1.0, (90, 7)).astype(np.float32)
    values[4] = 0.0  # no direction
    kept = SiteSummary(7, 4, seed=0)
    sample = np.repeat(np.arange(30), 3)
    kept.update(values, Origin(sample, np.tile(np.arange(3), 30), sample % 4))
    unit = np.delete(values, 4, axis=0).astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    sample = np.delete(sample, 4)
    other = sample[:, None] != sample
    expected = (unit @ unit.T)[other].mean()
    assert describe(Kept(kept), rectified=False, saturating=False)["cross_sample_cosine"] == pytest.approx(expected)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1.0, 1e25])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3,), (700, 1000)])
def test_weight_movement_of_large_and_small_weights(scale, dtype, shape):
    generator = np.random.default_rng(0)
    old = (generator.normal(size=shape) * scale).astype(dtype)
    new = (old + generator.normal(size=shape) * scale * 0.01).astype(dtype)
    expected = (np.square((new - old).astype(np.float64)).sum(), np.square(old.astype(np.float64)).sum())
    assert squared_norms({"w": old}, {"w": new}, ["w"]) == pytest.approx(expected, rel=1e-6)
    assert squared_norms({"w": old}, {"w": old}, ["w"])[0] == 0.0


def test_weight_movement():
    old, new = {"w": np.array([3.0, 4.0]), "n": np.array([1, 2])}, {"w": np.array([3.0, 4.5]), "n": np.array([5, 6])}
    assert squared_norms(old, new, ["w", "n", "absent"]) == (0.25, 25.0)
    assert squared_norms(old, {"w": np.zeros(3)}, ["w"]) == (0.0, 0.0)
    rate = shift_per_weight_movement(Result(0.5, 0.1, 0.4, 0.6, significant=True), 0.1)
    assert rate.value == pytest.approx(5.0)
    assert (rate.low, rate.high) == (pytest.approx(4.0), pytest.approx(6.0))
    assert shift_per_weight_movement(Result(0.0), None).value == 0.0
    assert shift_per_weight_movement(Result(0.5), 0.0).value is None
    assert shift_per_weight_movement(Result.missing("why"), 1.0).status == "why"
    assert nonfinite_weights({"a": np.array([1.0, np.nan]), "b": np.ones(2), "c": np.array([1])}) == ("a",)
