"""Small trainings: healthy networks get no suggestion and no warning about a state, sick ones do."""

import itertools

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

import covscan

STATIC = {f"COV{number}" for number in (*range(211, 222), *range(401, 416))}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def digits():
    pixels, labels = load_digits(return_X_y=True)
    return torch.tensor(pixels / 16, dtype=torch.float32), torch.tensor(labels)


def mlp():
    widths = (64, 64, 64, 64)
    layers = [[nn.Linear(a, b), nn.ReLU()] for a, b in itertools.pairwise(widths)]
    return nn.Sequential(*itertools.chain(*layers), nn.Linear(64, 10))


def conv_net():
    widths = (1, 12, 16, 24)
    layers = [
        [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()] for a, b in itertools.pairwise(widths)
    ]
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), *itertools.chain(*layers), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 10)
    )


def transformer():
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True, dropout=0.0)
    encoder = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(16), enable_nested_tensor=False)
    return nn.Sequential(nn.Unflatten(1, (8, 8)), nn.Linear(8, 16), encoder, nn.Flatten(), nn.Linear(128, 10))


def sigmoids():
    widths = (64, 50, 50, 50, 50, 50)
    layers = [[nn.Linear(a, b), nn.Sigmoid()] for a, b in itertools.pairwise(widths)]
    return nn.Sequential(*itertools.chain(*layers), nn.Linear(50, 10))


def ten_times_too_large():
    network = mlp()
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(10)
    return network


def trained(factory, digits, folder, optimizer=torch.optim.Adam, rate=2e-3, steps=150):
    """The report of a network at the start and after some training on three quarters of the digits."""
    pixels, labels = digits
    torch.manual_seed(0)
    network = factory()
    stepping = optimizer(network.parameters(), lr=rate)
    torch.save({"step": 0, "model": network.state_dict()}, folder / "step-0.pt")
    for batch in torch.randint(0, 1285, (steps, 60)):
        loss = nn.functional.cross_entropy(network(pixels[batch]), labels[batch])
        stepping.zero_grad()
        loss.backward()
        stepping.step()
    torch.save({"step": steps, "model": network.state_dict()}, folder / f"step-{steps}.pt")
    return covscan.analyze(folder, data={"x": pixels[1285:].numpy()}, model=factory, samples=128)


@pytest.mark.parametrize("factory", [mlp, conv_net, transformer])
def test_a_healthy_network_gets_no_suggestion_and_no_warning(digits, tmp_path, factory):
    report = trained(factory, digits, tmp_path)
    assert report.suggestions == []
    alarms = [f for f in report.findings if f.code in STATIC and f.severity != "info"]
    assert [(finding.code, finding.message) for finding in alarms] == []
    assert "COV504" in {finding.code for finding in report.findings}


def test_sigmoids_that_do_not_learn_get_one(digits, tmp_path):
    report = trained(sigmoids, digits, tmp_path, optimizer=torch.optim.SGD, rate=0.1)
    assert report.suggestions[0].norm == "BatchNorm1d"
    assert {"COV212", "COV214"} <= {finding.code for finding in report.findings if finding.severity == "warning"}


def test_an_initialization_ten_times_too_large_is_seen(digits, tmp_path):
    report = trained(ten_times_too_large, digits, tmp_path)
    assert "COV211" in {finding.code for finding in report.findings if finding.severity == "warning"}
