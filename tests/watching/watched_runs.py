"""Checkpoints of a small network for tests of the watch."""

import numpy as np
import torch
from torch import nn


def build():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def labelled():
    """Inputs, and labels that follow from them."""
    x = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
    return {"x": x, "y": (x[:, 0] > 0).astype("int64")}


def save(folder, step, seed=None, name=None, **stated):
    """A checkpoint of random weights."""
    torch.manual_seed(step if seed is None else seed)
    path = folder / (name or f"step-{step}.pt")
    torch.save({**stated, "model": build().state_dict()}, path)
    return path
