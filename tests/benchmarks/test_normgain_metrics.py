import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from measured import ranking_error
from metrics import auroc, drawn_again, ndcg, random_ndcg, random_regret, ranks, regret, spearman
from scipy import stats
from sklearn.metrics import ndcg_score, roc_auc_score

_NUMBERS = arrays(np.float64, 7, elements=st.integers(-4, 4).map(float))


@given(_NUMBERS)
def test_ranks_are_scipys(values):
    np.testing.assert_array_equal(ranks(values), stats.rankdata(values))


@given(_NUMBERS, _NUMBERS)
def test_spearman_is_scipys_and_0_where_one_side_is_constant(a, b):
    if len(set(a)) == 1 or len(set(b)) == 1:
        assert spearman(a, b) == 0
    else:
        assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)


@given(_NUMBERS, arrays(np.bool_, 7))
def test_auroc_is_scikit_learns_and_none_without_both_kinds(scores, positive):
    if positive.all() or not positive.any():
        assert auroc(scores, positive) is None
    else:
        assert auroc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))


@given(_NUMBERS, _NUMBERS)
def test_ndcg_is_scikit_learns_and_1_where_nothing_gains(scores, gains):
    if gains.max() <= 0:
        assert ndcg(scores, gains) == 1
    else:
        expected = ndcg_score([np.maximum(gains, 0)], [scores], k=3)
        assert ndcg(scores, gains) == pytest.approx(expected)


def test_regret_goes_from_0_to_1_and_averages_ties():
    gains = [0.0, 0.2, 0.4]
    assert regret([1, 2, 3], gains) == 0
    assert regret([3, 2, 1], gains) == 1
    assert regret([1, 3, 3], gains) == pytest.approx(0.25)
    assert regret([1, 2, 3], [0.1, 0.1, 0.1]) == 0


def test_random_orders_have_the_expectation_of_drawn_ones():
    gains = [0.3, -0.1, 0.05, 0.2]
    generator = np.random.default_rng(0)
    drawn = [generator.permutation(4) for _ in range(4000)]
    assert random_regret(gains) == pytest.approx(np.mean([regret(scores, gains) for scores in drawn]), abs=0.02)
    assert random_ndcg(gains) == pytest.approx(np.mean([ndcg(scores, gains) for scores in drawn]), abs=0.02)


def test_an_interval_over_networks_is_about_two_standard_errors():
    values = np.random.default_rng(1).normal(size=400)
    low, high = drawn_again(400, lambda rows: float(values[rows].mean()))
    error = values.std() / 20
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert drawn_again(2, lambda rows: 0.0) is None


def test_a_seed_that_shifts_all_places_alike_is_no_error_of_their_ranking():
    gains = np.array([[0.1], [0.3], [0.2]]) + np.array([[0.0, 0.5, -0.4]])
    assert ranking_error(gains) == pytest.approx(0, abs=1e-9)
    noise = np.random.default_rng(2).normal(size=(200, 3))
    assert ranking_error(gains[:1] + noise) == pytest.approx(1 / 3**0.5, rel=0.1)
    assert ranking_error(np.ones((1, 3))) == float("inf")
