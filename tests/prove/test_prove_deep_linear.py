"""Santurkar et al.'s deep linear network: a norm makes gradients shift more, and trains better."""

from statistics import mean

import pytest
import torch
from gradient_testing import CPU, draw_of, network_of
from torch import nn

from covscan.prove.gradient_layers import layers_of
from covscan.prove.gradient_probe import probing
from covscan.prove.gradient_shift import Splices, preceding
from covscan.prove.objective import open_objective

DEPTH, WIDTH, SAMPLES, STEPS, EVERY = 25, 10, 512, 400, 20
PROBES = (9, 17)


def build(norm: bool, initialize) -> nn.Sequential:
    torch.manual_seed(0)
    modules: list[nn.Module] = []
    for number in range(DEPTH):
        layer = nn.Linear(WIDTH, WIDTH, bias=False)
        initialize(layer.weight)
        modules += [layer, nn.BatchNorm1d(WIDTH)] if norm and number < DEPTH - 1 else [layer]
    return nn.Sequential(*modules).train()


def data() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(WIDTH, WIDTH, generator=generator)
    inputs = torch.randn(SAMPLES, WIDTH, generator=generator)
    return inputs, inputs @ target.T


def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (output - target).square().sum(1).mean()


def train(norm: bool, rate: float, *, steps: int = STEPS, shifts: bool = False, initialize=nn.init.xavier_normal_):
    """Last loss, and the cosine between the gradients before and after the layers in front took one step."""
    inputs, targets = data()
    draw, model, cosines = draw_of(inputs, targets), build(norm, initialize), []
    parameters = list(model.parameters())
    network = network_of(model, inputs[:8]) if shifts else None
    before: dict[str, tuple[str, ...]] = {}
    for number in range(steps):
        value = loss(model(inputs), targets)
        gradients = torch.autograd.grad(value, parameters)
        following = {
            name: parameter.detach() - rate * gradient
            for (name, parameter), gradient in zip(model.named_parameters(), gradients, strict=True)
        }
        if network is not None and number % EVERY == 0:
            with probing(model, open_objective(loss), CPU) as probe:
                layers = [layers_of(network, probe)[place - 1] for place in PROBES]
                before = before or preceding(probe, layers, draw)
                splices = Splices(probe, layers, before, following)
                splices.add(draw, 0, dict(zip(following, gradients, strict=True)))
                cosines += [shift.cosine for shift in splices.result("now", "next", {})]
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(following[name])
    return float(value.detach()), mean(cosines) if cosines else None


@pytest.fixture(scope="module")
def runs():
    return {
        "plain": train(False, 1e-4, shifts=True),
        "plain, best rate": train(False, 1e-3),
        "batchnorm": train(True, 1e-3, shifts=True),
    }


def test_without_a_norm_gradients_stay_and_with_one_they_do_not(runs):
    assert runs["plain"][1] > 0.99
    assert abs(runs["batchnorm"][1]) < 0.3


def test_and_yet_the_norm_trains_better_each_at_its_best_rate(runs):
    assert runs["batchnorm"][0] < 0.7 * runs["plain, best rate"][0] < 0.7 * runs["plain"][0]


def test_the_norm_bears_rates_that_the_plain_network_does_not():
    start, _ = train(False, 3e-3, steps=1)
    plain, _ = train(False, 3e-3, steps=STEPS)
    normalized, _ = train(True, 3e-3, steps=STEPS)
    assert not plain < 0.8 * start
    assert normalized < 0.4 * start


def test_from_an_orthogonal_start_the_norm_loses_at_the_same_rate():
    plain, _ = train(False, 1e-4, steps=150, initialize=nn.init.orthogonal_)
    normalized, _ = train(True, 1e-4, steps=150, initialize=nn.init.orthogonal_)
    assert normalized > 1.5 * plain
