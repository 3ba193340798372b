"""Trains the conv net on scikit-learn's digits and exports every kept epoch, as ONNX and as PyTorch weights.

python samples/conv-onnx/make.py
"""

from pathlib import Path

import numpy as np
import onnx
import torch
from nets import build
from sklearn.datasets import load_digits
from torch import nn

HERE = Path(__file__).parent
HELD_OUT = 256
BATCH = 32
EPOCHS = (0, 1, 2, 5, 10)


def digits() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Training images and labels, then the held-out ones; pixels in 0 … 1, zoomed from 8x8 to 16x16."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    small = torch.from_numpy((x[order] / 16).astype(np.float32)).reshape(-1, 1, 8, 8)
    images = nn.functional.interpolate(small, size=16, mode="bilinear", align_corners=False)
    labels = torch.from_numpy(y[order].astype(np.int64))
    return images[HELD_OUT:], labels[HELD_OUT:], images[:HELD_OUT], labels[:HELD_OUT]


def export(network: nn.Module, path: Path) -> None:
    """Write the network as it computes in eval mode; the number of images stays open."""
    program = torch.onnx.export(
        network,
        (torch.zeros(2, 1, 16, 16),),
        input_names=["image"],
        output_names=["logits"],
        dynamo=True,
        dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
        verbose=False,
    )
    proto = program.model_proto
    for node in proto.graph.node:
        # The exporter notes the stack trace of each node, with the paths of the machine it ran on.
        del node.metadata_props[:]
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)


@torch.no_grad()
def save(network: nn.Module, epoch: int, x: torch.Tensor, y: torch.Tensor) -> None:
    network.eval()
    logits = network(x)
    correct = (logits.argmax(1) == y).double().mean().item()
    print(f"| {epoch} | {nn.functional.cross_entropy(logits, y):.3f} | {correct:.1%} |", flush=True)
    torch.save({"epoch": epoch, "state_dict": network.state_dict()}, HERE / f"epoch{epoch}.pt")
    export(network, HERE / f"epoch{epoch}.onnx")
    network.train()


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    x, y, test_x, test_y = digits()
    np.savez_compressed(HERE / "sample.npz", image=test_x.numpy(), label=test_y.numpy())
    torch.manual_seed(0)
    network = build()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    drawing = torch.Generator().manual_seed(1)
    for epoch in range(EPOCHS[-1] + 1):
        if epoch in EPOCHS:
            save(network, epoch, test_x, test_y)
        for chosen in torch.randperm(len(x), generator=drawing).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x[chosen]), y[chosen]).backward()
            optimizer.step()


if __name__ == "__main__":
    main()
