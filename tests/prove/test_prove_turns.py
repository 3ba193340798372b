"""Cosines of consecutive ways through weight space."""

import pytest
import torch
from gradient_testing import MemorySource
from torch import nn

from covscan.prove.turns import turns

NAMES = ("0.weight", "2.weight")
LAYERS = {"0": ("0.weight",), "2": ("2.weight",)}


def series(*weights):
    model = nn.Sequential(nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 40))
    states = [{**model.state_dict(), "0.weight": weight} for weight in weights]
    source = MemorySource(model, states)
    return turns(source, source.series.checkpoints, NAMES, LAYERS)


def test_straight_on_there_and_back_and_at_random():
    torch.manual_seed(0)
    base, way = torch.randn(40, 40), torch.randn(40, 40)
    assert [turn.cosine for turn in series(base, base + way, base + 3 * way) if turn.layer is None] == [
        pytest.approx(1.0)
    ]
    assert [turn.cosine for turn in series(base, base + way, base) if turn.layer == "0"] == [pytest.approx(-1.0)]
    around = [turn.cosine for turn in series(*(torch.randn(40, 40) for _ in range(6))) if turn.layer is None]
    assert len(around) == 4
    assert all(cosine == pytest.approx(-0.5, abs=0.1) for cosine in around)
    walk = torch.randn(6, 40, 40).cumsum(0)
    assert all(turn.cosine == pytest.approx(0, abs=0.1) for turn in series(*walk) if turn.layer is None)


def test_what_does_not_move_or_does_not_fit_has_no_direction():
    base = torch.randn(40, 40)
    assert {turn.cosine for turn in series(base, base, base + 1)} == {None}
    found = series(base, base + 1, base + 3)
    whole = found[0]
    assert (whole.layer, whole.start, whole.middle, whole.end) == (None, "step-0", "step-1", "step-2")
    assert [turn.cosine for turn in found if turn.layer == "2"] == [None]
    assert series(base, base + 1) == []
    assert {turn.cosine for turn in series(base, base + 1, base[:5])} == {None}
    assert {turn.cosine for turn in series(base, base + 1, base * float("nan"))} == {None}
