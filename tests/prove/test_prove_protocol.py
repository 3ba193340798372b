from math import exp
from statistics import mean

import pytest
from training_testing import bench_of, plain, states

from covscan.prove.protocol import Ladder, Outcome, gain_at, gain_of, measure, outlook
from covscan.prove.runs import AS_IT_IS, Arm, Curve
from covscan.surgery.types import Insertion


class Landscape:
    """Stands in for a bench: losses that depend on the learning rate alone."""

    def __init__(self, losses: dict[int, float], ladder: Ladder) -> None:
        self._losses = {ladder.at(rung): loss for rung, loss in losses.items()}
        self.asked: list[float] = []

    def initial_loss(self, seed: int) -> float:
        return 10.0

    def affords(self, steps: int) -> bool:
        return True

    def curve(self, arm, rate, seed, steps) -> Curve:
        self.asked.append(rate)
        return Curve((self._losses[rate],) * steps)


def outcome(areas: dict[int, tuple[float, ...]]) -> Outcome:
    return Outcome(AS_IT_IS, {}, areas, (2.0,) * 3)


def test_rungs_are_the_square_root_of_ten_apart():
    ladder = Ladder(0.1)
    assert [ladder.at(rung) for rung in (-2, -1, 0, 1, 2)] == [0.01, 0.03162, 0.1, 0.3162, 1.0]


def test_the_ladder_is_extended_where_the_best_rung_is_an_end():
    ladder = Ladder(1.0, (-1, 0, 1), reach=3)
    falling = Landscape({-1: 5.0, 0: 4.0, 1: 3.0, 2: 2.0, 3: 2.5}, ladder)
    assert list(measure(falling, AS_IT_IS, ladder, 1, 2).areas) == [-1, 0, 1, 2, 3]
    rising = Landscape({-3: 4.0, -2: 2.0, -1: 3.0, 0: 4.0, 1: 5.0}, ladder)
    found = measure(rising, AS_IT_IS, ladder, 2, 2)
    assert found.best == -2
    assert len(rising.asked) == 2 * 5


def test_the_ladder_ends_where_its_reach_ends():
    ladder = Ladder(1.0, (-1, 0, 1), reach=2)
    falling = Landscape({rung: 5.0 - rung for rung in range(-1, 9)}, ladder)
    assert max(measure(falling, AS_IT_IS, ladder, 1, 2).areas) == 3


def test_a_rung_that_is_asked_for_is_tried_where_it_can_be_afforded():
    ladder = Ladder(1.0, (3, 4, 5), reach=1)
    bench = Landscape({0: 9.0, 3: 2.0, 4: 1.0, 5: 3.0}, ladder)
    assert list(measure(bench, AS_IT_IS, ladder, 2, 2, also=0).areas) == [0, 3, 4, 5]
    bench.asked.clear()
    assert list(measure(bench, AS_IT_IS, ladder, 2, 2, also=4).areas) == [3, 4, 5]
    assert len(bench.asked) == 2 * 3
    bench.affords = lambda steps: False
    assert list(measure(bench, AS_IT_IS, ladder, 2, 2, also=0).areas) == [3, 4, 5]


def test_each_seed_counts_at_the_rung_that_the_others_find_best():
    found = outcome({0: (1.0, 2.0, 2.0), 1: (5.0, 1.5, 1.5)})
    assert found.chosen() == (5.0, 2.0, 2.0)
    assert outcome({0: (1.0,), 1: (0.5,)}).chosen() == (0.5,)


def test_around_the_best_rung_its_neighbours_count_the_less_the_worse_they_are():
    found = outcome({0: (1.0, 1.0, 1.0), 1: (1.1, 1.1, 1.1), 2: (9.0, 9.0, 9.0)}).around_best()
    assert found == pytest.approx([(1 + 1.1 * exp(-1)) / (1 + exp(-1))] * 3)
    assert outcome({0: (0.0, 0.0, 0.0), 1: (0.0, 0.0, 0.0)}).around_best() == (0.0, 0.0, 0.0)


def test_an_outlook_does_not_jump_where_two_rates_are_about_as_good():
    base = outcome({0: (2.0, 2.0, 2.0), 1: (2.0, 2.0, 2.0)})
    one, other = outcome({0: (1.0, 1.0, 1.0), 1: (1.01, 1.01, 1.01)}), outcome({0: (1.01,) * 3, 1: (1.0,) * 3})
    assert outlook(base, one) == pytest.approx(outlook(base, other))
    assert 0.49 < outlook(base, one) < 0.5


def test_areas_can_be_those_of_a_longer_training():
    ladder = Ladder(1.0, (0,), reach=0)

    class Falling(Landscape):
        def curve(self, arm, rate, seed, steps) -> Curve:
            return Curve(tuple(float(steps - step) for step in range(steps)))

    found = measure(Falling({}, ladder), AS_IT_IS, ladder, 1, 4, full=8)
    assert found.areas[0] == ((4 + 3 + 2 + 1 + 4 * 1) / 8,)


def test_a_gain_at_a_rung_is_at_that_rung():
    base, other = outcome({0: (2.0, 2.0, 2.0)}), outcome({0: (1.0, 1.0, 1.0), 1: (0.5, 0.5, 0.5)})
    at = gain_at(base, other, 0)
    assert at is not None
    assert at.value == 0.5
    assert gain_at(base, other, 1) is None
    assert gain_of(base, other).value == 0.75


def test_a_shown_curve_is_the_mean_over_the_seeds_clipped_at_the_start():
    curves = (Curve((3.0, 1.0)), Curve((1.0, float("nan"))))
    found = Outcome(AS_IT_IS, {0: curves}, {0: (1.5, 1.5)}, (2.0, 2.0))
    assert found.curve() == pytest.approx((1.5, 1.5))


def test_a_deep_badly_scaled_network_gains_from_batchnorm_and_a_normalized_one_does_not():
    deep = bench_of(plain(depth=6), starts=states(*(plain(depth=6, seed=seed) for seed in range(2))))
    ladder = Ladder(0.1, (-1, 0, 1), reach=2)
    base = measure(deep, AS_IT_IS, ladder, 2, 40)
    with_norm = measure(deep, Arm((Insertion("10", "after", "BatchNorm1d", 16, 1),)), ladder, 2, 40)
    assert gain_of(base, with_norm).value > 0.1
    assert mean(with_norm.chosen()) < mean(base.chosen())
