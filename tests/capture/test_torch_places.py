"""What a layer gives at a few places is what it gives there as a whole."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch_testing import capture

from covscan.capture.torch_places import is_as_torch_made_it, output_at
from covscan.capture.types import Layout, Rows


def _rows(samples, positions, each=1, seed=0):
    """Of every sample ``each`` positions, ascending."""
    drawing = np.random.default_rng(seed)
    position = np.sort(np.stack([drawing.permutation(positions)[:each] for _ in range(samples)]), axis=1).ravel()
    return Rows(np.zeros((samples * each, 1), np.float32), np.repeat(np.arange(samples), each), position)


def _check(module, value, channel, each=1, folded=1):
    """With other weights, against the whole output of a module that has these."""
    output = module(value)
    torch.manual_seed(1)
    weights = {name: each.detach() + torch.rand(each.shape) if each.is_floating_point() else each.detach()
               for name, each in (*module.named_parameters(), *module.named_buffers())}  # fmt: skip
    whole = torch.func.functional_call(module, weights, (value,)).detach()
    layout = Layout(channel % output.ndim, folded=folded)
    samples = output.shape[0] // folded
    positions = output.numel() // samples // output.shape[channel]
    rows = _rows(samples, positions, each)
    with torch.no_grad():
        found = output_at(module, weights, value, output, layout, rows)
    assert found is not None
    moved = whole.movedim(channel, -1).reshape(samples, positions, -1)
    expected = moved[torch.from_numpy(rows.sample), torch.from_numpy(rows.position)]
    np.testing.assert_allclose(found, expected.numpy(), rtol=2e-5, atol=2e-5)


@pytest.mark.filterwarnings("ignore:Using padding")
@given(data=st.data())
def test_convolutions_of_any_shape(data):
    spatial = data.draw(st.integers(1, 3))
    axes = {"min_size": spatial, "max_size": spatial}
    kernel = tuple(data.draw(st.lists(st.integers(1, 4), **axes)))
    stride = tuple(data.draw(st.lists(st.integers(1, 3), **axes)))
    dilation = tuple(data.draw(st.lists(st.integers(1, 2), **axes)))
    groups = data.draw(st.sampled_from([1, 2, 4]))
    padding = data.draw(st.sampled_from(["valid", "same", "numbers"]))
    if padding == "same":
        stride = (1,) * spatial
    elif padding == "numbers":
        padding = tuple(data.draw(st.lists(st.integers(0, 3), **axes)))
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[spatial - 1]
    torch.manual_seed(0)
    module = kind(4, 8, kernel, stride, padding, dilation, groups, bias=data.draw(st.booleans()))
    sizes = [(size - 1) * step + data.draw(st.integers(4, 7)) for size, step in zip(kernel, dilation, strict=True)]
    value = torch.randn(3, 4, *sizes)
    if spatial == 2 and data.draw(st.booleans()):
        value = value.contiguous(memory_format=torch.channels_last)
    output = module(value)
    positions = output[0, 0].numel()
    if positions < 2:
        return
    _check(module, value, 1, data.draw(st.integers(1, positions // 2)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("module", "shape", "channel"),
    [
        (nn.Linear(6, 5), (3, 8, 6), -1),
        (nn.Linear(6, 5, bias=False), (3, 4, 2, 6), -1),
        (nn.LayerNorm(6), (3, 8, 6), -1),
        (nn.RMSNorm(6), (3, 8, 6), -1),
        (nn.BatchNorm1d(6), (3, 6, 8), 1),
        (nn.BatchNorm2d(6), (3, 6, 4, 2), 1),
        (nn.BatchNorm3d(6, affine=False), (3, 6, 4, 2, 2), 1),
        (nn.Conv2d(6, 4, 3, padding=1, groups=2), (3, 6, 5, 4), 1),
    ],
)
def test_layers(module, shape, channel, dtype):
    _check(module.eval().to(dtype), torch.randn(shape, dtype=dtype), channel, each=3)


def test_windows_that_are_folded_into_the_samples():
    _check(nn.Linear(6, 5), torch.randn(12, 4, 6), -1, each=5, folded=4)
    _check(nn.Conv2d(6, 5, 3, padding=1), torch.randn(8, 6, 4, 4), 1, each=7, folded=2)


def test_a_layer_of_transformers_that_is_linear():
    from transformers.pytorch_utils import Conv1D

    _check(Conv1D(5, 6), torch.randn(3, 8, 6), -1, each=2)


def test_many_places_are_worked_on_in_parts(monkeypatch):
    from covscan.capture import places

    monkeypatch.setattr(places, "_NUMBERS", 9 * 4 * 5)
    _check(nn.Conv2d(4, 3, 3), torch.randn(7, 4, 9, 9), 1, each=3)


def test_what_is_not_finite_stays_where_it_is():
    module = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    value = torch.zeros(1, 1, 6, 6)
    value[0, 0, 0, 0] = torch.inf
    rows = Rows(np.zeros((2, 1), np.float32), np.zeros(2, np.int64), np.array([7, 35]))
    with torch.no_grad():
        found = output_at(module, {"weight": module.weight}, value, module(value), Layout(1), rows)
    assert np.isfinite(found[:, 0]).tolist() == [False, True]


class _Own(nn.Linear):
    """Something that is more than its base."""


@pytest.mark.parametrize(
    ("module", "shape", "channel"),
    [
        (_Own(6, 5), (3, 8, 6), -1),
        (nn.LayerNorm((4, 6)), (3, 4, 6), -1),
        (nn.GroupNorm(2, 6), (3, 6, 8), 1),
        (nn.BatchNorm1d(6, track_running_stats=False), (3, 6, 8), 1),
        (nn.Conv2d(6, 4, 3, padding=1, padding_mode="circular"), (3, 6, 5, 4), 1),
        (nn.ConvTranspose2d(6, 4, 3), (3, 6, 5, 4), 1),
        (weight_norm(nn.Linear(6, 5)), (3, 8, 6), -1),
        (nn.Linear(6, 5).bfloat16(), (3, 8, 6), -1),
        (nn.Linear(6, 5), (3, 6), -1),
        (nn.Conv1d(6, 5, 3), (6, 9), 0),
    ],
)
def test_what_has_to_run_as_a_whole(module, shape, channel):
    value = torch.randn(shape, dtype=next(iter([*module.parameters(), torch.zeros(1)])).dtype)
    output = module.eval()(value)
    rows = _rows(output.shape[0], max(1, output.numel() // output.shape[0] // output.shape[channel]))
    layout = Layout(channel % output.ndim)
    assert output_at(module, dict(module.state_dict()), value, output, layout, rows) is None


def test_most_places_are_no_few():
    module, value = nn.Linear(6, 5), torch.randn(3, 8, 6)
    for each, partly in ((4, True), (5, False)):
        found = output_at(module, dict(module.state_dict()), value, module(value), Layout(2), _rows(3, 8, each))
        assert (found is not None) is partly


def test_modules_with_hooks_or_a_forward_of_their_own_are_not_as_they_were_made():
    assert is_as_torch_made_it(nn.Linear(2, 2))
    hooked, before, own = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)
    hooked.register_forward_hook(lambda *given: None)
    before.register_forward_pre_hook(lambda *given: None)
    own.forward = own.forward
    assert not any(map(is_as_torch_made_it, (hooked, before, own)))


class _Mixed(nn.Module):
    """Layers that can be asked for places, one with a user's hook, one of a user's class, one that is called twice."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.norm, self.second = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Conv2d(6, 8, 3, 2)
        self.hooked, self.own, self.twice = nn.Linear(8, 8), _Own(8, 5), nn.Linear(5, 5)
        self.hooked.register_forward_hook(lambda module, args, output: output * 2)
        self.norm.running_mean.normal_()

    def forward(self, x):
        x = self.second(torch.relu(self.norm(self.first(x)))).flatten(2).transpose(1, 2)
        return self.twice(torch.relu(self.twice(self.own(self.hooked(x)))))


def test_replays_of_a_network_are_those_of_its_layers_as_wholes(monkeypatch):
    from covscan.capture import torch_replay

    data = torch.randn(12, 3, 16, 16, generator=torch.Generator().manual_seed(3)).numpy()
    given = {}

    def watched(module, *rest):
        found = output_at(module, *rest)
        given.setdefault(type(module).__name__, []).append(found is not None)
        return found

    monkeypatch.setattr(torch_replay, "output_at", watched)
    partly = capture(_Mixed(1), data, [_Mixed(2)], positions=9).summary.replays
    assert all(given["Conv2d"])
    assert all(given["BatchNorm2d"])
    assert len(given["Linear"]) == 2  # both calls of the one without a hook
    assert not any(given.get("_Own", []))
    monkeypatch.setattr(torch_replay, "output_at", lambda *given: None)
    whole = capture(_Mixed(1), data, [_Mixed(2)], positions=9).summary.replays
    assert partly.keys() == whole.keys()
    assert len(partly) == 7
    for place, replay in partly.items():
        for mine, theirs in (
            (replay.actual, whole[place].actual),
            (replay.counterfactual, whole[place].counterfactual),
        ):
            np.testing.assert_array_equal(mine.count, theirs.count)
            np.testing.assert_allclose(mine.mean, theirs.mean, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(mine.m2, theirs.m2, rtol=1e-4, atol=1e-6)
