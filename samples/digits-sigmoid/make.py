"""Trains both networks on scikit-learn's digits and writes their checkpoints and the held-out sample.

python samples/digits-sigmoid/make.py
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from nets import batchnorm, plain
from sklearn.datasets import load_digits
from torch import nn

HERE = Path(__file__).parent
HELD_OUT = 512
BATCH = 60
LEARNING_RATE = 0.1
STEPS = (0, 50, 200, 1000, 3000, 8000, 20000)


def digits() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Training pixels and labels, then the held-out ones; pixels in 0 … 1."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    pixels = torch.from_numpy((x[order] / 16).astype(np.float32))
    labels = torch.from_numpy(y[order].astype(np.int64))
    return pixels[HELD_OUT:], labels[HELD_OUT:], pixels[:HELD_OUT], labels[:HELD_OUT]


@torch.no_grad()
def accuracy(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    network.eval()
    correct = (network(x).argmax(1) == y).double().mean().item()
    network.train()
    return correct


def train(build: Callable[[], nn.Module]) -> None:
    x, y, test_x, test_y = digits()
    torch.manual_seed(0)
    network = build()
    optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE)
    folder = HERE / build.__name__
    folder.mkdir(exist_ok=True)
    drawing = torch.Generator().manual_seed(1)
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            torch.save({"step": step, "model_state_dict": network.state_dict()}, folder / f"step-{step}.pt")
            print(f"| {build.__name__} | {step} | {accuracy(network, test_x, test_y):.1%} |", flush=True)
        chosen = torch.randint(len(x), (BATCH,), generator=drawing)
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x[chosen]), y[chosen]).backward()
        optimizer.step()


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    *_, x, y = digits()
    np.savez_compressed(HERE / "sample.npz", x=x.numpy(), y=y.numpy())
    train(plain)
    train(batchnorm)


if __name__ == "__main__":
    main()
