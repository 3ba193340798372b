"""A shift of known size is planted in one layer: it is found there, with its size, and nowhere behind."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import covscan

SAMPLES = 96


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def mlp():
    return nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 5))


def conv_net():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
        nn.Conv2d(8, 10, 3, stride=2), nn.BatchNorm2d(10), nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(10, 4),
    )  # fmt: skip


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(12, 16)
        self.up = nn.ModuleList(nn.Linear(16, 32) for _ in range(3))
        self.down = nn.ModuleList(nn.Linear(32, 16) for _ in range(3))
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        x = self.stem(x)
        for up, down in zip(self.up, self.down, strict=True):
            x = x + down(torch.relu(up(x)))
        return self.head(x)


def transformer():
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True)
    return nn.Sequential(nn.Embedding(20, 16), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter = nn.Linear(6, 10)
        self.lstm = nn.LSTM(10, 12, batch_first=True)
        self.leave = nn.Linear(12, 5)

    def forward(self, x):
        return self.leave(self.lstm(self.enter(x))[0])


def dense(*shape):
    return np.random.default_rng(1).normal(size=(SAMPLES, *shape)).astype(np.float32)


def tokens():
    return np.random.default_rng(1).integers(0, 20, size=(SAMPLES, 9))


# Network, data, the layer that moves, and the layers behind it that don't.
PLACES = {
    "first of mlp": (mlp, dense(12), "0", ["2", "4"]),
    "middle of mlp": (mlp, dense(12), "2", ["4"]),
    "conv before batchnorm": (conv_net, dense(3, 8, 8), "3", ["4", "8"]),
    "batchnorm before in-place relu": (conv_net, dense(3, 8, 8), "1", ["3", "4", "8"]),
    "branch of a residual net": (Residual, dense(12), "down.1", ["up.2", "down.2", "head"]),
    "feed-forward of a transformer": (transformer, tokens(), "1.layers.0.linear1", ["1.layers.0.linear2"]),
    "norm of a transformer": (transformer, tokens(), "1.layers.1.norm2", ["1.layers.1.linear1"]),
    "in front of an lstm": (Recurrent, dense(7, 6), "enter", ["lstm", "leave"]),
    "behind an lstm": (Recurrent, dense(7, 6), "leave", []),
}  # fmt: skip


def build(factory):
    """The network in eval mode; its normalizations have seen data, as those of a trained one have."""
    torch.manual_seed(0)
    network = factory()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return network.eval()


def output_of(network, name, x):
    """What one layer gives, as (values, channels)."""
    kept = []
    handle = network.get_submodule(name).register_forward_hook(lambda module, args, out: kept.append(out.clone()))
    with torch.no_grad():
        network(torch.from_numpy(x))
    handle.remove()
    values = kept[0].movedim(1, -1) if kept[0].ndim == 4 else kept[0]
    return values.flatten(0, -2).double()


def plant(network, name, x, *, bias=0.0, scale=1.0):
    """Move every channel of a layer's output by ``bias`` of its standard deviations, or multiply it by ``scale``."""
    layer = network.get_submodule(name)
    with torch.no_grad():
        sigma = output_of(network, name, x).std(0, correction=0).float()
        if layer.bias is None:
            layer.bias = nn.Parameter(torch.zeros(len(layer.weight)))
        layer.weight.mul_(scale)
        layer.bias.mul_(scale).add_(bias * sigma)


def series(tmp_path, factory, x, name, **planted):
    """Two checkpoints, the planted shift between them."""
    network = build(factory)
    torch.save(network.state_dict(), tmp_path / "step-0.pt")
    plant(network, name, x, **planted)
    torch.save(network.state_dict(), tmp_path / "step-1.pt")
    np.savez(tmp_path / "x.npz", x=x)
    return [tmp_path / "step-0.pt", tmp_path / "step-1.pt"], tmp_path / "x.npz"


def excess(report, measure="excess_shift"):
    """Site → value of a measure, outputs alone, largest first."""
    found = {
        shift.site: shift.measures[measure].value
        for shift in report.shifts
        if shift.position == "output" and shift.measures[measure].value is not None
    }
    return dict(sorted(found.items(), key=lambda item: -abs(item[1])))


def source_named(report):
    return next(finding for finding in report.findings if finding.code == "COV205").site


LARGER = ("middle of mlp", "conv before batchnorm", "in front of an lstm")


@pytest.mark.parametrize(("place", "bias"), [*((place, 0.3) for place in PLACES), *((place, 1.0) for place in LARGER)])
def test_a_planted_bias_is_found_where_it_is_with_its_size(tmp_path, place, bias):
    factory, x, name, behind = PLACES[place]
    checkpoints, data = series(tmp_path, factory, x, name, bias=bias)
    report = covscan.analyze(checkpoints, data=data, model=factory, positions=None)
    ranked = excess(report)
    assert next(iter(ranked)) == name
    assert ranked[name] == pytest.approx(bias, rel=0.05)
    assert excess(report, "excess_mean_difference")[name] == pytest.approx(bias, rel=0.05)
    assert abs(excess(report, "excess_log_variance_ratio")[name]) < 0.01
    assert {other: ranked[other] for other in behind} == dict.fromkeys(behind, 0.0)
    assert [value for other, value in ranked.items() if other != name] == [0.0] * (len(ranked) - 1)
    assert source_named(report) == name


@pytest.mark.parametrize(("place", "scale"), [*((place, 2.0) for place in PLACES), *((place, 0.5) for place in LARGER)])
def test_a_planted_scale_is_found_where_it_is_with_its_size(tmp_path, place, scale):
    factory, x, name, behind = PLACES[place]
    checkpoints, data = series(tmp_path, factory, x, name, scale=scale)
    report = covscan.analyze(checkpoints, data=data, model=factory)
    ranked = excess(report)
    assert next(iter(ranked)) == name
    assert excess(report, "excess_log_variance_ratio")[name] == pytest.approx(2 * math.log(scale), rel=0.05)
    assert {other: ranked[other] for other in behind} == dict.fromkeys(behind, 0.0)
    assert source_named(report) == name


@pytest.mark.parametrize("bias", [0.3, 1.0])
def test_the_size_holds_at_the_default_positions_of_a_larger_image(tmp_path, bias):
    x = dense(3, 16, 16)
    checkpoints, data = series(tmp_path, conv_net, x, "3", bias=bias)
    report = covscan.analyze(checkpoints, data=data, model=conv_net)
    assert excess(report, "excess_mean_difference")["3"] == pytest.approx(bias, rel=0.05)


@pytest.mark.parametrize(
    ("factory", "x", "name", "weights"),
    [
        (Recurrent, dense(7, 6), "lstm", ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]),
        (transformer, tokens(), "1.layers.0.self_attn", ["in_proj_weight", "in_proj_bias"]),
    ],
)
def test_a_layer_that_is_no_matrix_is_named_as_the_source(tmp_path, factory, x, name, weights):
    network = build(factory)
    torch.save(network.state_dict(), tmp_path / "step-0.pt")
    layer = network.get_submodule(name)
    with torch.no_grad():
        for weight in weights:
            getattr(layer, weight).mul_(3.0)
    torch.save(network.state_dict(), tmp_path / "step-1.pt")
    checkpoints = [tmp_path / "step-0.pt", tmp_path / "step-1.pt"]
    report = covscan.analyze(checkpoints, data=x, model=factory)
    ranked = excess(report)
    assert next(iter(ranked)) == name
    assert ranked[name] > 0.2
    assert [value for other, value in ranked.items() if other != name] == [0.0] * (len(ranked) - 1)
    assert source_named(report) == name


def test_the_two_that_move_are_both_named_and_the_larger_first(tmp_path):
    x = dense(12)
    network = build(mlp)
    torch.save(network.state_dict(), tmp_path / "step-0.pt")
    plant(network, "0", x, bias=1.0)
    plant(network, "4", x, bias=1.6)
    torch.save(network.state_dict(), tmp_path / "step-1.pt")
    report = covscan.analyze([tmp_path / "step-0.pt", tmp_path / "step-1.pt"], data=x, model=mlp)
    assert [finding.site for finding in report.findings if finding.code == "COV205"] == ["4", "0"]


def test_a_source_is_found_between_the_steps_where_it_moved(tmp_path):
    x = dense(12)
    network = build(mlp)
    torch.save(network.state_dict(), tmp_path / "step-0.pt")
    plant(network, "2", x, bias=1.0)
    torch.save(network.state_dict(), tmp_path / "step-1.pt")
    torch.save(network.state_dict(), tmp_path / "step-2.pt")
    paths = [tmp_path / f"step-{step}.pt" for step in range(3)]
    report = covscan.analyze(paths, data=x, model=mlp)
    sizes = {
        (shift.from_, shift.to): shift.measures["excess_shift"].value
        for shift in report.shifts
        if (shift.site, shift.position) == ("2", "output")
    }
    assert sizes[("step-0", "step-1")] == pytest.approx(1.0, rel=0.05)
    assert sizes[("step-0", "step-2")] == pytest.approx(1.0, rel=0.05)
    assert sizes[("step-1", "step-2")] == 0.0
