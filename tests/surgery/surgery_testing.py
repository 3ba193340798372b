"""Networks with a place for a normalization, as files, and the truth about what was written."""

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import torch

from covscan.config import Settings
from covscan.insertion import Request, insert

NETS = '''
"""Small networks, each with one place of its own kind."""

import torch
from torch import nn
from torch.nn import functional as F


class Mlp(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(6, width), nn.Linear(width, 3)

    def forward(self, x):
        return self.fc2(torch.tanh(self.fc1(x)))


class Conv2d(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.fc = nn.Conv2d(3, 12, 3), nn.Conv2d(12, 8, 3), nn.Linear(8, 4)

    def forward(self, x):
        return self.fc(F.relu(self.conv2(F.relu(self.conv1(x)))).mean((2, 3)))


class Conv1d(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(5, 8, 3), nn.Conv1d(8, 4, 3)

    def forward(self, x):
        return self.conv2(F.gelu(self.conv1(x))).amax(-1)


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(6, 16), nn.Linear(16, 6)

    def forward(self, x):
        return x + self.down(F.gelu(self.up(x)))


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.fc = nn.LSTM(5, 12, batch_first=True), nn.Linear(12, 3)

    def forward(self, x):
        output, _ = self.rnn(x)
        return self.fc(output[:, -1])


class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.fc = nn.GRU(5, 12, batch_first=True), nn.Linear(12, 3)

    def forward(self, x):
        lengths = torch.arange(len(x)) % 4 + 3
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        output, _ = self.rnn(packed)
        return self.fc(nn.utils.rnn.pad_packed_sequence(output, batch_first=True)[0])


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.out = nn.Linear(6, 6), nn.Linear(6, 2)
        self.again = self.fc

    def forward(self, x):
        return self.out(torch.tanh(self.again(torch.tanh(self.fc(x)))))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.inner = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)

    def forward(self, x):
        return self.inner(x)


class Keywords(nn.Module):
    def __init__(self):
        super().__init__()
        self.block, self.head = Block(), nn.Linear(6, 2)
        self.idle = nn.Linear(2, 2)

    def forward(self, x):
        return self.head(self.block(values=x, scale=2)["hidden"])


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 6)

    def forward(self, *, values, scale):
        return {"scale": scale, "hidden": torch.tanh(self.fc(values)) * scale}
'''

SHAPES = {
    "Mlp": (6,),
    "Conv2d": (3, 9, 8),
    "Conv1d": (5, 11),
    "Tokens": (7, 6),
    "Lstm": (7, 5),
    "Packed": (6, 5),
    "Shared": (6,),
    "Encoder": (5, 8),
    "Keywords": (6,),
}
_number = itertools.count()


class Case:
    """A network with weights and data in a folder."""

    def __init__(self, folder: Path, name: str, samples: int = 96, **arguments):
        self.folder = folder / f"case{next(_number)}"
        self.folder.mkdir()
        self.spec = f"{self.folder / 'nets.py'}:{name}"
        (self.folder / "nets.py").write_text(NETS)
        torch.manual_seed(3)
        self.model = imported(self.folder / "nets.py").__dict__[name](**arguments).eval()
        self.checkpoint = self.folder / "weights.pt"
        torch.save(self.model.state_dict(), self.checkpoint)
        rng = np.random.default_rng(5)
        self.x = rng.normal(1, 2, (samples, *SHAPES[name])).astype(np.float32)
        np.savez(self.folder / "x.npz", x=self.x)
        self.output, self.code = self.folder / "with-norm.pt", self.folder / "with_norm.py"

    def settings(self, **changes):
        base = {"model": self.spec, "data": str(self.folder / "x.npz"), "checkpoints": (str(self.checkpoint),)}
        return Settings(**({**base, "device": "cpu"} | changes))

    def insert(self, site, norm, position="after", **changes):
        return insert(self.settings(**changes), Request(site, position, norm, self.output, self.code))

    def written(self):
        """The written network, opened with nothing but torch."""
        model = imported(self.code).build()
        state = torch.load(self.output, weights_only=True)
        assert all(type(value) is torch.Tensor for value in state.values())
        model.load_state_dict(state)
        return model.eval()

    def outputs(self, model):
        with torch.no_grad():
            return model(torch.from_numpy(self.x))


def imported(path: Path):
    specification = importlib.util.spec_from_file_location(f"read_{next(_number)}", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
