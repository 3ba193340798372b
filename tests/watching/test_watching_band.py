import pytest
import torch
from torch import nn
from watched_runs import save

from covscan.capture.types import SiteKey
from covscan.engine.entries import Moved
from covscan.engine.site_work import SiteFacts
from covscan.measures.result import Result
from covscan.watching.band import departures

KEY = SiteKey("fc", "output")


class At:
    """A checkpoint as the band sees it."""

    def __init__(self, step, before, shift, *, median=0.0, low=None, significant=True, noise=0.1, nonfinite=0.0):
        fields = {"nonfinite_share": nonfinite, "p15": median - 1, "p50": median, "p85": median + 1, "std": 1.0}
        self.nonfinite = nonfinite
        self.name, self.step, self.path = f"step-{step}", step, step
        self.facts = type("", (), {"sites": [(KEY, SiteFacts(fields, {}, {"gaussian_w2": noise}))]})
        value = (
            Result.missing("nothing left")
            if shift is None
            else Result(shift, noise, shift - 0.05 if low is None else low, shift + 0.05, significant=significant)
        )
        self.moved = {before: [Moved(KEY, {"gaussian_w2": value}, None)]}


def left(*steps, at=None):
    series = list(steps)
    return [(each.site, each.checkpoint) for each in departures(series, len(series) - 1 if at is None else at)]


USUAL = At(10, None, 0.0), At(20, 10, 0.5), At(30, 20, 0.4)


def test_a_step_of_twice_the_largest_leaves_the_band():
    assert left(*USUAL, At(40, 30, 1.2)) == [("fc", "step-40")]


def test_a_step_like_those_before_does_not():
    assert left(*USUAL, At(40, 30, 0.9)) == []


def test_the_lower_end_of_the_interval_decides():
    assert left(*USUAL, At(40, 30, 1.2, low=0.9)) == []


def test_within_noise_nothing_leaves():
    assert left(*USUAL, At(40, 30, 1.2, significant=False)) == []


def test_fewer_than_three_earlier_checkpoints_are_no_band():
    assert left(*USUAL[:2], At(30, 20, 9.0)) == []


def test_a_step_from_an_untrained_start_does_not_count():
    untrained = At(0, None, 0.0), At(10, 0, 9.0), At(20, 10, 0.5), At(30, 20, 0.4)
    assert left(*untrained[:3], At(30, 20, 4.0)) == []
    assert left(*untrained, At(40, 30, 1.2)) == [("fc", "step-40")]


def test_longer_training_may_move_further():
    assert left(*USUAL, At(60, 30, 1.2)) == []
    assert left(*USUAL, At(60, 30, 3.2)) == [("fc", "step-60")]


def test_shorter_training_gets_no_smaller_bar():
    assert left(*USUAL, At(31, 30, 0.9)) == []


def test_where_steps_are_not_known_each_counts_the_same():
    steps = [At(None, None, 0.0), At(None, None, 0.5), At(None, None, 0.4), At(None, None, 1.2)]
    for number, each in enumerate(steps):
        each.path, each.moved = number, {number - 1: next(iter(each.moved.values()))}
    assert len(departures(steps, 3)) == 1


@pytest.mark.parametrize(("median", "expected"), [(0.5, 0), (1.05, 0), (1.2, 1), (-1.2, 1)])
def test_a_median_outside_of_every_earlier_band_lowers_the_bar(median, expected):
    found = departures([*USUAL, At(40, 30, 0.9, median=median)], 3)
    assert len(found) == expected
    assert [each.band for each in found] == [(-1.0, 1.0)] * expected


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (At(40, 30, 0.1, nonfinite=0.25), "25% of its values are NaN or infinite, and none were before"),
        (At(40, 30, None), "it can be compared no more (nothing left)"),
    ],
)
def test_values_that_are_lost_leave_the_band(now, why):
    assert [each.why for each in departures([*USUAL, now], 3)] == [why]
    again = At(50, 40, now.moved[30][0].measures["gaussian_w2"].value, nonfinite=now.nonfinite)
    assert departures([*USUAL, now, again], 4) == []


def test_an_earlier_band_counts_however_long_ago():
    first = At(10, None, 0.0, median=5.0)
    assert left(first, *USUAL[1:], At(40, 30, 0.9, median=5.5)) == []


def trained(follow, *, rise, build, every=25):
    """Nine checkpoints of a training, whose learning rate is thirty times as large from the seventh on."""
    torch.manual_seed(0)
    network = build()
    x = torch.randn(256, 6)
    y = (x[:, 0] * x[:, 1] > 0).long() + (x[:, 2] > 1).long()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
    for number in range(9):
        torch.save({"model": network.state_dict()}, follow.place / f"step-{number * every}.pt")
        if number == 6 and rise:
            optimizer.param_groups[0]["lr"] *= 30
        for _ in range(every):
            chosen = torch.randint(256, (32,))
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x[chosen]), y[chosen]).backward()
            optimizer.step()
    follow()
    series = follow.following.measured
    return {place: departures(series, place) for place in range(len(series))}


def test_a_sudden_rise_of_the_learning_rate_is_seen_when_it_happens(follow):
    from watched_runs import build

    found = trained(follow, rise=True, build=build)
    assert next(place for place, left in found.items() if left) == 7
    assert len({(each.site, each.position) for each in found[7]}) == len(found[7])


def test_a_healthy_training_leaves_no_band(follow):
    from watched_runs import build

    assert not any(trained(follow, rise=False, build=build).values())


def test_unrelated_checkpoints_do_not_make_a_band_of_nothing(follow):
    save(follow.place, 0)
    follow()
    assert departures(follow.following.measured, 0) == []
