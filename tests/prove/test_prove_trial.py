import pytest
from training_testing import bench_of, plain, states

from covscan.prove.calibration import calibrated, pooled_variance
from covscan.prove.gains import Gain
from covscan.prove.probe import FORWARDS, least_loss, probe
from covscan.prove.runs import AS_IT_IS, Arm
from covscan.prove.trial import Round, affordable, plan, run_trial, stays_first
from covscan.prove.types import Question
from covscan.surgery.types import Insertion

DEEP = [Insertion(str(2 * layer), "after", "BatchNorm1d", 16, 1) for layer in range(5)]
OTHERS = {each.place: Insertion(each.site, "after", "LayerNorm", 16, 1) for each in DEEP}
QUESTION = Question(tuple(DEEP), OTHERS, tuple(DEEP), DEEP[-1].place)


def deep_bench():
    return bench_of(plain(depth=5), starts=states(*(plain(depth=5, seed=seed) for seed in range(3))))


def test_a_plan_never_costs_more_than_the_budget_and_uses_it():
    for places in (1, 3, 10, 40, 150):
        for budget in (500, 3_000, 10_000, 24_000, 100_000):
            rounds = plan(places, budget)
            for each in rounds:
                assert each.places <= places
            kept = [each.places for each in rounds]
            assert kept == sorted(kept, reverse=True)
    assert plan(5, 24_000)[0].places == 5
    assert plan(5, 100) == ()
    assert len(plan(100, 24_000)) == 2


def test_more_budget_allows_more_places():
    assert 0 < affordable(7_000, 200) < affordable(10_000, 200) < affordable(24_000, 200)
    assert affordable(24_000, 4) == 4
    assert affordable(100, 4) == affordable(24_000, 0) == 0


def test_shares_of_redraws_add_up_and_follow_the_seeds():
    always = stays_first({"a": Gain(0.5, None, None, (0.5, 0.6, 0.4)), "b": Gain(0.1, None, None, (0.1, 0.1, 0.1))})
    assert always == {"a": 1.0, "b": 0.0}
    split = stays_first({"a": Gain(0.2, None, None, (0.6, 0.0, 0.0)), "b": Gain(0.1, None, None, (0.1, 0.1, 0.1))})
    assert sum(split.values()) == pytest.approx(1)
    assert split["b"] == pytest.approx((2 / 3) ** 3)


def test_an_interval_is_wider_where_seeds_disagree_and_never_narrower_than_what_the_benchmark_showed():
    close, apart = Gain(0.3, None, None, (0.3, 0.31, 0.29)), Gain(0.3, None, None, (0.1, 0.5, 0.3))
    narrow, wide = (calibrated(each, pooled_variance([each]), 120) for each in (close, apart))
    assert wide.high - wide.low > narrow.high - narrow.low > 0.02
    assert calibrated(Gain(0.99, None, None, (0.99,)), 0.0, 120).high <= 1
    assert calibrated(close, 0.0, 30).low < calibrated(close, 0.0, 120).low == calibrated(close, 0.0, 500).low


def test_a_probe_ranks_places_of_a_network_that_loses_its_signal_and_is_bounded():
    bench = deep_bench()
    found = probe(bench, DEEP, pairs=4)
    assert bench.forwards <= 4 * (len(DEEP) + 1) * FORWARDS + 4
    assert found[DEEP[-1]].value > found[DEEP[0]].value
    assert all(each.low <= each.value <= each.high for each in found.values())


def test_a_probe_is_the_same_again():
    assert probe(deep_bench(), DEEP[:2], pairs=2) == probe(deep_bench(), DEEP[:2], pairs=2)


def test_a_step_never_counts_as_worse_than_the_least_of_its_ladder():
    bench = bench_of(starts=states(plain(scale=1e4)))
    first, second = bench.pool.disjoint(0, 2)
    assert least_loss(bench, AS_IT_IS, 0, first, second) > 0
    assert least_loss(bench, Arm((DEEP[0],)), 0, first, second) > 0


@pytest.fixture(scope="module")
def trial():
    bench = deep_bench()
    rounds = (Round(5, 15, 1), Round(3, 40, 2))
    return bench, run_trial(bench, 0.1, rounds, DEEP, QUESTION)


def test_a_trial_judges_every_place_and_those_of_the_last_round_first(trial):
    _, found = trial
    assert {each.insertion.place for each in found.places} == {each.place for each in DEEP}
    assert [each.horizon for each in found.places] == [40, 40, 40, 15, 15]
    values = [each.gain.value for each in found.places[:3]]
    assert values == sorted(values, reverse=True)
    assert sum(each.stays_first for each in found.places[:3]) == pytest.approx(1)


def test_a_trial_has_its_controls_and_rivals(trial):
    _, found = trial
    best = found.places[0]
    assert best.affine is not None
    assert best.over_affine is not None
    assert best.at_rate is not None
    assert found.everywhere is not None
    assert "warm-up" in found.rivals
    assert len(found.base.curve()) == len(found.best.curve()) == 40


def test_a_trial_is_the_same_again(trial):
    _, found = trial
    again = run_trial(deep_bench(), 0.1, (Round(5, 15, 1), Round(3, 40, 2)), DEEP, QUESTION)
    assert again == found


@pytest.mark.parametrize(("places", "budget"), [(5, 9_000), (5, 7_000)])
def test_a_trial_never_spends_more_than_its_budget(places, budget):
    bench = deep_bench()
    bench.limit = budget
    rounds = plan(places, budget)
    assert rounds
    run_trial(bench, None, [Round(each.places, each.steps // 3, each.seeds) for each in rounds], DEEP, QUESTION)
    assert bench.steps <= budget


def test_a_ladder_is_not_extended_beyond_what_is_left():
    bench = deep_bench()
    bench.limit = 4 * 2 * (5 + 3 * (2 + 8))
    run_trial(bench, 1e-6, (Round(2, 4, 2),), DEEP[:2], Question((), {}, (), None))
    assert bench.steps <= bench.limit
    free = deep_bench()
    run_trial(free, 1e-6, (Round(2, 4, 2),), DEEP[:2], Question((), {}, (), None))
    assert free.steps > bench.steps


def test_branches_that_grow_are_tried_scaled_down():
    branches = tuple(Insertion(each.site, "after", "Scale", 16, 1) for each in DEEP[:4])
    question = Question((), {}, (), None, branches)
    found = run_trial(deep_bench(), None, (Round(1, 4, 1),), DEEP[:1], question)
    assert set(found.rivals) == {"warm-up", "branches scaled by 1/sqrt(depth)"}
    bench = deep_bench()
    with bench.session(0, Arm(branches, "scale")) as trained:
        assert [float(p.detach()[0]) for p in trained[-4:]] == [0.5] * 4


def test_the_step_is_judged_on_other_samples_than_it_was_taken_on(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "covscan.prove.probe.least_loss", lambda bench, arm, seed, first, second: asked.append((first, second)) or 1.0
    )
    probe(bench_of(), DEEP[:2], pairs=2)
    assert len(asked) == 2 * 3
    for first, second in asked:
        rows = [{tuple(row) for row in draw.args[0].tolist()} for draw in (first, second)]
        assert not rows[0] & rows[1]
