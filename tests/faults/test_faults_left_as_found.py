"""A model is left as it was found: weights, buffers, hooks, modes, attributes, and everything global beside it."""

import copy
import hashlib
import os
import pickle
import random
import signal
import threading
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from covscan.capture.recorder import SummaryRecorder
from covscan.capture.torch_backend import TorchBackend
from covscan.capture.types import Reference
from covscan.config import Settings
from covscan.data import open_samples
from covscan.engine.selection import select_sites
from covscan.errors import UsageError
from covscan.models.types import Checkpoint, Series
from covscan.pipeline import analyze


def tensor_state(tensor):
    kept = None if tensor is None else tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    if tensor is None:
        return None
    return id(tensor), tensor.data_ptr(), str(tensor.dtype), tuple(tensor.shape), tensor.requires_grad, kept


def attribute_state(value):
    """What an attribute is, and what it holds, as far as it can be told."""
    if isinstance(value, torch.Tensor):
        return tensor_state(value)
    if isinstance(value, dict | OrderedDict):
        return id(value), [(key, id(each)) for key, each in value.items()]
    if isinstance(value, set):
        return id(value), sorted(map(str, value))
    if isinstance(value, list | tuple):
        return id(value), [id(each) for each in value]
    return id(value)


def module_state(model):
    state = {}
    for name, module in model.named_modules():
        held = {key: attribute_state(value) for key, value in vars(module).items()}
        tensors = [*module._parameters.items(), *module._buffers.items()]
        grads = {key: tensor_state(value.grad) for key, value in module._parameters.items() if value is not None}
        state[name] = (type(module), module.training, held, {key: tensor_state(each) for key, each in tensors}, grads)
        state[f"{name} hooks"] = sorted(key for key in vars(module) if "hook" in key and vars(module)[key])
    return state


def global_state():
    return {
        "python": random.getstate(),
        "numpy": pickle.dumps(legacy.get_state()),
        "torch": torch.random.get_rng_state().numpy().tobytes(),
        "dtype": torch.get_default_dtype(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled()),
        "deterministic": (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic),
        "benchmark": torch.backends.cudnn.benchmark,
        "attention": torch.backends.mha.get_fastpath_enabled(),
        "hooks": [len(hooks) for name, hooks in vars(nn.modules.module).items() if name.startswith("_global_")
                  and hasattr(hooks, "__len__")],
        "softmax": (nn.functional.softmax, nn.functional.scaled_dot_product_attention, torch.bmm, torch.matmul),
        "errors": np.geterr(),
        "threads alive": {thread.name for thread in threading.enumerate() if not thread.name.startswith("ThreadPool")},
        "signals": [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)],
        "environment": dict(os.environ),
        "folder": os.getcwd(),
    }  # fmt: skip


def found(model):
    """All of it, and a digest that says at one glance whether it is the same."""
    whole = {"model": module_state(model), **global_state()}
    return {name: hashlib.sha256(repr(value).encode()).hexdigest() for name, value in whole.items()}


legacy = np.random.mtrand._rand


class Restless(nn.Module):
    """Does what forwards of real models do to themselves: counters, caches, running statistics, noise, late hooks."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(6, 16)
        self.norm = nn.BatchNorm1d(16)
        self.attend = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.3, batch_first=True)
        self.rnn = nn.LSTM(16, 16, batch_first=True)
        self.tied = nn.Linear(16, 16)
        self.head = nn.Linear(16, 3)
        self.head.weight.requires_grad_(False)
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        self.register_buffer("cache", torch.full((3,), float("nan")), persistent=False)
        self.register_buffer("grown", torch.zeros(1), persistent=False)
        self.calls, self.history, self.by_name = 0, [], {"last": None}
        self.tied.register_forward_hook(lambda module, given, result: result + 0)
        self.fails_at = None

    def forward(self, x):
        self.calls += 1
        if self.fails_at is not None and self.calls >= self.fails_at:
            self.on_failure()
        self.history.append(float(x.mean()))
        self.by_name["last"] = x
        self.by_name[self.calls] = x
        self.last = x
        self.seen += len(x)
        self.cache.fill_(0.0)
        self.grown = torch.zeros(self.calls + 1)
        if self.calls == 1:
            self.register_buffer("late", torch.ones(2), persistent=False)
            self.norm.register_forward_hook(lambda module, given, result: None)
        hidden = self.norm(self.embed(x))
        hidden = hidden + 0.01 * torch.randn_like(hidden) * legacy.random() * random.random()
        sequence = self.attend(hidden.reshape(len(x), 1, 16).expand(-1, 4, -1))
        sequence, _ = self.rnn(sequence)
        return self.head(self.tied(torch.relu(sequence[:, -1])))

    def on_failure(self):
        raise ValueError("tired")


@pytest.fixture
def model():
    torch.manual_seed(3)
    made = Restless()
    made.train()
    made.norm.eval()
    made.head.eval()
    loss = made.head(made.tied(torch.ones(2, 16))).sum()  # some gradients are there already
    loss.backward()
    return made


@pytest.fixture
def settings(tmp_path, model):
    states = copy.deepcopy(model.state_dict())
    for step in range(2):
        moved = {k: v + 0.01 * step if v.is_floating_point() else v for k, v in states.items()}
        torch.save(moved, tmp_path / f"step-{step}.pt")
    x = np.random.default_rng(0).normal(size=(96, 6)).astype(np.float32)
    y = np.arange(96) % 3
    return Settings(
        model=lambda: model,
        checkpoints=(str(tmp_path / "step-0.pt"), str(tmp_path / "step-1.pt")),
        data={"x": x, "y": y},
        target="y",
        batch_size=16,
        device="cpu",
        cache=False,
    )


@pytest.fixture
def unsettled():
    """Global states that are not those of a fresh process."""
    random.seed(11)
    legacy.seed(12)
    torch.manual_seed(13)
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


class Live:
    """A source that hands out the caller's own module."""

    engine = "torch"
    foreign = False
    description = "live"

    def __init__(self, model, path):
        self._model, self.notes = model, []
        self.series = Series((Checkpoint("now", path, 0, "0" * 64), Checkpoint("then", path, 1, "1" * 64)), "given")

    def module(self, checkpoint):
        return self._model

    def weights(self, checkpoint):
        return {name: value + (checkpoint.id == "then") for name, value in self._model.state_dict().items()}

    def check(self, checkpoint):
        pass

    def identity(self):
        return None


def run_backend(model, settings, path):
    """One pass over the samples of the caller's own module, with replays."""
    source = Live(model, path)
    samples, backend = open_samples(settings), TorchBackend(source, settings)
    now, then = source.series.checkpoints
    network = select_sites(backend.plan(now, next(iter(samples.batches()))), (), ())
    recorder = SummaryRecorder(network, samples, settings.seed)
    backend.measure(now, network, samples.batches(), recorder, (Reference(then.id, then, backend, {}),))
    backend.norms(now, network)
    return recorder.summary()


def difference(before, after):
    return [name for name in before if before[name] != after[name]]


def test_a_pass_leaves_the_model_and_everything_else_as_it_was(model, settings, tmp_path, unsettled):
    before = found(model)
    summary = run_backend(model, settings, tmp_path)
    assert len(summary.sites) > 8
    assert difference(before, found(model)) == []


@pytest.mark.parametrize("call", [1, 2, 3, 6])
def test_so_does_one_that_fails(model, settings, tmp_path, unsettled, call):
    model.fails_at = call  # the first two are the plan's, which puts the counter back: 3 is the third batch, 6 the last
    before = found(model)
    with pytest.raises(UsageError, match="tired"):
        run_backend(model, settings, tmp_path)
    assert difference(before, found(model)) == []


def test_so_does_one_that_is_interrupted(model, settings, tmp_path, unsettled):
    model.fails_at = 3
    model.on_failure = lambda: os.kill(os.getpid(), signal.SIGINT)
    before = found(model)
    with pytest.raises(KeyboardInterrupt):
        run_backend(model, settings, tmp_path)
    assert difference(before, found(model)) == []


@pytest.mark.parametrize("loss", [None, "cross_entropy"])
def test_an_analysis_leaves_a_module_that_its_factory_had_already(model, settings, unsettled, loss):
    before = found(model)
    report = analyze(replace(settings, loss=loss, evidence=loss and "probe", lr=loss and 0.1))
    assert report.coverage.measured > 8
    assert difference(before, found(model)) == []


@pytest.mark.parametrize("how", ["fails", "interrupted"])
def test_so_does_one_that_ends_early(model, settings, unsettled, how):
    model.fails_at = 3
    if how == "interrupted":
        model.on_failure = lambda: os.kill(os.getpid(), signal.SIGINT)
    before = found(model)
    with pytest.raises(KeyboardInterrupt if how == "interrupted" else UsageError):
        analyze(settings)
    assert difference(before, found(model)) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.embed.weight.data.add_(1e-7),
        lambda model: model.grown.add_(1),
        lambda model: model.cache.fill_(0.0),
        lambda model: model.norm.train(),
        lambda model: model.head.weight.requires_grad_(True),
        lambda model: model.tied.register_forward_hook(print),
        lambda model: model.tied.weight.grad.zero_(),
        lambda model: setattr(model, "extra", 1),
        lambda model: model.history.append(1),
        lambda model: setattr(model.tied, "weight", nn.Parameter(model.tied.weight.data.clone())),
        lambda model: torch.rand(1),
        lambda model: legacy.random(),
        lambda model: random.random(),
        lambda model: torch.backends.mha.set_fastpath_enabled(not torch.backends.mha.get_fastpath_enabled()),
    ],
)  # fmt: skip
def test_every_trace_would_be_seen(model, unsettled, change):
    before = found(model)
    change(model)
    try:
        assert difference(before, found(model)) != []
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
