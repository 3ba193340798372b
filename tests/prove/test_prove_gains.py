import math

import numpy as np
import pytest
from scipy import stats

from covscan.prove.gains import Gain, area, best_rung, clipped, gain, largest_stable, speed_up
from covscan.prove.runs import Curve


def test_an_area_is_the_mean_loss_clipped_at_the_start():
    curve = Curve((3.0, 1.0, 5.0, math.nan, math.inf))
    assert area(curve, 2.0) == pytest.approx((2 + 1 + 2 + 2 + 2) / 5)
    assert clipped(-math.inf, 2.0) == 2.0


def test_an_area_of_a_longer_training_goes_on_at_the_level_of_the_last_quarter():
    curve = Curve((5.0, 4.0, 3.0, 3.0, 2.0, 2.0, 1.0, 0.5))
    assert area(curve, 4.0, full=8) == area(curve, 4.0)
    assert area(curve, 4.0, full=20) == pytest.approx((4 + 4 + 3 + 3 + 2 + 2 + 1 + 0.5 + 12 * 0.75) / 20)
    assert area(Curve((math.nan,)), 4.0, full=5) == 4.0


def test_a_gain_is_relative_to_the_mean_without_and_has_a_paired_t_interval():
    without, with_ = [2.0, 2.2, 1.9, 2.1], [1.5, 1.9, 1.3, 1.8]
    found = gain(without, with_)
    differences = (np.array(without) - with_) / np.mean(without)
    expected = stats.t.interval(0.9, 3, differences.mean(), stats.sem(differences))
    assert found.value == pytest.approx(differences.mean())
    assert (found.low, found.high) == pytest.approx(expected, rel=5e-3)
    assert found.error == pytest.approx(stats.sem(differences))


def test_one_seed_gives_no_interval():
    assert gain([2.0], [1.0]) == Gain(0.5, None, None, (0.5,))
    assert gain([2.0], [1.0]).error is None
    assert gain([0.0, 0.0], [0.0, 0.0]).value == 0


def test_the_best_rung_is_the_one_with_the_least_area_and_in_a_flat_stretch_the_middle():
    assert best_rung({-1: [1.0, 2.0], 0: [1.0, 1.0], 1: [3.0, 0.5]}) == 0
    assert best_rung({-3: [2.3], 0: [2.3001], 2: [2.3]}) == 0
    assert best_rung({-3: [2.0], 0: [2.3], 2: [2.3]}) == -3


def test_the_largest_stable_rung_wants_every_seed_finite_and_below_its_start():
    good, level, broken = Curve((2.0, 1.0)), Curve((2.0, 2.0)), Curve((2.0, math.nan))
    starts = [2.0, 2.0]
    assert largest_stable({0: [good, good], 1: [good, good], 2: [good, level]}, starts) == 1
    assert largest_stable({0: [good, broken]}, starts) is None


def test_the_speed_up_counts_steps_to_the_lowest_loss_of_the_slow_arm():
    slow = [Curve(tuple(100.0 - step for step in range(100)))]
    fast = [Curve(tuple(100.0 - 4 * step for step in range(100)))]
    found = speed_up(slow, fast)
    assert found is not None
    assert found[0] == pytest.approx(4, rel=0.2)
    assert not found[1]
    assert speed_up(fast, slow) is None
    assert speed_up(slow, [Curve((0.0,) * 100)]) == (100, True)
