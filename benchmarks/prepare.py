"""Writes what the contenders of a part read: checkpoints that differ by a little noise, samples, and ONNX exports.

    python benchmarks/prepare.py JOB.json

``JOB.json`` holds ``folder``, ``factory``, ``arguments``, ``checkpoints``, ``shape``, ``words``, ``samples``, ``batch``
and ``onnx``. A process of its own, so that whoever measures need not import torch.
"""

import json
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import nets
import numpy as np
import torch
from torch import nn

NOISE = 0.02
"""By which each checkpoint differs from the one before, in standard deviations of the tensor."""
OPSET = 18


def samples(shape: tuple[int, ...], words: int | None, count: int) -> np.ndarray:
    """The same for the same shape, every time."""
    drawing = torch.Generator().manual_seed(0)
    if words is not None:
        return torch.randint(words, (count, *shape), generator=drawing).numpy()
    return torch.randn(count, *shape, generator=drawing).numpy()


def move(network: nn.Module, drawing: torch.Generator) -> None:
    """As a step of training would, but at random."""
    with torch.no_grad():
        for parameter in network.parameters():
            noise = torch.randn(parameter.shape, generator=drawing)
            parameter.add_(noise * parameter.std() if parameter.numel() > 1 else noise, alpha=NOISE)


def export(network: nn.Module, example: torch.Tensor, path: Path) -> None:
    """With a free batch size, the weights in the file."""
    logging.disable(logging.WARNING)  # torchvision, which is not there and not needed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example,),
            path,
            input_names=["x"],
            output_names=["y"],
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
        )


def prepare(job: dict[str, Any]) -> None:
    """Write ``step-N.pt`` or ``step-N.onnx``, and ``data.npz``."""
    folder = Path(job["folder"])
    torch.manual_seed(0)
    network = getattr(nets, job["factory"])(**job["arguments"]).eval()
    data = samples(tuple(job["shape"]), job["words"], job["samples"])
    np.savez(folder / "data.npz", x=data)
    drawing = torch.Generator().manual_seed(1)
    for step in range(job["checkpoints"]):
        if step:
            move(network, drawing)
        if job["onnx"]:
            export(network, torch.from_numpy(data[: job["batch"]]), folder / f"step-{step}.onnx")
        else:
            torch.save({"step": step, "state_dict": network.state_dict()}, folder / f"step-{step}.pt")


if __name__ == "__main__":
    prepare(json.loads(Path(sys.argv[1]).read_text()))
