"""Who feeds whom, read from real forward passes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from norm_reading import read
from torch import nn

from covscan.measures.topology import topology

IMAGES = np.random.default_rng(0).normal(size=(6, 3, 8, 8)).astype(np.float32)
ROWS = np.random.default_rng(1).normal(size=(6, 12)).astype(np.float32)


def graph_of(module, data):
    return topology(read(module, data)[0])


def names(graph, places):
    return [graph.calls[place].name for place in places]


def place(graph, name):
    return next(number for number, call in enumerate(graph.calls) if call.name == name)


class Residual(nn.Module):
    """Pre-activation or post-activation block with everything between the layers functional."""

    def __init__(self, norm):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.bn1, self.bn2 = (nn.BatchNorm2d(3), nn.BatchNorm2d(3)) if norm else (nn.Identity(), nn.Identity())

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)))
        return F.relu(x + self.bn2(self.conv2(h)))


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.box, self.kind = nn.Linear(12, 12), nn.Linear(12, 4), nn.Linear(12, 2)

    def forward(self, x):
        h = F.relu(self.fc(x))
        return self.box(h), self.kind(h)


def test_functional_operations_do_not_break_the_chain():
    graph = graph_of(nn.Sequential(Residual(True), Residual(True), nn.Conv2d(3, 5, 1)), IMAGES)
    for name in ("0.conv1", "0.conv2", "1.conv1", "1.conv2"):
        assert graph.norm_behind(place(graph, name)) == name.replace("conv", "bn")
    assert graph.norm_ahead(place(graph, "0.conv2")) == "0.bn1"
    assert names(graph, graph.heads()) == ["2"]


def test_without_norms_none_is_found():
    graph = graph_of(nn.Sequential(Residual(False), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(48, 4)), IMAGES)
    assert all(graph.norm_beside(number) is None for number in range(len(graph.calls)))
    assert names(graph, graph.heads()) == ["3"]
    assert "0.conv2" in names(graph, graph.reached(place(graph, "3"), forward=False))


def test_every_head_is_a_head_and_nothing_else():
    graph = graph_of(Heads(), ROWS)
    assert sorted(names(graph, graph.heads())) == ["box", "kind"]
    assert names(graph, graph.before[place(graph, "kind")]) == ["fc"]


def test_an_output_activation_does_not_hide_the_head():
    graph = graph_of(nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 2), nn.Softmax(dim=1)), ROWS)
    assert names(graph, graph.heads()) == ["2"]
    assert names(graph, graph.between(0, forward=True)) == ["1"]


def test_dropout_and_pooling_are_passed_through():
    made = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Dropout(0.5), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1)
    )
    graph = graph_of(made, IMAGES)
    assert graph.norm_behind(0) == "4"
    assert graph.norm_ahead(place(graph, "5")) == "4"


def test_an_empty_network_has_no_heads():
    class Nothing(nn.Module):
        def forward(self, x):
            return torch.relu(x)

    assert graph_of(Nothing(), ROWS).heads() == frozenset()


class Excite(nn.Module):
    """Squeeze-and-excitation in one of its two usual forms, around a convolution."""

    def __init__(self, *, linear):
        super().__init__()
        self.conv, self.relu = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.squeeze = nn.Linear(4, 2) if linear else nn.Conv2d(4, 2, 1)
        self.act = nn.ReLU()
        self.excite = nn.Linear(2, 4) if linear else nn.Conv2d(2, 4, 1)
        self.gate = nn.Sigmoid()
        self.next, self.head = nn.Conv2d(4, 4, 3), nn.Linear(4, 2)
        self.linear = linear

    def forward(self, x):
        x = self.relu(self.conv(x))
        summary = self.pool(x)
        if self.linear:
            summary = summary.flatten(1)
        scale = self.gate(self.excite(self.act(self.squeeze(summary))))
        if self.linear:
            scale = scale[:, :, None, None]
        return self.head(self.next(x * scale).mean(dim=(2, 3)))


@pytest.mark.parametrize("linear", [True, False])
def test_squeeze_and_excitation_is_a_gate_and_what_it_scales_is_not(linear):
    graph = graph_of(Excite(linear=linear), IMAGES)
    assert sorted(names(graph, graph.gates())) == ["excite", "squeeze"]


def test_a_gate_on_the_same_positions_makes_no_gate_of_what_it_reads():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.relu, self.gate = nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 12)
            self.sigmoid, self.head = nn.Sigmoid(), nn.Linear(12, 3)

        def forward(self, x):
            h = self.relu(self.fc(x))
            return self.head(h * self.sigmoid(self.gate(h)))

    graph = graph_of(Gated(), ROWS)
    assert names(graph, graph.gates()) == ["gate"]


@pytest.mark.parametrize("last", [nn.Sigmoid(), nn.Softmax(dim=1)])
def test_a_classifier_has_no_gate_and_neither_has_a_sigmoid_network(last):
    classifier = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 2), last)
    assert graph_of(classifier, ROWS).gates() == frozenset()
    sigmoids = nn.Sequential(nn.Linear(12, 8), nn.Sigmoid(), nn.Linear(8, 8), nn.Sigmoid(), nn.Linear(8, 2))
    assert graph_of(sigmoids, ROWS).gates() == frozenset()
    mixed = nn.Sequential(
        nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.Sigmoid(), nn.Linear(8, 2)
    )
    assert graph_of(mixed, ROWS).gates() == frozenset()
