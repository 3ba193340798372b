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


def falling(speed, steps=200, noise=(), scale=20.0):
    """A power law run through at ``speed`` times its pace, with one relative error a step."""
    errors = noise if len(noise) else np.zeros(steps)
    return Curve(tuple((0.1 + 2.2 / (1 + speed * step / scale) ** 0.7) * (1 + errors[step]) for step in range(steps)))


@pytest.mark.parametrize("speed", [0.25, 0.8, 1.0, 1.3, 3.0, 8.0])
def test_the_speed_up_is_how_many_times_faster_the_same_curve_runs(speed):
    found = speed_up([falling(1.0)] * 2, [falling(speed)] * 2)
    assert found is not None
    assert found.value == pytest.approx(speed, rel=0.06)
    assert found.bound == "exactly"
    assert (found.low, found.high) == pytest.approx((found.value, found.value))  # seeds that agree leave no room


def test_which_arm_is_called_the_faster_one_does_not_matter():
    there, back = speed_up([falling(1.0)], [falling(2.0)]), speed_up([falling(2.0)], [falling(1.0)])
    assert there is not None
    assert back is not None
    assert there.value * back.value == pytest.approx(1)
    assert there.low is there.high is back.low is back.high is None  # of one seed


@pytest.mark.parametrize(("speed", "seeds"), [(0.7, 5), (1.0, 3), (1.2, 5), (4.0, 3)])
def test_its_interval_holds_the_true_speed_up_about_nine_times_in_ten(speed, seeds):
    held = 0
    for number in range(50):
        drawing = np.random.default_rng([number, seeds])
        slow, fast = [], []
        for _ in range(seeds):
            noise, scale = drawing.normal(0, 0.1, 200), 20 * math.exp(drawing.normal(0, 0.1))
            slow.append(falling(1.0, noise=noise, scale=scale))
            fast.append(falling(speed * math.exp(drawing.normal(0, 0.15)), noise=noise, scale=scale))
        found = speed_up(slow, fast)
        held += found.low <= speed <= found.high
    assert 40 <= held <= 49


def test_the_interval_is_a_jackknife_in_the_logarithm():
    slow, fast = [falling(1.0)] * 4, [falling(speed) for speed in (2.0, 2.4, 2.9, 3.5)]
    found = speed_up(slow, fast)
    parts = [math.log(speed_up(slow[1:], fast[:out] + fast[out + 1 :]).value) for out in range(4)]
    error = math.sqrt(3 / 4 * sum((part - np.mean(parts)) ** 2 for part in parts))
    reach = stats.t.ppf(0.95, 3) * error
    assert (found.low, found.high) == pytest.approx(
        (found.value * math.exp(-reach), found.value * math.exp(reach)), rel=1e-3
    )


def test_an_arm_that_is_there_at_once_gains_at_least_that_much_and_the_upper_end_is_open():
    found = speed_up([falling(1.0)] * 3, [Curve((0.01,) * 200)] * 3)
    assert (found.bound, found.high) == ("at least", None)
    assert found.value == found.low > 100
    back = speed_up([Curve((0.01,) * 200)] * 3, [falling(1.0)] * 3)
    assert (back.bound, back.low) == ("at most", None)
    assert back.value == back.high == pytest.approx(1 / found.value)


def test_one_seed_that_opens_an_end_opens_that_of_all():
    fast = [falling(40.0), falling(40.0), Curve((0.01,) * 200)]
    found = speed_up([falling(1.0)] * 3, fast)
    assert found.bound == "exactly"
    assert speed_up([falling(1.0)] * 2, [Curve((0.01,) * 200)] * 2).high is None
    assert found.low is not None
    two = speed_up([falling(1.0)] * 2, [falling(1.0), Curve((0.01,) * 200)])
    assert (two.bound, two.high) == ("exactly", None)
    assert two.low is not None


def test_steps_at_which_a_seed_is_not_finite_do_not_count():
    broken = Curve((*falling(1.0).losses[:100], *[math.nan] * 100))
    found = speed_up([falling(1.0)] * 2, [broken, falling(1.0)])
    assert found.value == pytest.approx(1, rel=0.01)
    assert speed_up([Curve((math.nan,) * 9)], [Curve((1.0,) * 9)]) is None
    assert speed_up([Curve((1.0,) * 9)], [Curve((math.nan,) * 9)]) is None
    same = speed_up([Curve((1.0,) * 9)] * 2, [Curve((1.0,) * 9)] * 2)
    assert (same.value, same.bound, same.low, same.high) == (1, "exactly", 1, 1)
