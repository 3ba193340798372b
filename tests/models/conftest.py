"""A small network, its factory file, and checkpoints of it with known weights."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from covscan.config.settings import Settings
from covscan.errors import UsageError
from covscan.models import open_source

torch.set_num_threads(1)

NETS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.ReLU())
        self.head = nn.Linear(width, 2)

    def forward(self, x):
        return self.head(self.body(x))

    @classmethod
    def wide(cls):
        return cls(width=8)

class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.decoder = nn.Linear(3, 5, bias=False)
        self.decoder.weight = self.embedding.weight

    def forward(self, x):
        return self.decoder(self.embedding(x))

def build(width=4):
    print("building")
    return Net(width)
"""


class Bench:
    """A folder with ``nets.py`` in which checkpoints are made and opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.joinpath("nets.py").write_text(textwrap.dedent(NETS))
        namespace: dict[str, object] = {}
        exec(NETS, namespace)
        self.net_class = namespace["Net"]
        self.tied_class = namespace["Tied"]

    def state(self, seed: int = 0, width: int = 4) -> dict[str, torch.Tensor]:
        """The state dict of a network drawn from ``seed``."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.net_class(width).state_dict()

    def save(self, name: str, content: object, **options: object) -> Path:
        """``torch.save`` under ``name``."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(content, path, **options)
        return path

    def open(self, *checkpoints: object, model: object = "build", untrained: bool = False, **fields: object):
        """Open with ``nets.py:model``, or without a model where that is None."""
        if isinstance(model, str):
            model = f"{self.folder / 'nets.py'}:{model}"
        settings = Settings(model=model, checkpoints=tuple(map(str, checkpoints)), **fields)
        return open_source(settings, untrained=untrained)

    def error(self, *checkpoints: object, **fields: object) -> UsageError:
        """The UsageError that opening raises."""
        with pytest.raises(UsageError) as caught:
            self.open(*checkpoints, **fields)
        return caught.value

    def loads(self, content: object, **fields: object):
        """Save ``content``, open it, and require the weights of seed 0 in module and mapping. Returns the source."""
        return self.holds(self.save("one.pt", content), **fields)

    def holds(self, path: Path, **fields: object):
        """Open ``path`` and require the weights of seed 0 in module and mapping. Returns the source."""
        source = self.open(path, **fields)
        (checkpoint,) = source.series.checkpoints
        module, weights, wanted = source.module(checkpoint), source.weights(checkpoint), self.state(0)
        assert not module.training
        for name, tensor in wanted.items():
            torch.testing.assert_close(module.state_dict()[name], tensor, rtol=0, atol=0)
            torch.testing.assert_close(weights[name], tensor, rtol=0, atol=0)
        assert set(weights) == set(wanted)
        return source


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.chdir(tmp_path)
    return Bench(tmp_path)


@pytest.fixture
def touch(tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"something")
        return path

    return make
