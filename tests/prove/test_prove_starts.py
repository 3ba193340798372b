from pathlib import Path

import pytest
import torch
from torch import nn
from training_testing import plain, states

from covscan.config import Settings
from covscan.models.types import Checkpoint, Series
from covscan.prove.starts import find_starts


class Saved:
    """A series in memory: step → network."""

    def __init__(self, saved: dict[int | None, nn.Module]) -> None:
        self._saved = {f"at-{step}": network for step, network in saved.items()}
        points = [Checkpoint(f"at-{step}", Path(f"at-{step}.pt"), step, "0" * 64) for step in saved]
        self.series = Series(tuple(points), "given")

    def module(self, checkpoint: Checkpoint) -> nn.Module:
        return self._saved[checkpoint.id]


def drawn() -> nn.Module:
    """Weights from torch's generator as it was seeded from outside, and what is no weight."""
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Linear(16, 4))


def seeded(seed: int, make=drawn) -> nn.Module:
    torch.manual_seed(seed)
    return make()


def starts_of(saved, model=None, seeds=3):
    return find_starts(Saved(saved), Settings(model=model), seeds)


def equal(state, network) -> bool:
    found = states(network)[0]
    return state.keys() == found.keys() and all(torch.equal(state[name], found[name]) for name in found)


def test_a_factory_that_draws_as_the_first_checkpoint_did_gives_further_starts():
    found = starts_of({0: seeded(5), 100: seeded(6)}, drawn)
    assert equal(found.states[0], seeded(5))
    assert [equal(state, seeded(seed)) for seed, state in enumerate(found.states[1:], start=1)] == [True, True]
    assert not found.trained
    assert found.intervention == "from the start"
    assert found.description == "the weights of at-0 (step 0) and 2 initializations of the factory's"


def test_one_further_start_is_named_in_the_singular():
    assert "(step 0) and an initialization of" in starts_of({0: seeded(5)}, drawn, seeds=2).description


@pytest.mark.parametrize(
    "change",
    [
        lambda network: network[0].weight.mul_(3.0),
        lambda network: network[1].weight.fill_(0.1),
        lambda network: network[1].running_mean.fill_(1.0),
        lambda network: network[2].weight.zero_(),
    ],
    ids=["another scale", "another constant", "statistics that were taken", "zeros where there are draws"],
)
def test_a_first_checkpoint_that_the_factory_would_not_draw_is_the_only_start(change):
    first = seeded(5)
    with torch.no_grad():
        change(first)
    found = starts_of({0: first, 10: seeded(6)}, drawn)
    assert len(found.states) == 1
    assert equal(found.states[0], first)
    assert not found.trained
    assert found.description == "the weights of at-0 (step 0)"


def test_a_factory_that_draws_the_same_each_time_gives_no_further_start():
    for first in (plain(seed=3), plain(seed=4)):
        assert len(starts_of({0: first}, lambda: plain(seed=3)).states) == 1


def test_a_factory_of_another_shape_gives_no_further_start():
    narrower = nn.Sequential(nn.Linear(8, 12), nn.BatchNorm1d(12), nn.Linear(12, 4))
    assert len(starts_of({0: narrower}, drawn).states) == 1
    assert len(starts_of({0: nn.Sequential(nn.Linear(8, 16))}, drawn).states) == 1


def test_without_step_0_the_factory_draws_all_starts():
    found = starts_of({40: seeded(5), 100: seeded(6)}, drawn)
    assert [equal(state, seeded(seed)) for seed, state in enumerate(found.states)] == [True] * 3
    assert (found.trained, found.intervention) == (False, "from the start")
    assert found.description == "3 initializations of the factory's"


def test_without_a_factory_step_0_is_a_start_still():
    found = starts_of({0: seeded(5), 100: seeded(6)})
    assert len(found.states) == 1
    assert equal(found.states[0], seeded(5))
    assert (found.trained, found.description) == (False, "the weights of at-0 (step 0)")


@pytest.mark.parametrize("steps", [(40, 100), (None, 100)])
def test_without_initial_weights_trainings_start_from_the_last_checkpoint(steps):
    found = starts_of({steps[0]: seeded(5), steps[1]: seeded(6)})
    assert len(found.states) == 1
    assert equal(found.states[0], seeded(6))
    assert (found.trained, found.intervention) == (True, "into a checkpoint")
    assert found.description == "the weights of at-100"


def test_a_start_is_a_copy():
    network = seeded(5)
    found = starts_of({0: network})
    with torch.no_grad():
        network[0].weight.zero_()
    assert equal(found.states[0], seeded(5))


def test_finding_starts_draws_no_random_number_of_the_users():
    source = {40: seeded(5)}
    before = torch.get_rng_state()
    starts_of(source, drawn)
    assert torch.equal(torch.get_rng_state(), before)
