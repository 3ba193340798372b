"""Networks, archives and recorders that the tests of the TorchScript back end share."""

import warnings
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from covscan.capture.script_backend import ScriptBackend
from covscan.capture.types import Rows, SiteKey, call_name
from covscan.config.settings import Settings
from covscan.data.types import Batch
from covscan.models.types import Checkpoint, Series


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.GroupNorm(2, 8)
        self.act = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(8, 8, 1, bias=False)
        self.inorm = nn.InstanceNorm2d(8, affine=True)

    def forward(self, x):
        y = self.act(self.norm(self.conv(x)))
        y = self.inorm(self.conv2(y))
        y += x
        return self.act(y)


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.body = nn.ModuleList([Residual(), Residual()])
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = self.stem(x)
        for block in self.body:
            x = block(x)
        return self.head(self.drop(torch.flatten(self.pool(x), 1)))


class Perceptron(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(10, 16)
        self.act = nn.Sigmoid()
        self.norm = nn.BatchNorm1d(16)
        self.fc2 = nn.Linear(16, 5)

    def forward(self, x):
        return F.relu(self.fc2(self.norm(self.act(self.fc1(x)))))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(30, 12)
        self.lstm = nn.LSTM(12, 7, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(14, 6)
        self.norm = nn.LayerNorm(6)
        self.out = nn.Linear(6, 30)

    def forward(self, x):
        y, _ = self.lstm(self.embedding(x))
        y, _ = self.gru(y.transpose(0, 1))
        return self.out(self.norm(y)).transpose(0, 1)


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(16, 48)
        self.proj = nn.Linear(16, 16)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, 4, 4).permute(2, 0, 3, 1, 4).unbind(0)
        weights = ((q @ k.transpose(-2, -1)) / 2.0).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(n, t, d))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Linear(6, 16)
        self.encoder = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, norm_first=True, activation="gelu")
        self.mha = nn.MultiheadAttention(16, 2, batch_first=True)
        self.attn = SelfAttention()
        self.norm = nn.LayerNorm(16)

    def forward(self, x):
        x = self.encoder(self.embedding(x))
        x = x + self.mha(x, x, x, need_weights=False)[0]
        x = x + self.mha(x, x, x)[0]
        return self.norm(x + self.attn(x))


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.second = nn.Linear(4, 6)
        self.act = nn.Tanh()
        self.conv = nn.Conv1d(6, 5, 1)
        self.again = nn.Linear(5, 5)

    def forward(self, x, flag: bool = True):
        y = self.first(x) if flag else self.second(x)
        y = self.act(y)
        z = self.conv(y.unsqueeze(-1)).squeeze(-1)
        for _ in range(3):
            z = self.again(z)
        return {"out": self.act(z), "hidden": y}


class Upsampler(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv1d(3, 6, 3)
        self.clip = nn.Hardtanh(-0.5, 0.5)
        self.up = nn.ConvTranspose1d(6, 4, 2)
        self.act = nn.GELU()
        self.fc = nn.Linear(4, 9)

    def forward(self, x) -> list[torch.Tensor]:
        x = self.act(self.up(self.clip(self.down(x))).transpose(1, 2))
        return [self.fc(x), x]


NETWORKS = {
    "conv": (ConvNet, (3, 9, 9)),
    "perceptron": (Perceptron, (10,)),
    "recurrent": (Recurrent, (5,)),
    "transformer": (Transformer, (4, 6)),
    "branching": (Branching, (4,)),
    "upsampler": (Upsampler, (3, 11)),
}


def make(name: str, seed: int = 0) -> nn.Module:
    """A network with weights and running statistics of its own."""
    torch.manual_seed(seed)
    net = NETWORKS[name][0]().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
    return net


def inputs(name: str, n: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = (n, *NETWORKS[name][1])
    return rng.integers(0, 30, shape) if name == "recurrent" else rng.normal(size=shape).astype(np.float32)


def save(net: nn.Module, path: Path, how: str, example: torch.Tensor | None = None) -> Path:
    """Script or trace a network into an archive; "frozen" is scripted and frozen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if how == "trace":
            module = torch.jit.trace(net, example, strict=False, check_trace=False)
        else:
            module = torch.jit.script(net)
        if how == "frozen":
            module = torch.jit.freeze(module)
        module.save(str(path))
    return path


def archive(name: str, path: Path, how: str, seed: int = 0) -> Path:
    return save(make(name, seed), path, how, torch.from_numpy(inputs(name, 4)))


class Archives:
    """A ScriptSource over given files."""

    engine = "torchscript"
    description = "archives"

    def __init__(self, *paths: Path) -> None:
        self.series = Series(tuple(Checkpoint(path.stem, path, None, "") for path in paths), "given")
        self.opened: list[torch.jit.ScriptModule] = []

    def module(self, checkpoint: Checkpoint) -> torch.jit.ScriptModule:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.opened.append(torch.jit.load(str(checkpoint.path), map_location="cpu").eval())
        return self.opened[-1]


class Notes:
    """A Recorder that keeps everything."""

    def __init__(self) -> None:
        self.rows = defaultdict(list)
        self.skipped: dict[str, str] = {}
        self.replays = {}
        self.still: set[tuple[str, str]] = set()

    def record(self, key, rows, batch):
        self.rows[key].append(Rows(rows.values.copy(), rows.sample, rows.position))

    def wants_replay(self, batch, work=None):
        return work is not None and work > 0

    def skip(self, site, reason):
        self.skipped.setdefault(site, reason)

    def replay(self, name, key, reference, actual, counterfactual, batch, work=None):
        self.replays[(name, reference)] = (actual, counterfactual)

    def unmoved(self, name, key, reference):
        self.still.add((name, reference))


def batch_of(**named) -> Batch:
    n = next(len(value) for value in named.values() if value.ndim)
    return Batch(index=np.arange(n), block=np.arange(n) % 4, named=named)


def backend(*paths: Path, **settings) -> tuple[ScriptBackend, tuple[Checkpoint, ...]]:
    source = Archives(*paths)
    return ScriptBackend(source, Settings(device="cpu", **settings)), source.series.checkpoints


def hooked(net: nn.Module, x: torch.Tensor) -> dict[SiteKey, torch.Tensor]:
    """What Python hooks see of the eager network: the first tensor in and out of each call of each module."""
    seen: dict[SiteKey, torch.Tensor] = {}
    calls: Counter[str] = Counter()

    def hooks(name: str):
        def before(module, args):
            seen[SiteKey(call_name(name, calls[name]), "input")] = args[0].clone()

        def after(module, args, output):
            value = output[0] if isinstance(output, tuple) else output
            seen[SiteKey(call_name(name, calls[name]), "output")] = value.clone()
            calls[name] += 1

        return before, after

    handles = []
    for name, module in net.named_modules():
        if name:
            before, after = hooks(name)
            handles += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.no_grad():
        net(x)
    torch.backends.mha.set_fastpath_enabled(fast)
    for handle in handles:
        handle.remove()
    return seen
