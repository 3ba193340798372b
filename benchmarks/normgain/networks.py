"""The small networks of the benchmark, written as people write them: named modules, or functions between them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

MODULES: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "leaky": nn.LeakyReLU,
}
FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": F.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": F.gelu,
    "elu": F.elu,
    "leaky": F.leaky_relu,
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a network is made of; ``inputs`` is one sample's shape, ``outputs`` the size of the last layer.

    ``act`` in capitals is called as a function and is no module. ``norm`` is none, batch, layer, or ``most-`` before
    one of them: then it stands behind every hidden layer but the one in the middle. Residual networks and
    transformers know ``pre-`` and ``post-`` as well.
    """

    kind: str
    act: str
    width: int
    depth: int
    norm: str
    inputs: tuple[int, ...]
    outputs: int
    tokens: bool = False


def activation(act: str) -> nn.Module | Callable[[torch.Tensor], torch.Tensor]:
    return MODULES[act]() if act.islower() else FUNCTIONS[act.lower()]


def norm_of(norm: str, width: int, axes: int = 0) -> nn.Module:
    if norm.endswith("batch"):
        return nn.BatchNorm2d(width) if axes else nn.BatchNorm1d(width)
    if norm.endswith("layer"):
        return nn.GroupNorm(1, width) if axes else nn.LayerNorm(width)
    return nn.Identity()


class Chain(nn.Module):
    """Hidden layers, each with its normalization and activation, and a head."""

    def __init__(self, layers: Sequence[nn.Module], norms: Sequence[nn.Module | None], act: str, head: nn.Module):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.norms = nn.ModuleDict({str(n): norm for n, norm in enumerate(norms) if norm is not None})
        self.act = nn.ModuleList(MODULES[act]() for _ in layers) if act.islower() else None
        self.function = FUNCTIONS[act.lower()]
        self.head = head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if str(number) in self.norms:
                x = self.norms[str(number)](x)
            x = self.function(x) if self.act is None else self.act[number](x)
        return self.head(x)


def _norms(shape: Shape, widths: Sequence[int], axes: int = 0) -> list[nn.Module | None]:
    left_out = len(widths) // 2 if shape.norm.startswith("most-") else None
    return [
        None if shape.norm == "none" or number == left_out else norm_of(shape.norm, width, axes)
        for number, width in enumerate(widths)
    ]


def mlp(shape: Shape) -> nn.Module:
    sizes = [shape.inputs[0], *[shape.width] * shape.depth]
    layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]
    if shape.kind == "sequential":
        parts: list[nn.Module] = []
        for layer, norm in zip(layers, _norms(shape, sizes[1:]), strict=True):
            parts += [layer, *([] if norm is None else [norm]), MODULES[shape.act]()]
        return nn.Sequential(*parts, nn.Linear(shape.width, shape.outputs))
    return Chain(layers, _norms(shape, sizes[1:]), shape.act, nn.Linear(shape.width, shape.outputs))


def conv(shape: Shape) -> nn.Module:
    """Convolutions of three by three, the second with stride 2; ``pool`` averages before the head, ``flat`` doesn't."""
    layers, channels = [], shape.inputs[0]
    for number in range(shape.depth):
        layers.append(nn.Conv2d(channels, shape.width, 3, stride=1 + (number == 1), padding=1))
        channels = shape.width
    if shape.kind == "pool":
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, shape.outputs))
    else:
        head = nn.Sequential(nn.Flatten(), nn.Linear(channels * 16, shape.outputs))
    return Chain(layers, _norms(shape, [shape.width] * shape.depth, axes=2), shape.act, head)


class Branch(nn.Module):
    """``x + last(act(first(x)))`` with a normalization before the branch, behind the sum, or nowhere."""

    def __init__(self, make: Callable[[], nn.Module], shape: Shape, axes: int) -> None:
        super().__init__()
        self.norm = norm_of(shape.norm, shape.width, axes)
        self.first = make()
        self.act = activation(shape.act)
        self.last = make()
        self.post = shape.norm.startswith("post-")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = x if self.post else self.norm(x)
        out = x + self.last(self.act(self.first(inner)))
        return self.norm(out) if self.post else out


def residual(shape: Shape) -> nn.Module:
    width = shape.width
    if shape.kind == "conv":
        stem: nn.Module = nn.Conv2d(shape.inputs[0], width, 3, stride=2, padding=1)
        blocks = [Branch(lambda: nn.Conv2d(width, width, 3, padding=1), shape, 2) for _ in range(shape.depth)]
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, shape.outputs))
    else:
        stem = nn.Linear(shape.inputs[0], width)
        blocks = [Branch(lambda: nn.Linear(width, width), shape, 0) for _ in range(shape.depth)]
        head = nn.Sequential(nn.Linear(width, shape.outputs))
    final = [norm_of(shape.norm, width, len(shape.inputs) - 1)] if shape.norm.startswith("pre-") else []
    return nn.Sequential(stem, *blocks, *final, *head)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        samples, length, width = x.shape
        parts = self.qkv(x).view(samples, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each (samples, heads, length, width / heads)
        scores = query @ key.transpose(-1, -2) * (width // self.heads) ** -0.5
        if self.causal:
            later = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
            scores = scores.masked_fill(later, float("-inf"))
        mixed = scores.softmax(-1) @ value
        return self.out(mixed.transpose(1, 2).reshape(samples, length, width))


class Block(nn.Module):
    """Attention and two linear layers, each a branch of the residual stream."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm_of(shape.norm, shape.width), norm_of(shape.norm, shape.width)
        self.attention = Attention(shape.width, 2, shape.tokens)
        self.up = nn.Linear(shape.width, 2 * shape.width)
        self.act = activation(shape.act)
        self.down = nn.Linear(2 * shape.width, shape.width)
        self.post = shape.norm.startswith("post-")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.post:
            x = self.norm1(x + self.attention(x))
            return self.norm2(x + self.down(self.act(self.up(x))))
        x = x + self.attention(self.norm1(x))
        return x + self.down(self.act(self.up(self.norm2(x))))


class Transformer(nn.Module):
    """Blocks over tokens (a next-character model) or over rows of an image (a classifier)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width, length = shape.width, shape.inputs[0]
        self.embed: nn.Module = nn.Embedding(96, width) if shape.tokens else nn.Linear(shape.inputs[1], width)
        self.place = nn.Parameter(torch.randn(length, width) * 0.3)
        self.blocks = nn.ModuleList(self._block(shape) for _ in range(shape.depth))
        self.norm = norm_of(shape.norm if shape.norm.startswith("pre-") else "none", width)
        self.head = nn.Linear(width, shape.outputs)
        self.tokens = shape.tokens

    @staticmethod
    def _block(shape: Shape) -> nn.Module:
        if shape.kind == "encoder":
            first = shape.norm.startswith("pre-")
            return nn.TransformerEncoderLayer(
                shape.width, 2, 2 * shape.width, 0.0, shape.act, batch_first=True, norm_first=first
            )
        return Block(shape)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x) + self.place
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return self.head(x if self.tokens else x.mean(1))


class Recurrent(nn.Module):
    """A linear layer on every step, recurrent layers, a linear layer on what is read out, and a head."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        kinds: dict[str, Any] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
        self.embed: nn.Module = nn.Embedding(96, width) if shape.tokens else nn.Linear(shape.inputs[1], width)
        self.embed_norm = norm_of(shape.norm, width)
        self.rnns = nn.ModuleList(kinds[shape.kind](width, width, batch_first=True) for _ in range(shape.depth))
        self.rnn_norms = nn.ModuleList(
            nn.Identity() if shape.norm.startswith("most-") and n == 0 else norm_of(shape.norm, width)
            for n in range(shape.depth)
        )
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.hidden_norms = nn.ModuleList(norm_of(shape.norm, width) for _ in range(2))
        self.act = activation(shape.act)
        self.head = nn.Linear(width, shape.outputs)
        self.tokens = shape.tokens

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        if not self.tokens:
            x = self.act(self.embed_norm(x))
        for rnn, norm in zip(self.rnns, self.rnn_norms, strict=True):
            x = norm(rnn(x)[0])
        if not self.tokens:
            x = x[:, -1]
        for layer, norm in zip(self.hidden, self.hidden_norms, strict=True):
            x = self.act(norm(layer(x)))
        return self.head(x)


def autoencoder(shape: Shape) -> nn.Module:
    """``dense``: halved ``depth`` times and doubled back. ``conv``: two strided convolutions and back again."""
    if shape.kind == "conv":
        first, second = shape.width, shape.width + 4
        layers: list[nn.Module] = [
            nn.Conv2d(shape.inputs[0], first, 3, stride=2, padding=1),
            nn.Conv2d(first, second, 3, stride=2, padding=1),
            nn.Conv2d(second, second, 1),
            nn.ConvTranspose2d(second, first, 2, stride=2),
        ]
        norms = _norms(shape, [first, second, second, first], axes=2)
        return Chain(layers, norms, shape.act, nn.ConvTranspose2d(first, shape.inputs[0], 2, stride=2))
    down = [max(4, shape.width >> number) for number in range(shape.depth)]
    sizes = [shape.inputs[0], *down, *down[-2::-1]]
    layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]
    return Chain(layers, _norms(shape, sizes[1:]), shape.act, nn.Linear(sizes[-1], shape.inputs[0]))


FAMILIES: dict[str, Callable[[Shape], nn.Module]] = {
    "mlp": mlp,
    "conv": conv,
    "residual": residual,
    "transformer": Transformer,
    "recurrent": Recurrent,
    "autoencoder": autoencoder,
}
