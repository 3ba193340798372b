"""The conv net's ONNX files compute what its PyTorch weights compute, and what the README says."""

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

EPOCHS = (0, 1, 2, 5, 10)


@pytest.fixture(scope="module")
def network(conv_net: Path) -> torch.nn.Module:
    spec = importlib.util.spec_from_file_location("nets_of_conv_net", conv_net / "nets.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.build().eval()


def logits(path: Path, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"image": images})[0]


@pytest.mark.parametrize("epoch", EPOCHS)
def test_both_engines_agree(conv_net: Path, network: torch.nn.Module, epoch: int) -> None:
    images = np.load(conv_net / "sample.npz")["image"][:33]
    saved = torch.load(conv_net / f"epoch{epoch}.pt", weights_only=True)
    assert saved["epoch"] == epoch
    network.load_state_dict(saved["state_dict"])
    with torch.no_grad():
        expected = network(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(logits(conv_net / f"epoch{epoch}.onnx", images), expected, rtol=1e-4, atol=1e-5)


def test_the_readme_states_what_the_files_score(conv_net: Path) -> None:
    readme = (conv_net / "README.md").read_text(encoding="utf-8").splitlines()
    stated = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.strip("|").split("|")[1:]]
        for line in readme
        if line.startswith("|")
    }
    assert stated["epoch"] == [str(epoch) for epoch in EPOCHS]
    sample = np.load(conv_net / "sample.npz")
    entropies, accuracies = [], []
    for epoch in EPOCHS:
        scores = logits(conv_net / f"epoch{epoch}.onnx", sample["image"]).astype(np.float64)
        chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        entropies.append(-np.log(chances[np.arange(len(scores)), sample["label"]]).mean())
        accuracies.append(100 * (scores.argmax(axis=1) == sample["label"]).mean())
    assert entropies == pytest.approx([float(cell) for cell in stated["cross-entropy"]], abs=0.002)
    # Another processor may decide one image out of 256 otherwise.
    assert accuracies == pytest.approx([float(cell.removesuffix(" %")) for cell in stated["accuracy"]], abs=0.45)


def test_the_graphs_stand_alone_and_name_no_machine(conv_net: Path) -> None:
    for epoch in EPOCHS:
        path = conv_net / f"epoch{epoch}.onnx"
        proto = onnx.load(path, load_external_data=False)
        assert not [tensor.name for tensor in proto.graph.initializer if tensor.external_data]
        assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param
        assert b'File "' not in path.read_bytes()
