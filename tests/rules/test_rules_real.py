"""The calls on real networks, through the whole pipeline: healthy ones are left in peace, broken ones are not."""

import math
from collections import OrderedDict

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

from covscan.config import Settings
from covscan.pipeline import analyze

ALARMS = ("COV21", "COV220", "COV4", "COV502", "COV503")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def digits():
    loaded = load_digits()
    return (loaded.data / 16).astype(np.float32)[:1200], loaded.target[:1200]


def mlp(depth=3, activation=nn.ReLU, *, gain=1.0, he=False, norm=None):
    layers = OrderedDict()
    width = 64
    for number in range(1, depth + 1):
        layers[f"fc{number}"] = nn.Linear(64, width)
        if norm:
            layers[f"norm{number}"] = norm(width)
        layers[f"act{number}"] = activation()
    layers["head"] = nn.Linear(width, 10)
    made = nn.Sequential(layers)
    for part in made.modules():
        if isinstance(part, nn.Linear):
            if he:
                nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            part.weight.data *= gain
    return made


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x):
        return F.relu(x + self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


def resnet():
    return nn.Sequential(
        OrderedDict(
            stem=nn.Conv2d(1, 8, 3, padding=1, bias=False), bn=nn.BatchNorm2d(8), relu=nn.ReLU(),
            b1=Block(8), b2=Block(8), pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), head=nn.Linear(8, 10),
        )
    )  # fmt: skip


class Transformer(nn.Module):
    def __init__(self, layers=4):
        super().__init__()
        self.embed = nn.Embedding(50, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, 50)

    def forward(self, tokens):
        return self.head(self.norm(self.blocks(self.embed(tokens))))


def train(model, data, target, steps, rate=1e-3):
    """Adam on random batches, in place."""
    optimizer = torch.optim.Adam(model.parameters(), rate)
    inputs, labels = torch.from_numpy(data), torch.from_numpy(target)
    model.train()
    for _ in range(steps):
        chosen = torch.randint(0, len(inputs), (64,))
        loss = F.cross_entropy(model(inputs[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def report_of(build, states, data, tmp_path, **settings):
    """The report on a network at the given (step, state_dict)s."""
    for step, state in states:
        torch.save({"step": step, "model": state}, tmp_path / f"step-{step}.pt")
    return analyze(
        Settings(
            model=build, data=data, checkpoints=(str(tmp_path),), positions=8, device="cpu", samples=256, **settings
        )
    )


def copied(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def alarms(report):
    return [
        (finding.code, finding.site, finding.message)
        for finding in report.findings
        if finding.severity != "info" and finding.code.startswith(ALARMS)
    ]


def codes(report):
    return {finding.code for finding in report.findings}


def test_a_batchnorm_resnet_is_left_in_peace_before_and_after_training(digits, tmp_path):
    data, target = digits[0].reshape(-1, 1, 8, 8), digits[1]
    model = resnet()
    start = copied(model)
    train(model, data, target, 80)
    report = report_of(resnet, [(0, start), (80, copied(model))], data, tmp_path)
    assert alarms(report) == []
    assert report.suggestions == []
    assert "COV504" in codes(report)


def test_an_untrained_batchnorm_resnet_is_left_in_peace(digits, tmp_path):
    report = report_of(resnet, [(0, copied(resnet()))], digits[0].reshape(-1, 1, 8, 8), tmp_path)
    assert alarms(report) == []
    assert report.suggestions == []


def test_an_untrained_prenorm_transformer_is_left_in_peace(tmp_path):
    tokens = np.random.default_rng(0).integers(1, 50, (64, 12))
    report = report_of(Transformer, [(0, copied(Transformer()))], tokens, tmp_path)
    assert alarms(report) == []
    assert report.suggestions == []


@pytest.mark.parametrize("he", [True, False])
def test_a_small_rectifier_network_that_trains_well_gets_nothing(digits, tmp_path, he):
    def build():
        return mlp(he=he)

    model = build()
    start = copied(model)
    train(model, *digits, 200)
    report = report_of(build, [(0, start), (200, copied(model))], digits[0], tmp_path)
    assert report.suggestions == []
    assert alarms(report) == []


def test_weights_ten_times_too_large_are_noticed(digits, tmp_path):
    def build():
        return mlp(gain=10.0, he=True)

    report = report_of(build, [(0, copied(build()))], digits[0], tmp_path)
    assert "COV211" in codes(report)
    assert report.suggestions
    assert "grows" in report.suggestions[0].reason


def test_a_deep_sigmoid_network_is_noticed_and_ranked_from_its_end(digits, tmp_path):
    def build():
        return mlp(6, nn.Sigmoid)

    report = report_of(build, [(0, copied(build()))], digits[0], tmp_path)
    assert {"COV212", "COV214"} <= codes(report)
    assert report.suggestions[0].site in {"fc6", "head"}
    behind = [candidate.site for candidate in report.candidates if candidate.position == "after"]
    assert behind == [f"fc{number}" for number in range(6, 0, -1)]


def test_stored_statistics_of_other_data_are_noticed(digits, tmp_path):
    model = train(mlp(norm=nn.BatchNorm1d), *digits, 150)
    fitting = report_of(lambda: mlp(norm=nn.BatchNorm1d), [(150, copied(model))], digits[0], tmp_path)
    assert not {"COV401", "COV409"} & codes(fitting)
    other = report_of(lambda: mlp(norm=nn.BatchNorm1d), [(150, copied(model))], 1 - digits[0], tmp_path)
    assert {"COV401", "COV409"} <= codes(other)


def test_a_trained_network_whose_statistics_never_moved_is_an_error(digits, tmp_path):
    model = train(mlp(norm=lambda width: nn.BatchNorm1d(width, momentum=0.0)), *digits, 50)
    report = report_of(lambda: mlp(norm=nn.BatchNorm1d), [(50, copied(model))], digits[0], tmp_path)
    assert [f.severity for f in report.findings if f.code == "COV402"] == ["error"]


def test_broken_weights_are_named_with_the_first_site_they_break(digits, tmp_path):
    model = mlp()
    start = copied(model)
    broken = copied(model)
    broken["fc2.weight"][3, 3] = math.nan
    report = report_of(mlp, [(0, start), (10, broken)], digits[0], tmp_path)
    first = next(f for f in report.findings if f.code == "COV103")
    assert (first.site, first.position, first.checkpoint) == ("fc2", "output", "step-10")
    weights = next(f for f in report.findings if f.code == "COV104")
    assert weights.evidence["weights"] == ["fc2.weight"]


def test_identical_checkpoints_show_no_shift(digits, tmp_path):
    state = copied(mlp())
    report = report_of(mlp, [(0, state), (10, state), (20, state)], digits[0], tmp_path)
    assert {code for code in codes(report) if code < "COV21"} <= {"COV105", "COV106"}


def test_a_planted_bias_is_named_as_the_source(digits, tmp_path):
    model = train(mlp(he=True), *digits, 50)
    start, moved = copied(model), copied(model)
    with torch.no_grad():
        hidden = model.act1(model.fc1(torch.from_numpy(digits[0])))
        spread = model.fc2(hidden).std(dim=0)
    moved["fc2.bias"] += 0.7 * spread
    report = report_of(lambda: mlp(he=True), [(50, start), (60, moved)], digits[0], tmp_path)
    assert [f.site for f in report.findings if f.code == "COV205"] == ["fc2"]
    source = next(f for f in report.findings if f.code == "COV205")
    assert source.evidence["excess_shift"] == pytest.approx(0.7, rel=0.05)
