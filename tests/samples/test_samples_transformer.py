"""The character transformer is what its README says, and leaves padding out."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

STEPS = (0, 100, 500, 2000)


@pytest.fixture(scope="module")
def network(char_transformer: Path) -> torch.nn.Module:
    spec = importlib.util.spec_from_file_location("nets_of_char_transformer", char_transformer / "nets.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.build().eval()


@pytest.fixture(scope="module")
def sample(char_transformer: Path) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in np.load(char_transformer / "sample.npz").items()}


def test_bits_per_character_are_those_of_the_readme(
    char_transformer: Path, network: torch.nn.Module, sample: dict[str, torch.Tensor]
) -> None:
    readme = (char_transformer / "README.md").read_text(encoding="utf-8")
    row = next(line for line in readme.splitlines() if line.startswith("| bits per character |"))
    stated = [cell.strip() for cell in row.strip("|").split("|")[1:]]
    measured = []
    for step in STEPS:
        path = char_transformer / f"step-{step:05d}.safetensors"
        with safe_open(path, framework="np") as opened:
            assert opened.metadata() == {"step": str(step)}
        network.load_state_dict(load_file(path))
        with torch.no_grad():
            scores = network(sample["tokens"], sample["attention_mask"])
        loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), sample["targets"].flatten())
        measured.append(loss.item() / np.log(2))
    assert measured == pytest.approx([float(cell) for cell in stated], abs=0.01)


def test_rows_are_ragged_and_padded_on_the_right(sample: dict[str, torch.Tensor]) -> None:
    mask, tokens, targets = sample["attention_mask"], sample["tokens"], sample["targets"]
    lengths = mask.sum(1)
    assert lengths.min() >= 8
    assert (lengths < 64).sum() > 60
    assert torch.equal(mask, (torch.arange(64) < lengths[:, None]).long())
    assert torch.equal(tokens > 0, mask.bool())
    assert torch.equal(targets != -100, mask.bool())
    inside = mask[:, 1:].bool()
    assert torch.equal(tokens[:, 1:][inside], targets[:, :-1][inside])


def test_padding_changes_nothing(
    char_transformer: Path, network: torch.nn.Module, sample: dict[str, torch.Tensor]
) -> None:
    network.load_state_dict(load_file(char_transformer / "step-02000.safetensors"))
    row = int(sample["attention_mask"].sum(1).argmin())
    length = int(sample["attention_mask"][row].sum())
    tokens, mask = sample["tokens"][row : row + 1], sample["attention_mask"][row : row + 1]
    with torch.no_grad():
        padded = network(tokens, mask)[:, :length]
        alone = network(tokens[:, :length], mask[:, :length])
    torch.testing.assert_close(padded, alone)
