"""Two sides with samples of their own: intervals of two independent samples, against scipy, and the null."""

import numpy as np
import pytest
from scipy import stats

from covscan.measures.amplification import shift_amplification
from covscan.measures.compare import SAME_SAMPLES, Distance, compare, noise_floors
from covscan.measures.replicates import groups_of
from covscan.measures.sampling import Sampling, sampling_of
from covscan.measures.views import Kept, moment_pair
from covscan.stats import SiteSummary
from covscan.stats.origin import Origin


def summary(values, blocks=32, first=0):
    made = SiteSummary(values.shape[1], blocks, 0)
    index = np.arange(first, first + len(values))
    made.update(values, Origin(index, index * 0, np.arange(len(values)) % blocks))
    return made


def compared(a, b, blocks=32):
    one, other = summary(a, blocks), summary(b, min(blocks, len(b)), first=10_000)
    floors = [noise_floors(Kept(each), 0, paired=False) for each in (one, other)]
    return compare(Kept(one), Kept(other), *floors, 0, paired=False)


def normal(seed, samples, channels=6):
    return np.random.default_rng(seed).normal(size=(samples, channels))


@pytest.mark.parametrize(("mine", "yours"), [(40, 25), (30, 90), (8, 6)])
def test_the_interval_of_a_difference_of_means_is_that_of_welch(mine, yours):
    a, b = normal(0, mine, 1), normal(1, yours, 1) * 3 + 1
    one, other = summary(a, mine), summary(b, yours, first=1000)
    sampling = sampling_of(one, other, 100, paired=False)
    weights_a, weights_b = sampling.weights()
    means = (one.moments.subsets(weights_a).mean, other.moments.subsets(weights_b).mean)
    difference = (means[1] - means[0])[:, 0]
    truth = stats.ttest_ind(b[:, 0], a[:, 0], equal_var=False).confidence_interval(0.95)
    assert difference[0] == pytest.approx(b.mean() - a.mean())
    assert sampling.half_width(difference) == pytest.approx((truth.high - truth.low) / 2, rel=2e-3)
    error = np.sqrt(a.var(ddof=1) / mine + b.var(ddof=1) / yours)
    assert sampling.error(difference[:, None])[0] == pytest.approx(error)


def test_shared_samples_have_the_narrower_interval_of_their_differences():
    a = normal(0, 320)
    b = a + 0.5 + 0.01 * normal(1, 320)
    one, other = summary(a), summary(b)
    apart = compare(Kept(one), Kept(other), {}, {}, 0, paired=False).measures["standardized_mean_difference"]
    together = compare(Kept(one), Kept(other), {}, {}, 0, paired=True).measures["standardized_mean_difference"]
    assert apart.value == pytest.approx(together.value)
    assert together.high - together.low < (apart.high - apart.low) / 3


def test_values_are_those_of_the_whole_samples_whatever_their_sizes():
    a, b = normal(0, 300), normal(1, 180) * 1.5 + 0.4
    found = {name: result.value for name, result in compared(a, b).measures.items()}
    pooled = np.sqrt((a.var(0) + b.var(0)) / 2)
    assert found["standardized_mean_difference"] == pytest.approx(np.mean(np.abs(b.mean(0) - a.mean(0)) / pooled))
    assert found["log_variance_ratio"] == pytest.approx(np.mean(np.log(b.var(0) / a.var(0))))
    ks = [stats.ks_2samp(a[:, c], b[:, c]).statistic for c in range(6)]
    assert found["kolmogorov_smirnov"] == pytest.approx(np.mean(ks), abs=1e-6)
    w1 = [stats.wasserstein_distance(a[:, c], b[:, c]) / pooled[c] for c in range(6)]
    assert found["wasserstein_1"] == pytest.approx(np.mean(w1), rel=1e-5)
    squared = ((b.mean(0) - a.mean(0)) ** 2 + (b.std(0) - a.std(0)) ** 2) / pooled**2
    assert found["gaussian_w2"] == pytest.approx(np.sqrt(squared.mean()), abs=0.03)


def test_w2_takes_off_what_sampling_adds_on_both_sides():
    a, b = normal(0, 256, 200), normal(1, 128, 200)
    plain = np.sqrt(1.5 * (1 / 256 + 1 / 128))
    assert compared(a, b).measures["gaussian_w2"].value < plain / 3


def test_what_compares_sample_by_sample_says_that_it_needs_them():
    found = compared(normal(0, 200), normal(1, 200)).measures
    assert found["linear_cka_distance"].value is None
    assert found["linear_cka_distance"].status == SAME_SAMPLES
    assert all(result.value is not None for name, result in found.items() if name != "linear_cka_distance")


def test_effective_rank_needs_no_pairs():
    a, b = normal(0, 256, 20), normal(1, 256, 20) * np.array([10.0] + [0.1] * 19)
    found = compared(a, b).measures["effective_rank"]
    assert found.significant
    assert found.value == pytest.approx(-np.log(20), abs=0.3)


def test_few_samples_have_no_interval():
    found = compared(normal(0, 200), normal(1, 3)).measures["gaussian_w2"]
    assert found.value is not None
    assert found.low is None
    assert not found.significant


def test_one_group_alone_has_no_error():
    lone = groups_of(np.array([True]), 4)
    several = groups_of(np.ones(5, bool), 4)
    sampling = Sampling(lone, several, paired=False)
    first, second = sampling.weights()
    assert first.shape == (6, 1)
    assert second.shape == (6, 5)
    assert not sampling.enough
    assert sampling.error(np.zeros((6, 2))).tolist() == [0.0, 0.0]


def test_a_pixel_that_is_dark_in_all_but_one_image_does_not_decide():
    a, b = normal(0, 256, 20), normal(1, 256, 20)
    a[:, 0] = b[:, 0] = 0.0
    a[3, 0] = b[5, 0] = 0.02
    b[:, 1:] += 0.5
    found = compared(a, b).measures["gaussian_w2"]
    assert found.significant
    assert found.value == pytest.approx(np.sqrt(0.25 * 19 / 20), rel=0.1)


def test_a_channel_that_is_constant_at_another_value_is_a_shift():
    a, b = normal(0, 256, 4), normal(1, 256, 4)
    same = a.copy(), b.copy()
    for one, other in (same, (a, b)):
        one[:, 0] = other[:, 0] = 1.0
    b[:, 0] = 3.0
    assert compared(*same).measures["gaussian_w2"].value < 0.2
    assert compared(a, b).measures["gaussian_w2"].significant


def test_halves_of_one_distribution_are_hardly_ever_called_shifted():
    generator = np.random.default_rng(5)
    significant = total = 0
    for _ in range(60):
        values = np.concatenate([generator.normal(size=(256, 4)), generator.exponential(size=(256, 4))], axis=1)
        found = compared(values[:128], values[128:]).measures
        known = [result for result in found.values() if result.value is not None]
        significant += sum(result.significant for result in known)
        total += len(known)
    assert total == 60 * 9
    assert significant / total <= 0.01


def distance(replicates, sampling):
    return Distance(np.asarray(replicates, float), sampling)


@pytest.fixture
def sampling():
    groups = groups_of(np.ones(4, bool), 4)
    return Sampling(groups, groups, paired=False)


def test_a_shift_that_is_passed_on_has_the_amplification_1(sampling):
    entry = distance(np.linspace(1, 1.4, 9), sampling)
    found = shift_amplification(entry, entry)
    assert (found.value, found.low, found.high, found.significant) == (1.0, 1.0, 1.0, False)


def test_amplification_counts_where_its_interval_excludes_1_and_it_is_material(sampling):
    entry = distance(np.full(9, 0.5), sampling)
    noise = np.array([0, 0.01, -0.01, 0.02, -0.02, 0.01, -0.01, 0.02, -0.02])
    for factor, counts in ((2.0, True), (1.4, False), (0.7, False), (0.6, True)):
        found = shift_amplification(distance(0.5 * (factor + noise), sampling), entry)
        assert found.value == pytest.approx(factor)
        assert found.significant == counts
    wide = shift_amplification(distance(0.5 * (2 + 30 * noise), sampling), entry)
    assert not wide.significant
    assert wide.low == 0.0
    nothing = shift_amplification(distance(np.zeros(9), sampling), entry)
    assert (nothing.value, nothing.significant) == (0.0, True)


def test_amplification_says_why_it_is_missing(sampling):
    entry = distance(np.full(9, 0.5), sampling)
    assert "no shift above noise" in shift_amplification(entry, None).status
    assert "constant" in shift_amplification(None, entry).status
    other = Sampling(groups_of(np.ones(5, bool), 5), sampling.b, paired=False)
    apart = shift_amplification(distance(np.full(10, 1.0), other), entry)
    assert (apart.value, apart.low) == (2.0, None)
    assert "too few samples" in apart.status


def test_moments_of_two_sides_are_taken_in_every_replicate():
    a, b = normal(0, 12, 2), normal(1, 8, 2)
    one, other = summary(a, 4), summary(b, 2)
    pair = moment_pair(Kept(one), Kept(other), sampling_of(one, other, 32, paired=False))
    assert pair.a.mean.shape == (1 + 4 + 2, 2)
    np.testing.assert_allclose(pair.a.mean[1], a[np.arange(12) % 4 != 0].mean(0))
    np.testing.assert_allclose(pair.b.mean[1], b.mean(0))
    np.testing.assert_allclose(pair.b.mean[5], b[np.arange(8) % 2 != 0].mean(0))
    np.testing.assert_allclose(pair.a.mean[6], a.mean(0))
