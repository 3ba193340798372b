import numpy as np
import pytest
import torch
from gradient_testing import MemorySource
from torch import nn
from training_testing import digits, plain, states

from covscan.capture.types import Network
from covscan.config import Settings
from covscan.data import open_samples
from covscan.errors import UsageError
from covscan.prove import gather as module
from covscan.prove import trial
from covscan.prove.gather import gather, open_bench
from covscan.prove.trial import affordable
from covscan.prove.types import Question
from covscan.surgery.types import Insertion

PLACES = tuple(Insertion(str(2 * layer), "after", "BatchNorm1d", 16, 1) for layer in range(3))
QUESTION = Question(PLACES, {}, PLACES, PLACES[-1].place)
NOTHING = Network((), (), (), ())


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Trials of two steps, and no gradients."""
    monkeypatch.setattr(trial, "HORIZONS", (2,))
    monkeypatch.setattr(trial, "_FIRST_LOOK", 2)
    monkeypatch.setattr(module, "gradient_evidence", lambda *words, **more: None)


def gathered(question=QUESTION, model=None, **changes):
    model = model if model is not None else plain()
    settings = Settings(**({"data": digits(64), "target": "y", "loss": "cross_entropy", "optimizer": "sgd"} | changes))
    told = []
    source = MemorySource(model, states(model))
    found = gather(
        open_bench(source, settings, open_samples(settings)),
        source,
        settings,
        NOTHING,
        question,
        lambda *words: told.append(words),
    )
    return found[1], told


def refused(**changes):
    with pytest.raises(UsageError) as caught:
        gathered(**changes)
    return caught.value


def test_a_budget_for_all_places_gives_a_trial_of_all():
    found, told = gathered(trial_steps=600, lr=0.1)
    assert found.tier == "trial"
    assert {each.insertion for each in found.places} == set(PLACES)
    assert all(each.gain and each.probe and each.horizon == 2 for each in found.places)
    assert (found.loss, found.optimizer, found.rate, found.batch_size, found.samples) == (
        "cross_entropy", "sgd", 0.1, 32, 64,
    )  # fmt: skip
    assert found.start == "the weights of step-0 (step 0)"
    assert 0 < found.steps <= found.budget == 600
    assert found.forwards > 0
    assert len(found.curve_without) == len(found.curve_with) == 2
    assert found.everywhere is not None
    assert found.last == ("4", "after")
    assert found.notes == ()
    assert told[0][0] == "one-step probe"
    assert told[-1] == ("training trial", found.steps, 600)


def test_what_is_asked_for_is_not_exceeded():
    found, told = gathered(trial_steps=600, evidence="probe")
    assert found.tier == "probe"
    assert found.steps == 0
    assert all(each.probe and each.gain is None for each in found.places)
    values = [each.probe.value for each in found.places]
    assert values == sorted(values, reverse=True)
    assert found.notes == ()
    stages, done, most = zip(*told, strict=True)
    assert set(stages) == {"one-step probe"}
    assert len(set(done)) > 3
    assert list(done) == sorted(done)
    assert {done[-1]} == set(most)
    assert gathered(evidence="gradient")[0] is None


def test_a_budget_too_small_for_a_trial_gives_a_probe_and_says_so():
    found, _ = gathered(trial_steps=40)
    assert found.tier == "probe"
    assert len(found.places) == 3
    (note,) = found.notes
    assert note == (
        "A training trial would take more steps than the budget allows: suggestions rest on the one-step probe. "
        "--trial-steps raises the budget, --sites and --exclude leave places out."
    )


@pytest.mark.parametrize(
    ("left", "which"), [(1, "1 place that promised least {} was"), (2, "2 places that promised least {} were")]
)
def test_a_budget_for_some_places_trains_those_that_promise_most_and_says_how_many_are_left(left, which):
    places = tuple(Insertion(str(2 * layer), "after", "BatchNorm1d", 16, 1) for layer in range(5))
    budget = next(steps for steps in range(100, 10_000) if affordable(steps, 5) == 5 - left)
    found, _ = gathered(Question(places, {}, places, places[-1].place), plain(depth=5), trial_steps=budget)
    assert [each.gain is None for each in found.places] == [False] * (5 - left) + [True] * left
    least = min(each.probe.value for each in found.places[: 5 - left])
    assert all(each.probe.value <= least for each in found.places[5 - left :])
    (note,) = found.notes
    assert note.startswith(f"{which.format('in the one-step probe')} not trained")


@pytest.mark.parametrize(("evidence", "begins"), [(None, "Neither a training trial nor"), ("probe", "Not even")])
def test_a_budget_too_small_for_anything_tries_nothing_and_says_so(evidence, begins):
    found, told = gathered(trial_steps=1, evidence=evidence)
    assert found.places == ()
    assert (found.steps, told) == (0, [])
    (note,) = found.notes
    assert note.startswith(f"{begins} a one-step probe of all places fits the budget: only forward evidence was used.")


def test_without_an_optimizer_the_one_taken_is_named():
    found, _ = gathered(optimizer=None, evidence="probe", trial_steps=60)
    assert found.optimizer == "adam"
    assert found.notes == ("--optimizer was not given: trials train with adam.",)


def test_trained_weights_are_said_to_be_where_trials_start():
    model = plain()
    source = MemorySource(model, states(model, plain(seed=1)))
    late = [type(one)(one.id, one.path, 7 + one.step, one.sha256) for one in source.series.checkpoints]
    source.series = type(source.series)(tuple(late), "given")
    source.states = [{}] * 7 + source.states
    settings = Settings(data=digits(64), target="y", loss="cross_entropy", evidence="probe", trial_steps=60)
    _, found = gather(
        open_bench(source, settings, open_samples(settings)), source, settings, NOTHING, QUESTION, lambda *words: None
    )
    assert (found.intervention, found.start) == ("into a checkpoint", "the weights of step-1")


def test_where_there_is_no_place_nothing_is_tried():
    assert gathered(Question((), {}, (), None))[0] is None


def test_a_budget_is_what_a_step_costs_and_not_how_busy_the_machine_is(monkeypatch):
    monkeypatch.setattr(module, "_SECONDS", 0.01)
    one, two = (gathered(optimizer="sgd")[0].budget for _ in range(2))
    assert one == two
    assert 0 < one < module.BUDGET


def test_a_loss_is_needed():
    assert refused(loss=None).code == "no-loss"


def test_something_must_be_trainable():
    frozen = plain().requires_grad_(False)
    assert refused(model=frozen).code == "nothing-to-train"


def test_a_loss_that_is_not_finite_at_the_start_is_refused():
    with torch.no_grad():
        broken = plain()
        broken[0].weight.fill_(float("inf"))
    error = refused(model=broken)
    assert error.code == "cannot-train"
    assert "not finite" in error.message
    assert "--evidence forward" in error.hint


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"data": {"x": digits(64)["x"], "y": digits(64)["y"] + 5}}, "bad-target"),
        ({"data": {"x": digits(64)["x"], "y": np.zeros((64, 3), np.float32)}}, "bad-target"),
        ({"loss": "mse"}, "bad-target"),
        ({"loss": lambda output, target: output}, "loss-failed"),
        ({"loss": lambda output, target: (output.detach() ** 2).mean()}, "cannot-train"),
        ({"loss": "crossentropy"}, "unknown-loss"),
        ({"optimizer": "adm"}, "unknown-optimizer"),
    ],
    ids=["classes", "shape", "kind", "no number", "no gradient", "name", "optimizer"],
)
def test_what_does_not_fit_is_said_before_anything_is_spent(changes, code):
    assert refused(**changes).code == code


def test_a_model_that_fails_in_training_mode_only_is_refused():
    class Fussy(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(64, 10)

        def forward(self, x):
            if self.training:
                raise ValueError("not while training")
            return self.head(x)

    error = refused(model=Fussy())
    assert error.code == "cannot-train"
    assert "ValueError: not while training" in error.message


def test_data_that_can_be_read_only_once_gives_the_samples_of_the_measurement():
    data = digits(96)
    batches = ({"x": data["x"][start : start + 16], "y": data["y"][start : start + 16]} for start in range(0, 96, 16))
    settings = Settings(data=batches, target="y", loss="cross_entropy", samples=48)
    samples = open_samples(settings)
    assert sum(batch.n for batch in samples.batches()) == 48
    model = plain()
    bench, _ = open_bench(MemorySource(model, states(model)), settings, samples)
    assert bench.pool.count == 48


def test_data_that_can_be_read_again_gives_more_samples_than_were_measured():
    settings = Settings(data=digits(200), target="y", loss="cross_entropy", samples=48, train_samples=150)
    model = plain()
    bench, _ = open_bench(MemorySource(model, states(model)), settings, open_samples(settings))
    assert bench.pool.count == 150
    bench, _ = open_bench(MemorySource(model, states(model)), settings, open_samples(settings), held_out=0.2)
    assert (bench.pool.count, sum(draw.n for draw in bench.pool.held_out)) == (120, 30)
