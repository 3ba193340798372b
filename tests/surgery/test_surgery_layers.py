import numpy as np
import pytest
import torch
from torch import nn

from covscan.surgery.code import in_the_forward, layer
from covscan.surgery.layers import (
    EPS,
    ChannelsFirst,
    ChannelsLast,
    Gate,
    Standardization,
    fixed_affine,
    normalization,
    preserving,
    set_identity,
)
from covscan.surgery.types import FAMILIES, Insertion

LAYOUTS = [((9, 6), 1), ((9, 6, 5), 1), ((9, 5, 6), 2), ((9, 6, 5, 4), 1), ((9, 5, 4, 6), 3), ((9, 6, 2, 3, 2), 1)]


def constants(x, axis):
    rows = x.movedim(axis, -1).flatten(0, -2)
    return Standardization(rows.mean(0), rows.std(0, correction=0))


def plain(norm, x, axis):
    """The normalization as torch's functions compute it, gain 1 and bias 0."""
    if norm.startswith(("LayerNorm", "RMSNorm")):
        function = nn.functional.layer_norm if norm == "LayerNorm" else nn.functional.rms_norm
        return function(x.movedim(axis, -1), (6,), eps=EPS).movedim(-1, axis)
    moved = x.movedim(axis, 1)
    if norm.startswith("BatchNorm"):
        out = nn.functional.batch_norm(moved, None, None, training=True)
    elif norm.startswith("InstanceNorm"):
        out = nn.functional.instance_norm(moved)
    else:
        out = nn.functional.group_norm(moved, 2)
    return out.movedim(1, axis)


@pytest.mark.parametrize("norm", FAMILIES)
@pytest.mark.parametrize(("shape", "axis"), LAYOUTS, ids=str)
def test_every_kind_in_every_layout(norm, shape, axis):
    if norm.startswith("InstanceNorm") and len(shape) == 2:
        pytest.skip("refused before")
    place = Insertion("site", "after", norm, 6, axis)
    x = 3 * torch.randn(shape) + 1
    assert torch.allclose(normalization(place)(x), plain(norm, x, axis), atol=1e-4)
    kept = preserving(place, constants(x, axis)).eval()
    assert torch.allclose(kept(x), x, atol=1e-5)
    text = layer(place, len(shape))
    names = {"nn": nn, "Gate": Gate, "ChannelsFirst": ChannelsFirst, "ChannelsLast": ChannelsLast}
    written = eval(text, names)
    if norm.startswith("BatchNorm"):
        rows = x.movedim(axis, -1).flatten(0, -2).double().numpy()
        set_identity(written, rows.mean(axis=0), rows.var(axis=0))
    assert torch.allclose(written.eval()(x), x, atol=1e-5)
    if norm.startswith("BatchNorm"):
        assert torch.allclose(written.train()(x), x, atol=1e-4)
    else:
        nn.init.ones_(written.gate)
        assert torch.allclose(written(x), plain(norm, x, axis), atol=1e-4)


@pytest.mark.parametrize("norm", ["BatchNorm1d", "LayerNorm", "RMSNorm", "GroupNorm"])
def test_the_control_arm_starts_where_the_normalization_does(norm):
    x = 3 * torch.randn(4000, 6) + 1
    place = Insertion("site", "after", norm, 6, 1)
    fixed = constants(x, 1)
    if norm == "LayerNorm":
        fixed = Standardization(x.mean().expand(6), x.std().expand(6))
    if norm == "RMSNorm":
        fixed = Standardization(torch.zeros(6), x.square().mean().sqrt().expand(6))
    found = fixed_affine(place, fixed)(x)
    assert torch.allclose(found, (x - fixed.mean) / fixed.std, atol=1e-5)
    assert torch.allclose(fixed_affine(place, fixed, identity=True)(x), x, atol=1e-5)


def test_the_identity_holds_for_channels_that_do_not_vary_and_for_large_means():
    norm = nn.BatchNorm1d(3)
    mean, variance = np.array([1e4, 0.0, 3.0]), np.array([1.0, 0.0, 1e-12])
    set_identity(ChannelsFirst(norm, 1), mean, variance)
    x = torch.tensor([[1e4 + 1, 0.0, 3.0], [1e4 - 1, 0.5, 3.1]])
    assert torch.allclose(norm.eval()(x), x, rtol=1e-6, atol=1e-6)


def test_code_for_modules_that_return_more():
    assert "model.blocks[0].rnn_norm = nn.LayerNorm(8)" in in_the_forward("blocks.0.rnn", "nn.LayerNorm(8)")
