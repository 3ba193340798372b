"""What each measure gives where nothing shifted: the closed forms, and exactly 0 for the same samples."""

import numpy as np
import pytest

from covscan.measures import distribution as dist
from covscan.measures import geometry as geo
from covscan.measures import moments as mom
from covscan.measures.compare import compare, noise_floors
from covscan.measures.views import Kept
from covscan.stats import Moments, SiteSummary
from covscan.stats.origin import Origin

N, CHANNELS = 1000, 400
H = 2 / N


def summary(values, seed=0, blocks=32, first=0):
    made = SiteSummary(values.shape[1], blocks, seed)
    index = np.arange(first, first + len(values))
    made.update(values, Origin(index, index * 0, index % blocks))
    return made


def moments(values):
    return Moments(np.full((1, CHANNELS), float(len(values))), values.mean(0)[None], values.var(0)[None])


@pytest.fixture(scope="module")
def independent():
    generator = np.random.default_rng(11)
    return generator.normal(size=(N, CHANNELS)), generator.normal(size=(N, CHANNELS))


@pytest.fixture(scope="module")
def sorted_pair(independent):
    a, b = independent
    take = np.ones((1, N), np.int64)
    side = dist.Drawn(a, np.arange(N), take), dist.Drawn(b, np.arange(N), take)
    return dist.pair_samples(*side)


@pytest.fixture(scope="module")
def moment_pair(independent):
    a, b = independent
    return mom.MomentPair(moments(a), moments(b), np.ones(CHANNELS, bool), 0.0, np.zeros(CHANNELS))


NULL_OF_MOMENTS = {
    "standardized_mean_difference": np.sqrt(2 * H / np.pi),
    "absolute_log_variance_ratio": np.sqrt(2 / np.pi) * np.sqrt(2 * H),
    "gaussian_w2": np.sqrt(1.5 * H),
}
NULL_OF_DISTRIBUTIONS = {
    "wasserstein_1": 1.615 * np.sqrt(2 * H / np.pi),
    "kolmogorov_smirnov": 0.869 * np.sqrt(H),
    "population_stability_index": 9 * H,
    "jensen_shannon": 9 * H / 8,
}


@pytest.mark.parametrize("name", NULL_OF_MOMENTS)
def test_moment_measures_meet_their_null_within_5_percent(name, moment_pair):
    value = getattr(mom, name)(moment_pair)[0]
    assert value == pytest.approx(NULL_OF_MOMENTS[name], rel=0.05)


@pytest.mark.parametrize("name", NULL_OF_DISTRIBUTIONS)
def test_distribution_measures_meet_their_null_within_5_percent(name, sorted_pair):
    value = getattr(dist, name)(sorted_pair)[0]
    assert value == pytest.approx(NULL_OF_DISTRIBUTIONS[name], rel=0.05)


def test_signed_ratio_averages_to_nothing(moment_pair):
    assert abs(mom.log_variance_ratio(moment_pair)[0]) < 4 * np.sqrt(2 * H / CHANNELS)


def test_w2_without_its_bias_is_near_nothing(independent):
    a, b = independent
    bias = np.full(CHANNELS, 1.5 * H)
    pair = mom.MomentPair(moments(a), moments(b), np.ones(CHANNELS, bool), 0.0, bias)
    assert mom.gaussian_w2(pair)[0] < 0.25 * np.sqrt(1.5 * H)


def test_unbiased_cka_of_unrelated_features_is_about_nothing():
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 256, 512))
    pair = geo.GeometryPair(geo.gram(a), geo.gram(b), np.ones((1, 256)), np.ones((1, 256)))
    assert geo.linear_cka_distance(pair)[0] == pytest.approx(1.0, abs=0.02)
    k, m = geo.gram(a).whole, geo.gram(b).whole
    biased = (k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum())
    assert biased == pytest.approx(0.67, abs=0.02)  # what a biased estimate would have called similar


def test_noise_floor_covers_95_percent_of_halves():
    generator = np.random.default_rng(3)
    exceeded = 0
    for draw in range(40):
        values = generator.normal(size=(512, 8))
        floor = noise_floors(Kept(summary(values)), seed=draw)["standardized_mean_difference"]
        fresh = generator.normal(size=(512, 8))
        one, other = fresh[:256], fresh[256:]
        d = np.abs(one.mean(0) - other.mean(0)) / np.sqrt((one.var(0) + other.var(0)) / 2)
        exceeded += d.mean() > floor
    assert exceeded <= 7


@pytest.mark.parametrize("kind", ["gaussian", "rectified", "constant", "one dead channel", "tiny"])
def test_identical_checkpoints_give_exactly_nothing(kind):
    values = np.random.default_rng(0).normal(size=(300, 16)).astype(np.float32)
    if kind == "rectified":
        values = np.maximum(values, 0)
    elif kind == "constant":
        values[:] = 3.0
    elif kind == "one dead channel":
        values[:, 2] = 0.0
    elif kind == "tiny":
        values = values[:5]
    one, other = summary(values), summary(values.copy())
    floors = noise_floors(Kept(one), 0)
    compared = compare(Kept(one), Kept(other), floors, floors, 0)
    for name, result in compared.measures.items():
        assert result.value in (0.0, None), name
        assert (result.value is None) == bool(result.status and "interval" not in result.status), name
        assert not result.significant
    if kind == "constant":
        assert all(result.value is None for result in compared.measures.values())
    if kind == "gaussian":
        assert all(result.value == 0.0 for result in compared.measures.values())
        assert compared.channels_shifted == 0.0


def test_the_noise_floor_of_w2_is_without_the_bias_of_halves():
    values = np.random.default_rng(0).normal(size=(512, 200))
    plain = np.sqrt(1.5 * 2 / 256)  # what two halves of 256 samples differ by, bias included
    assert noise_floors(Kept(summary(values)), seed=0)["gaussian_w2"] < 0.5 * plain
