"""Small networks and benches for the tests of short trainings."""

import inspect
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from covscan.config import Settings
from covscan.data import open_samples
from covscan.data.binding import bind_torch
from covscan.prove.objective import open_objective
from covscan.prove.optimizers import open_trainer
from covscan.prove.pool import Pool
from covscan.prove.runs import Bench


def digits(count: int = 256) -> dict[str, np.ndarray]:
    from sklearn.datasets import load_digits

    found = load_digits()
    return {"x": (found.data[:count] / 16).astype(np.float32), "y": found.target[:count]}


def plain(depth: int = 3, width: int = 16, seed: int = 0, scale: float = 1.0) -> nn.Sequential:
    torch.manual_seed(seed)
    sizes = [64, *[width] * depth]
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    network = nn.Sequential(*layers, nn.Linear(width, 10))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(scale)
    return network


def pool_of(model: nn.Module, data: dict[str, np.ndarray], batch_size: int = 32, held_out: float = 0.0) -> Pool:
    samples = open_samples(Settings(data=data, target="y", samples=4096, batch_size=100))
    signature = inspect.signature(model.forward)
    dtype = next(model.parameters()).dtype
    return Pool(samples, batch_size, lambda batch: bind_torch(signature, batch, "cpu", dtype), "cpu", held_out)


def states(*networks: nn.Module) -> list[dict[str, torch.Tensor]]:
    return [{name: value.clone() for name, value in network.state_dict().items()} for network in networks]


def bench_of(
    model: nn.Module | None = None, optimizer: str = "sgd", starts: list | None = None, held_out: float = 0.0, **changes
) -> Bench:
    model = model if model is not None else plain()
    pool = pool_of(model, digits(), held_out=held_out)
    objective, trainer = open_objective("cross_entropy"), open_trainer(optimizer)
    return Bench(model, pool, objective, trainer, starts or states(model), torch.device("cpu"), **changes)
