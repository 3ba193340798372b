"""Losses and gradients over a series, against the same by hand."""

import copy
import math
from itertools import combinations

import pytest
import torch
from gradient_testing import CPU, MemorySource, draw_of, fingerprint, measure, network_of, pool_of, trained_states
from torch import nn

from covscan.errors import UsageError
from covscan.prove.gradient_probe import probing
from covscan.prove.gradient_types import Effort, spread
from covscan.prove.gradients import gradient_evidence
from covscan.prove.objective import open_objective
from covscan.prove.optimizers import open_trainer


class Residual(nn.Module):
    """fc1 -> norm -> relu, + fc2 of it, head; a parameter that belongs to no layer, and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(6))
        self.fc1 = nn.Linear(6, 12)
        self.norm = nn.BatchNorm1d(12)
        self.act = nn.ReLU()
        self.drop = nn.Dropout(0.25)
        self.fc2 = nn.Linear(12, 12)
        self.head = nn.Linear(12, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.act(self.norm(self.fc1(x + self.offset)))
        return self.head(hidden + self.drop(self.fc2(hidden)))


@pytest.fixture
def problem():
    torch.manual_seed(3)
    model = Residual()
    inputs = torch.randn(96, 6)
    targets = torch.tanh(inputs @ torch.randn(6, 3))
    return model, inputs, targets, trained_states(model, inputs, targets, 0.1, 10, 4)


def plain() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def squared(output: torch.Tensor, target: torch.Tensor) -> float:
    return float((output.detach() - target).square().mean())


def test_the_profile_is_that_of_autograd_by_hand():
    model = plain()
    inputs, targets = torch.randn(64, 6), torch.randn(64, 3)
    found = measure(model, [model.state_dict()], inputs, targets, rate=0.1)
    draws = pool_of(inputs, targets, 16).disjoint(0, 4)
    assert sum(draw.n for draw in draws) == 64
    for place, name in enumerate(("0", "2")):
        gradients = []
        weight = model.get_submodule(name).weight
        for draw in draws:
            loss = (model(*draw.args) - draw.target).square().mean()
            gradients.append(torch.autograd.grad(loss, weight)[0].double())
        norm = math.sqrt(sum(float(g.square().sum()) for g in gradients) / 4)
        apart = [float((a - b).square().sum()) for a, b in combinations(gradients, 2)]
        size = float(weight.detach().double().norm())
        aligned = [abs(float((g * weight.detach()).sum())) / size / float(g.norm()) for g in gradients]
        layer = found.layers[place]
        assert layer.layer == name
        assert layer.gradient_norm == pytest.approx(norm, rel=1e-5)
        assert layer.gradient_rms == pytest.approx(norm / math.sqrt(weight.numel()), rel=1e-5)
        assert layer.weight_norm == pytest.approx(size, rel=1e-5)
        assert layer.relative_gradient == pytest.approx(norm / size, rel=1e-5)
        assert layer.gradient_noise == pytest.approx(math.sqrt(sum(apart) / 6) / norm, rel=1e-5)
        assert layer.scale_invariance == pytest.approx(sum(aligned) / 4, rel=1e-4)
        assert layer.update_ratio == pytest.approx(0.1 * float(gradients[-1].norm()) / size, rel=1e-3)
    assert found.mean_loss("step-0") == pytest.approx(squared(model(inputs), targets), rel=1e-5)
    assert found.batch_size == 16
    assert found.batches == 4


def test_weights_in_front_of_a_batchnorm_are_scale_invariant(problem):
    model, inputs, targets, states = problem
    found = {each.layer: each.scale_invariance for each in measure(model, states, inputs, targets).at("step-3")}
    assert found["fc1"] < 1e-3
    assert found["head"] > 0.01


def test_noise_is_zero_for_equal_batches_and_the_square_root_of_two_for_unrelated_gradients():
    model = nn.Sequential(nn.Linear(400, 1, bias=False))
    nn.init.zeros_(model[0].weight)
    same = measure(model, [model.state_dict()], torch.ones(32, 400), torch.ones(32, 1), size=8)
    assert same.layers[0].gradient_noise == 0
    assert same.layers[0].status == "all weights are zero"
    inputs, targets = torch.randn(32, 400), torch.randn(32, 1)
    assert measure(model, [model.state_dict()], inputs, targets, size=8).layers[0].gradient_noise == pytest.approx(
        math.sqrt(2), rel=0.1
    )


def test_the_shift_is_that_of_a_network_put_together_by_hand(problem):
    model, inputs, targets, states = problem
    model.drop.p = 0.0
    found = measure(model, states, inputs, targets, effort=Effort(pairs=1, landscapes=0, profiles=1))
    draws = pool_of(inputs, targets, 16).disjoint(0, 4)
    here, there = copy.deepcopy(model), copy.deepcopy(model)
    here.load_state_dict(states[2])
    there.load_state_dict(states[3])
    before = {"fc1": ("offset",), "fc2": ("offset", "fc1", "norm"), "head": ("offset", "fc1", "norm", "fc2")}
    assert [shift.layer for shift in found.shifts] == list(before)
    for shift in found.shifts:
        mixed = copy.deepcopy(here)
        for name in before[shift.layer]:
            setattr(mixed, name, copy.deepcopy(getattr(there, name)))
        apart = whole = cosine = 0.0
        for draw in draws:
            pair = []
            for net in (here, mixed):
                net.train()
                loss = (net(*draw.args) - draw.target).square().mean()
                pair.append(torch.autograd.grad(loss, net.get_submodule(shift.layer).weight)[0].double())
            own, other = pair
            apart += float((own - other).square().sum())
            whole += float(own.square().sum())
            cosine += float((own * other).sum() / own.norm() / other.norm()) / 4
        assert (shift.start, shift.end) == ("step-2", "step-3")
        assert shift.relative == pytest.approx(math.sqrt(apart / whole), rel=1e-3)
        assert shift.cosine == pytest.approx(cosine, abs=1e-5)
        assert shift.noise == {each.layer: each.gradient_noise for each in found.at("step-2")}[shift.layer]
        assert shift.significant == (shift.relative > shift.noise)
    assert [shift.preceding for shift in found.shifts] == [1, 5, 7]


def test_equal_checkpoints_do_not_shift_at_all(problem):
    model, inputs, targets, states = problem
    found = measure(model, [states[1], states[1]], inputs, targets)
    assert found.shifts
    assert {(shift.relative, shift.cosine, shift.significant) for shift in found.shifts} == {(0.0, 1.0, False)}
    assert found.loss_by_checkpoint["step-0"] == found.loss_by_checkpoint["step-1"]


def test_only_what_comes_before_a_layer_counts(problem):
    """With the head alone moved, no layer has a gradient shift, though every gradient is another one."""
    model, inputs, targets, states = problem
    later = {**states[1], "head.weight": states[1]["head.weight"] * 2}
    found = measure(model, [states[1], later], inputs, targets)
    assert all(shift.relative == 0 for shift in found.shifts)
    first, second = (found.at(name)[0].gradient_norm for name in ("step-0", "step-1"))
    assert first != second


def test_dropout_is_no_difference(problem):
    model, inputs, targets, states = problem
    later = {**states[1], "fc1.weight": states[1]["fc1.weight"] * (1 + 1e-6)}
    found = measure(model, [states[1], later], inputs, targets)
    assert all(shift.relative < 1e-3 and shift.cosine > 0.999 for shift in found.shifts)


@pytest.mark.parametrize("rate", [0.1, None])
def test_everything_is_left_as_found(problem, rate):
    model, inputs, targets, states = problem
    model.load_state_dict(states[-1])
    model.fc1.weight.grad = torch.ones_like(model.fc1.weight)
    model.eval()
    model.drop.train()
    before = fingerprint(model)
    source = MemorySource(model, states)
    model.drop.train()
    pool, network = pool_of(inputs, targets, 16), network_of(model, inputs)
    gradient_evidence(
        source,
        source.series.checkpoints,
        network,
        pool,
        open_objective("mse"),
        open_trainer("adam"),
        rate,
        CPU,
    )
    assert fingerprint(model) == before


def test_everything_is_left_as_found_by_what_fails(problem):
    model, inputs, targets, states = problem
    model.load_state_dict(states[0])
    source, before, calls = MemorySource(model, states), fingerprint(model), []

    def loss(output, target):
        calls.append(1)
        if len(calls) > 3:
            raise ValueError("no more")
        return (output - target).square().mean()

    with pytest.raises(UsageError) as error:
        gradient_evidence(
            source,
            source.series.checkpoints[:1] * 2,
            network_of(model, inputs),
            pool_of(inputs, targets, 16),
            open_objective(loss),
            open_trainer("sgd"),
            0.1,
            CPU,
        )
    assert error.value.code == "loss-failed"
    assert fingerprint(model) == before


def test_the_cost_is_told_bounded_and_the_same_each_time(problem):
    model, inputs, targets, states = problem
    told: list[int] = []
    effort = Effort()
    found = measure(model, states, inputs, targets, tick=told.append, effort=effort)
    assert sum(told) == found.spent_forwards
    profiles = 4 * 3 * 4 + 1
    pairs = 3 * 3 * 4 * 3
    landscapes = 3 * 2 * (6 + 3 * 4 + 8 * 12)
    assert effort.most_forwards(4, 3, rate_known=True) == profiles + pairs + landscapes
    assert found.spent_forwards <= profiles + pairs + landscapes
    assert measure(model, states, inputs, targets) == found


@pytest.mark.parametrize("rate", [0.01, None])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("effort", [Effort(), Effort(2, 5, 2, 3, 1, 2, 3, 4), Effort(iterations=1)])
def test_the_bound_on_the_cost_holds(problem, optimizer, rate, effort):
    model, inputs, targets, states = problem
    found = measure(model, states, inputs, targets, optimizer=optimizer, rate=rate, effort=effort)
    most = effort.most_forwards(4, 3, rate_known=rate is not None, divides=optimizer == "adam")
    assert found.spent_forwards <= most
    if effort.iterations == 1:
        assert found.spent_forwards == most


def test_what_is_more_is_thinned_out_and_said():
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(4, 4) for _ in range(9)))
    inputs, targets = torch.randn(32, 4), torch.randn(32, 4)
    states = trained_states(model, inputs, targets, 0.05, 1, 9)
    effort = Effort(layers=3, profiles=2, pairs=1, landscapes=1, checkpoints=5, probes=1, iterations=3)
    found = measure(model, states, inputs, targets, size=8, effort=effort)
    assert [shift.layer for shift in found.shifts] == ["1", "4", "8"] or len(found.shifts) == 3
    assert found.checkpoints == ("step-0", "step-2", "step-4", "step-6", "step-8")
    assert set(found.loss_by_checkpoint) == set(found.checkpoints)
    assert [each.checkpoint for each in found.landscapes] == ["step-8"]
    assert {each.checkpoint for each in found.layers} == {"step-0", "step-6", "step-8"}
    assert any("3 of 8 layers" in note for note in found.notes)
    assert any("5 of 9 checkpoints" in note for note in found.notes)


def test_batches_are_made_smaller_where_samples_are_few():
    model = plain()
    found = measure(model, [model.state_dict()], torch.randn(20, 6), torch.randn(20, 3), size=16)
    assert (found.batches, found.batch_size) == (4, 5)
    assert any("instead of 10" in note for note in found.notes)
    few = measure(model, [model.state_dict()], torch.randn(2, 6), torch.randn(2, 3), size=16)
    assert (few.batches, few.batch_size) == (2, 1)
    assert any("2 batches only" in note for note in few.notes)
    one = measure(model, [model.state_dict()] * 2, torch.randn(1, 6), torch.randn(1, 3), size=16)
    assert one.layers[0].gradient_noise is None
    assert not any(shift.significant for shift in one.shifts)


def test_frozen_layers_are_left_out_and_a_frozen_network_says_so():
    model = plain()
    model[0].requires_grad_(False)
    found = measure(model, [model.state_dict()] * 2, torch.randn(64, 6), torch.randn(64, 3))
    assert {each.layer for each in found.layers} == {"2"}
    assert found.shifts == ()
    model.requires_grad_(False)
    none = measure(model, [model.state_dict()] * 3, torch.randn(64, 6), torch.randn(64, 3))
    assert (none.layers, none.turns, none.spent_forwards) == ((), (), 0)
    assert none.notes == ("no parameter asks for a gradient",)


def test_what_is_not_finite_is_missing_and_says_why():
    model = plain()
    broken = copy.deepcopy(model.state_dict())
    broken["2.weight"][0, 0] = float("nan")
    found = measure(model, [model.state_dict(), broken], torch.randn(64, 6), torch.randn(64, 3))
    assert found.loss_by_checkpoint["step-1"] == (None,) * 4
    assert found.mean_loss("step-1") is None
    assert {each.status for each in found.at("step-1")} == {"the gradient or a weight is not finite"}
    assert [shift.status for shift in found.shifts] == [None]  # what is broken comes behind what feeds the layer
    broken["0.weight"][0, 0] = float("nan")
    shift = measure(model, [model.state_dict(), broken], torch.randn(64, 6), torch.randn(64, 3)).shifts[0]
    assert (shift.relative, shift.status) == (None, "the gradient is zero or not finite")
    assert found.landscapes[-1].sharpness is None
    assert "not finite" in found.landscapes[-1].status


def test_a_model_that_refuses_training_mode_is_measured_in_evaluation_mode():
    class Stubborn(nn.Sequential):
        def train(self, mode=True):
            if mode:
                raise NotImplementedError
            return super().train(mode)

    model = Stubborn(nn.Linear(4, 4), nn.Dropout(0.5))
    draw = draw_of(torch.randn(8, 4), torch.randn(8, 4))
    with probing(model, open_objective("mse"), CPU) as probe:
        assert not model[1].training
        assert probe.value(draw, 0) == pytest.approx(squared(model[0](draw.args[0]), draw.target))


def test_a_model_without_a_gradient_is_the_users_error():
    class Cut(nn.Linear):
        def forward(self, x):
            return super().forward(x).detach()

    model = nn.Sequential(Cut(6, 3))
    with pytest.raises(UsageError) as error:
        measure(model, [model.state_dict()], torch.randn(64, 6), torch.randn(64, 3))
    assert error.value.code == "gradient-failed"
    broken = nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3))
    with pytest.raises(UsageError, match="ValueError"):
        measure(broken, [broken.state_dict()], torch.randn(2, 6), torch.randn(2, 3), size=1)


def test_sparse_and_shared_weights_are_measured():
    class Language(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(11, 8, sparse=True)
            self.lstm = nn.LSTM(8, 8, batch_first=True)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.head = nn.Linear(8, 11)
            self.out = nn.Linear(8, 11)
            self.out.weight = self.head.weight

        def forward(self, x):
            hidden, _ = self.lstm(self.embed(x))
            mixed, _ = self.attention(hidden, hidden, hidden, need_weights=False)
            return self.head(mixed) + self.out(hidden)

    torch.manual_seed(0)
    model = Language()
    inputs = torch.randint(0, 11, (32, 5))
    later = {name: tensor * 1.5 for name, tensor in model.state_dict().items()}
    found = measure(model, [model.state_dict(), later], inputs, inputs, loss="cross_entropy", optimizer="momentum")
    assert [each.layer for each in found.at("step-0")] == ["embed", "lstm", "attention", "head"]
    assert [shift.layer for shift in found.shifts] == ["lstm", "attention", "head"]
    assert all(shift.relative > 0 for shift in found.shifts)
    assert all(each.sharpness is not None for each in found.landscapes)


def test_checkpoints_are_spread_with_both_ends():
    assert spread(3, 6) == [0, 1, 2]
    assert spread(10, 4) == [0, 3, 6, 9]
    assert spread(10, 1) == [9]
    assert spread(10, 0) == []
    assert spread(0, 3) == []
    assert spread(-1, 3) == []
