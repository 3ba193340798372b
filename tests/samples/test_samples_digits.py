"""The sigmoid networks are what their README says."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits


def table_row(readme: Path, head: str) -> list[str]:
    """The cells behind ``head`` in the table of a README."""
    line = next(line for line in readme.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {head} |"))
    return [cell.strip() for cell in line.strip("|").split("|")[1:]]


def factory(nets: Path, name: str):
    spec = importlib.util.spec_from_file_location(f"nets_of_{nets.parent.name.replace('-', '_')}", nets)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


@pytest.mark.parametrize("name", ["plain", "batchnorm"])
def test_accuracies_are_those_of_the_readme(digits: Path, name: str) -> None:
    steps = [int(cell.replace(",", "")) for cell in table_row(digits / "README.md", "step")]
    stated = table_row(digits / "README.md", f"`{name}/`")
    sample = np.load(digits / "sample.npz")
    network = factory(digits / "nets.py", name)().eval()
    measured = []
    for step in steps:
        saved = torch.load(digits / name / f"step-{step}.pt", weights_only=True)
        assert saved["step"] == step
        network.load_state_dict(saved["model_state_dict"])
        with torch.no_grad():
            right = network(torch.from_numpy(sample["x"])).argmax(1).numpy() == sample["y"]
        measured.append(100 * right.mean())
    # Another processor may decide one digit out of 512 otherwise.
    assert measured == pytest.approx([float(cell.removesuffix(" %")) for cell in stated], abs=0.25)
    assert {int(re.search(r"\d+", path.stem)[0]) for path in (digits / name).glob("*.pt")} == set(steps)


def test_the_sample_holds_real_digits(digits: Path) -> None:
    sample = np.load(digits / "sample.npz")
    assert sample["x"].shape == (512, 64)
    assert (sample["x"].dtype, sample["y"].dtype) == (np.float32, np.int64)
    pixels, labels = load_digits(return_X_y=True)
    known = {(*row.astype(int), label) for row, label in zip(pixels, labels, strict=True)}
    found = {(*(row * 16).astype(int), label) for row, label in zip(sample["x"], sample["y"], strict=True)}
    assert found <= known
    assert len(found) > 500


def test_the_first_checkpoint_is_the_untrained_network(digits: Path) -> None:
    torch.manual_seed(0)
    fresh = factory(digits / "nets.py", "plain")().state_dict()
    saved = torch.load(digits / "plain" / "step-0.pt", weights_only=True)["model_state_dict"]
    assert all(torch.equal(fresh[name], saved[name]) for name in fresh)
    assert saved["fc2.weight"].std().item() == pytest.approx(0.1, rel=0.05)
