"""The model is left as it was found, and replays say what a layer itself adds."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch_testing import InMemory, capture

from covscan.capture.layouts import UnknownLayoutError, infer_layout
from covscan.capture.reading import Reader, UnreadableError
from covscan.capture.tensors import Provenance, first_tensor, tensors_in
from covscan.capture.torch_backend import TorchBackend
from covscan.capture.torch_session import left_as_found, pick_device, reseed
from covscan.capture.types import Layout, SiteKey
from covscan.config import Settings
from covscan.data import open_samples
from covscan.data.binding import take
from covscan.data.types import Batch
from covscan.errors import UsageError

ROWS = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))


class Restless(nn.Module):
    """Changes a buffer, draws random numbers, and drops out in training."""

    def __init__(self, fails=False):
        super().__init__()
        self.fc, self.norm, self.drop, self.fails = nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Dropout(), fails
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        if self.fails and self.calls > 3:
            raise ValueError("third batch")
        return self.drop(self.norm(self.fc(x))) + torch.rand(1) + random.random() + np.random.rand()  # noqa: NPY002


def fingerprint(model):
    state = {name: value.clone() for name, value in model.state_dict().items()}
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()]
    modes = [m.training for m in model.modules()]
    grads = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    return state, hooks, modes, grads, torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002


def unchanged(before, after):
    assert before[0].keys() == after[0].keys()
    assert all(torch.equal(before[0][name], after[0][name]) for name in before[0])
    assert before[1:3] == after[1:3]
    assert all((a is None and b is None) or torch.equal(a, b) for a, b in zip(before[3], after[3], strict=True))
    assert torch.equal(before[4], after[4])
    assert before[5] == after[5]
    np.testing.assert_array_equal(before[6][1], after[6][1])


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was_found(fails):
    model = Restless(fails)
    model.train()
    model.norm.eval()  # a mixed mode has to come back as it was
    model.fc.weight.grad = torch.ones_like(model.fc.weight)
    before = fingerprint(model)
    fast = torch.backends.mha.get_fastpath_enabled()
    if fails:
        with pytest.raises(UsageError, match="third batch") as raised:
            capture(model, ROWS.numpy(), batch_size=10)
        assert raised.value.code == "model-failed"
        assert "(10, 6) float32" in raised.value.found
    else:
        capture(model, ROWS.numpy(), batch_size=10)
    unchanged(before, fingerprint(model))
    assert torch.backends.mha.get_fastpath_enabled() == fast
    assert torch.is_grad_enabled()


def test_random_numbers_are_the_same_at_every_checkpoint():
    model = Restless()
    one, other = capture(model, ROWS.numpy()), capture(copy.deepcopy(model), ROWS.numpy())
    for key, summary in one.summary.sites.items():
        np.testing.assert_array_equal(summary.moments.mean, other.summary.sites[key].moments.mean)
    assert one.network.nondeterministic == ("output",)
    assert capture(nn.Linear(6, 2), ROWS.numpy()).network.nondeterministic == ()


def test_a_model_with_a_fixed_batch_size_is_planned_with_whole_batches():
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 2)

        def forward(self, x):
            return self.fc(x.view(8, 6))

    run = capture(Fixed(), ROWS.numpy(), batch_size=8)
    assert run.moments("fc").count[0] == 40


def test_a_model_that_refuses_the_data_says_so():
    with pytest.raises(UsageError) as raised:
        capture(nn.Linear(7, 2), ROWS.numpy())
    assert raised.value.code == "model-failed"
    assert "mat1 and mat2" in raised.value.message


def nets(plant):
    torch.manual_seed(3)
    new = nn.Sequential(
        nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3)
    ).eval()
    old = copy.deepcopy(new)
    with torch.no_grad():
        plant(new)
    return new, old


def test_a_replay_runs_the_earlier_weights_on_the_later_input():
    new, old = nets(lambda net: (net[0].weight.mul_(2), net[2].bias.add_(1)))
    run = capture(new, ROWS.numpy(), references=[old])
    replays = {key.site: replay for (key, name), replay in run.summary.replays.items() if name == "c1"}
    assert {site for site, replay in replays.items() if replay.actual is None} == {"3", "5"}
    with torch.no_grad():
        inside = new[1](new[0](ROWS))
        counterfactual = old[2](inside).double()
        actual = new[2](inside).double()
    kept = replays["2"]
    np.testing.assert_allclose(kept.counterfactual.pooled().mean, counterfactual.mean(0), rtol=1e-5)
    np.testing.assert_allclose(kept.actual.pooled().variance, actual.var(0, unbiased=False), rtol=1e-4)


def test_running_statistics_count_as_weights_of_a_norm():
    new, old = nets(lambda net: net[3].running_mean.add_(1))
    replays = capture(new, ROWS.numpy(), references=[old]).summary.replays
    moved = {key.site for (key, _), replay in replays.items() if replay.actual is not None}
    assert moved == {"3"}


def test_a_buffer_that_is_not_saved_does_not_keep_a_layer_from_being_replayed():
    class Masked(nn.Linear):
        def __init__(self):
            super().__init__(6, 5)
            self.register_buffer("kept", torch.tensor([1.0, 0, 1, 1, 0]), persistent=False)

        def forward(self, x):
            return super().forward(x) * self.kept

    torch.manual_seed(0)
    new, old = nn.Sequential(Masked()), nn.Sequential(Masked())
    replay = capture(new, ROWS.numpy(), references=[old]).summary.replays[SiteKey("0", "output"), "c1"]
    np.testing.assert_allclose(replay.counterfactual.pooled().mean, old(ROWS).detach().mean(0), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("batch_size", [5, 8, 32, 200])
def test_heavy_layers_are_replayed_on_the_same_few_samples_however_they_are_cut(batch_size):
    torch.manual_seed(0)
    new, old = (nn.Sequential(nn.Conv2d(4, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1)) for _ in "ab")
    images = np.random.default_rng(0).normal(size=(96, 4, 16, 16)).astype(np.float32)
    replays = capture(new, images, references=[old], batch_size=batch_size, positions=8).summary.replays
    heavy = replays[SiteKey("2", "output"), "c1"]
    assert heavy.actual.count.sum(axis=0)[0] == 8 * 32
    whole = capture(new, images, references=[old], batch_size=96, positions=8).summary.replays
    again = whole[SiteKey("2", "output"), "c1"]
    np.testing.assert_allclose(heavy.counterfactual.mean, again.counterfactual.mean, rtol=1e-4, atol=1e-5)


def test_widths_that_change_between_batches_are_skipped():
    class Growing(nn.Module):
        def __init__(self):
            super().__init__()
            self.act, self.calls = nn.ReLU(), 0

        def forward(self, x):
            self.calls += 1
            return self.act(x[:, : 3 + (self.calls > 3)])

    run = capture(Growing(), ROWS.numpy(), batch_size=10)
    assert "channels in a later batch" in run.skipped()["act"]


def test_devices():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type in {"cpu", "cuda", "mps"}
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="'cuda' is not available"):
            pick_device("cuda")


def test_left_as_found_moves_there_and_back_also_when_something_raises():
    class Recording(nn.Linear):
        def to(self, device):
            moves.append(device.type)
            return self

    moves = []
    with pytest.raises(KeyError), left_as_found(Recording(2, 2), torch.device("meta")):
        raise KeyError
    assert moves == ["meta", "cpu"]


def test_buffers_are_put_back_also_where_moving_a_model_makes_new_ones_of_them():
    class Moved(nn.BatchNorm1d):
        def to(self, device):
            """As a move to a GPU does: parameters stay the same objects, buffers do not."""
            del device
            for name, buffer in self.named_buffers():
                setattr(self, name, buffer.clone())
            return self

    model = Moved(2)
    model.register_buffer("late", torch.ones(1), persistent=False)
    with left_as_found(model, torch.device("meta")):
        model.train()
        model(torch.randn(8, 2) + 3)
        model.late += 1
        del model.num_batches_tracked
    assert torch.equal(model.running_mean, torch.zeros(2))
    assert torch.equal(model.late, torch.ones(1))


@pytest.mark.parametrize("present", [True, False])
def test_every_generator_that_is_in_use_gets_the_numbers_of_a_stream(monkeypatch, present):
    seeded = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: present)
    monkeypatch.setattr(torch.cuda, "manual_seed", lambda seed: seeded.append(("cuda", seed)))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: present)
    monkeypatch.setattr(torch.mps, "manual_seed", lambda seed: seeded.append(("mps", seed)))
    reseed(5)
    first = torch.rand(3)
    reseed(5)
    assert torch.equal(torch.rand(3), first)
    assert seeded == ([("cuda", 5), ("mps", 5)] * 2 if present else [])


@pytest.mark.parametrize(
    ("shape", "samples", "options", "expected"),
    [
        ((4, 7), 4, {}, Layout(1)),
        ((4, 9, 7), 4, {}, Layout(2)),
        ((4, 7, 9, 9), 4, {}, Layout(1)),
        ((4, 9, 9, 7), 4, {"hint": Layout(3)}, Layout(3)),
        ((9, 4, 7), 4, {}, Layout(2, sample_axis=1)),
        ((9, 4, 7), 4, {"sequence_first": True}, Layout(2, sample_axis=1)),
        ((4, 4, 7), 4, {"hint": Layout(2, sample_axis=1)}, Layout(2, sample_axis=1)),
        ((12, 9, 7), 4, {"axis": -1}, Layout(2, folded=3)),
        ((4, 7, 9), 4, {"axis": 1}, Layout(1)),
    ],
)
def test_layouts(shape, samples, options, expected):
    given = {"axis": None, "sequence_first": None, "hint": None} | options
    assert infer_layout(shape, samples, **given) == expected


@pytest.mark.parametrize(("shape", "words"), [((7,), "no separate"), ((5, 7), "no axis of 4 samples")])
def test_layouts_that_cannot_be_known(shape, words):
    with pytest.raises(UnknownLayoutError, match=words):
        infer_layout(shape, 4, axis=None, sequence_first=None, hint=None)


def batch(n, mask=None):
    return Batch(index=np.arange(n), block=np.arange(n), mask=mask)


def test_reading_follows_the_mask_and_the_limit():
    mask = np.arange(10)[None] < np.array([10, 4, 0])[:, None]
    values = torch.arange(3 * 10 * 2, dtype=torch.float32).view(3, 10, 2)
    rows = Reader(batch(3, mask), None, 0).rows(values, Layout(2))
    assert rows.sample.tolist() == [0] * 10 + [1] * 4
    limited = Reader(batch(3, mask), 6, 0).rows(values, Layout(2))
    assert np.bincount(limited.sample).tolist() == [6, 4]
    np.testing.assert_array_equal(limited.values, values.numpy()[limited.sample, limited.position])
    assert Reader(batch(3, mask), 6, 1).rows(values, Layout(2)).position.tolist() != limited.position.tolist()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (torch.zeros(3, 2, dtype=torch.int64), "int64 values"),
        (torch.zeros(3, 2, dtype=torch.complex64), "complex"),
        (torch.zeros(3, 2).to_sparse(), "sparse"),
        (torch.zeros(4, 2), "4 rows for 3 samples"),
    ],
)
def test_unreadable_tensors(value, words):
    with pytest.raises(UnreadableError, match=words):
        Reader(batch(3), None, 0).rows(value, Layout(1))


def test_provenance_knows_a_tensor_until_it_changes():
    from covscan.capture.tensors import Origin

    known, tensor = Provenance(), torch.zeros(2, 2)
    origin = Origin(SiteKey("a", "output"), Layout(1))
    known.remember(tensor, origin)
    assert known.same(tensor) == origin
    assert known.same(torch.zeros(2, 2)) is None
    tensor.add_(1)
    assert known.same(tensor) is None
    assert known.layout(tensor) == Layout(1)


def test_first_tensor_prefers_floating_matrices():
    ids, values = torch.zeros(3, dtype=torch.int64), torch.zeros(3, 2)
    assert first_tensor((ids,), {"x": [values]}) is values
    assert first_tensor(ids) is ids
    assert first_tensor(None, 3) is None
    assert list(tensors_in({"a": (ids, [values])})) == [ids, values]


class Choosing(nn.Module):
    """Runs another layer where ``told`` says that its numbers are large."""

    def __init__(self, told):
        super().__init__()
        self.first, self.other, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)
        self.resting, self.told = nn.Linear(1, 1), told

    def forward(self, x):
        large = self.told(self.first.bias.detach())
        return self.last(self.other(self.first(x)) if large else self.first(x))


@pytest.mark.parametrize(
    ("told", "plans"),
    [
        (lambda bias: False, 1),
        (lambda bias: bias.abs().mean().item() > 10, 3),
        (lambda bias: bool((bias > 10).any()), 3),
        (lambda bias: len(torch.nonzero(bias > 10)), 3),
        (lambda bias: not torch.equal(bias, bias.clamp(max=10)), 3),
        (lambda bias: torch.masked_select(bias, bias > 10).numel(), 3),
    ],
)
def test_a_network_is_looked_at_again_where_numbers_decide_what_runs(monkeypatch, told, plans):
    model = Choosing(told)
    wanted = Settings(data=ROWS.numpy(), positions=None, device="cpu")
    backend = TorchBackend(InMemory(model), wanted)
    (first,) = backend._source.series.checkpoints
    batch = next(iter(open_samples(wanted).batches()))
    looked, discover = [], TorchBackend._discover
    monkeypatch.setattr(TorchBackend, "_discover", lambda *given: looked.append(1) or discover(*given))
    small = backend.plan(first, batch)
    assert backend.plan(first, batch) == small
    with torch.no_grad():
        model.first.bias.fill_(20)
    large = backend.plan(first, batch)
    assert len(looked) == plans
    assert set(small.never_fired) == {"resting", "other"}
    assert set(large.never_fired) == ({"resting", "other"} if plans == 1 else {"resting"})
    backend.plan(first, take(batch, 3))
    assert len(looked) == plans + 1  # samples of another form
    backend._source._modules["c0"] = copy.deepcopy(model)
    backend._opened = None
    backend.plan(first, take(batch, 3))
    assert len(looked) == plans + 2  # another network
