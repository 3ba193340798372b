"""Modules that give other things than one tensor."""

import dataclasses
from collections import namedtuple

import torch
from torch import nn

Pair = namedtuple("Pair", "first second")


@dataclasses.dataclass
class Answer:
    logits: torch.Tensor
    more: object = None


def model_output(y):
    from transformers.modeling_outputs import BaseModelOutput

    return BaseModelOutput(last_hidden_state=y, hidden_states=(y, y))


class Own:
    """Of a class that nobody knows."""

    def __init__(self, y):
        self.y = y


WRAPPED = {
    "tuple": (lambda y: (y, 3, None), lambda v: v[0]),
    "list": (lambda y: [None, y], lambda v: v[1]),
    "namedtuple": (lambda y: Pair(y, True), lambda v: v.first),
    "dict": (lambda y: {"n": 1, "y": y}, lambda v: v["y"]),
    "dataclass": (Answer, lambda v: v.logits),
    "ModelOutput": (model_output, lambda v: v.last_hidden_state),
    "own class": (Own, lambda v: v.y),
    "distribution": (lambda y: torch.distributions.Normal(y, y.exp()), lambda v: v.mean),
}


OPAQUE = ("own class", "distribution")


class Wrap(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind, self.inner = kind, nn.Linear(6, 5)

    def forward(self, x):
        return WRAPPED[self.kind][0](self.inner(x) * 2)


class Wrapped(nn.Module):
    """A module in the middle hands its tensor on inside of something; so does the network itself."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.wrap, self.head = kind, Wrap(kind), nn.Linear(5, 3)

    def forward(self, x):
        y = self.head(WRAPPED[self.kind][1](self.wrap(x)))
        return WRAPPED[self.kind][0](y)


class Scalar(nn.Module):
    """Ends in a loss, as networks do that are written for training."""

    def __init__(self):
        super().__init__()
        self.fc, self.mean = nn.Linear(6, 5), Mean()

    def forward(self, x):
        return self.mean(self.fc(x))


class Mean(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(5))

    def forward(self, y):
        return (self.scale * y).mean()


class Optional(nn.Module):
    """Takes and gives None, flags and text among tensors, and everything by keyword."""

    def __init__(self):
        super().__init__()
        self.first, self.second = Inner(), Inner()

    def forward(self, *, x, mask=None, mode="train"):
        y, _, told = self.first(x, None, told={"mode": mode, "mask": mask})
        return {"out": self.second(y, told=told)[0], "loss": None, "done": True}


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 6)

    def forward(self, x, mask=None, told=None):
        return self.fc(input=x), mask, told
