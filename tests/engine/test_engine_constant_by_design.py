"""What the data hold constant is told, but is no warning; a dead layer behind it is one."""

import numpy as np
import torch
from torch import nn

import covscan


class Typed(nn.Module):
    """Words and the type of each, as BERT adds them."""

    def __init__(self):
        super().__init__()
        self.word, self.kind = nn.Embedding(20, 8), nn.Embedding(2, 8)
        self.head = nn.Linear(8, 4)

    def forward(self, words, kinds):
        return self.head(self.word(words) + self.kind(kinds))


def constant(tmp_path, network, data):
    torch.save({"step": 5, "model": network.state_dict()}, tmp_path / "step-5.pt")
    report = covscan.analyze(tmp_path / "step-5.pt", data=data, model=lambda: network)
    return [finding for finding in report.findings if finding.code == "COV110"]


def test_token_types_that_are_all_the_same_are_no_warning(tmp_path):
    words = np.random.default_rng(0).integers(0, 20, size=(64, 6))
    (found,) = constant(tmp_path, Typed(), {"words": words, "kinds": np.zeros_like(words)})
    assert (found.site, found.severity) == ("kind", "info")


def test_data_that_are_all_the_same_are_no_fault_of_a_layer(tmp_path):
    found = constant(tmp_path, nn.Sequential(nn.Linear(3, 3), nn.ReLU()), np.ones((64, 3), np.float32))
    assert (found[0].site, found[0].position) == ("0", "output")
    assert found[0].severity == "warning"


def test_a_dead_layer_is_a_warning_though_an_embedding_is_constant_as_well(tmp_path):
    network = Typed()
    with torch.no_grad():
        network.head.weight.zero_()
    words = np.random.default_rng(0).integers(0, 20, size=(64, 6))
    (found,) = constant(tmp_path, network, {"words": words, "kinds": np.zeros_like(words)})
    assert (found.site, found.severity) == ("head", "warning")
