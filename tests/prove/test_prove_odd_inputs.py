"""Odd inputs are right or said: few samples, one class, NaN, frozen and tied weights, 16 and 64 bits."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from gradient_testing import MemorySource
from torch import nn
from training_testing import digits, plain, states

import covscan
from covscan.config import Settings
from covscan.data import open_samples
from covscan.errors import UsageError
from covscan.prove.gather import open_bench
from covscan.prove.proof import Plan, prove
from covscan.prove.runs import Arm
from covscan.prove.types import MATERIAL
from covscan.surgery.types import Insertion

DATA = digits(64)
BEHIND = Insertion("0", "after", "BatchNorm1d", 16, 1)
SETTINGS = Settings(data=DATA, target="y", loss="cross_entropy", optimizer="sgd", lr=0.1, train_batch_size=16)
PLAN = Plan(seeds=2, steps=3, rungs=3)


def opened(model=None, **changes):
    settings = replace(SETTINGS, **changes)
    model = model if model is not None else plain()
    return open_bench(MemorySource(model, states(model)), settings, open_samples(settings))[0]


def proved(model=None, insertion=BEHIND, **changes):
    settings = replace(SETTINGS, **changes)
    model = model if model is not None else plain()
    source = MemorySource(model, states(model))
    return prove(source, settings, open_samples(settings), insertion, PLAN, lambda *words: None)


def refused(act, *words, **changes):
    with pytest.raises(UsageError) as caught:
        act(*words, **changes)
    return caught.value


def at_row_40(value, values=DATA["y"]):
    changed = np.array(values, dtype=np.float32)
    changed[40] = value
    return changed


@pytest.mark.parametrize(
    ("loss", "target", "said"),
    [
        ("mse", at_row_40(np.nan, np.zeros((64, 10))), "10 of 640 are NaN or infinite"),
        ("bce", at_row_40(np.inf, np.zeros((64, 10))), "10 of 640 are NaN or infinite"),
        ("cross_entropy", at_row_40(np.nan), "1 of 64 are NaN or infinite"),
        ("cross_entropy", at_row_40(np.nan, np.full((64, 10), 0.1)), "10 of 640 are NaN or infinite"),
        ("cross_entropy", at_row_40(10).astype(int), "0 to 10 for logits of 10 classes"),
    ],
    ids=["mse", "bce", "classes", "probabilities", "beyond"],
)
def test_one_bad_target_among_all_is_found_before_anything_is_trained(loss, target, said):
    error = refused(opened, loss=loss, data={"x": DATA["x"], "y": target})
    assert error.code == "bad-target"
    assert said in error.found


def test_bad_targets_that_are_held_out_are_found_too():
    last = np.array(DATA["y"])
    last[-1] = 10  # is held out
    assert refused(proved, data={"x": DATA["x"], "y": last}).code == "bad-target"


def test_targets_that_are_masked_or_left_out_may_be_anything():
    values = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32)
    mask = np.ones((64, 10), bool)
    mask[40] = False
    data = {"x": DATA["x"], "y": at_row_40(np.nan, values), "m": mask}
    assert opened(loss="mse", data=data, mask="m").pool.count == 64
    assert opened(data={"x": DATA["x"], "y": at_row_40(-100).astype(int)}).pool.count == 64


def test_a_function_of_the_users_own_may_know_what_to_do_with_nan():
    def mse(output, target):  # called like one of the named losses
        return torch.nan_to_num(output[:, 0] - target).square().mean()

    assert opened(loss=mse, data={"x": DATA["x"], "y": at_row_40(np.nan)}).objective.name == "mse"


def test_inputs_that_make_the_loss_nan_are_found_wherever_they_are():
    error = refused(opened, data={"x": at_row_40(np.nan, DATA["x"]), "y": DATA["y"]})
    assert error.code == "cannot-train"
    assert error.found == "64 values of the inputs are NaN or infinite"


class Careful(nn.Sequential):
    def forward(self, x):
        return super().forward(torch.nan_to_num(x))


def test_inputs_that_the_model_can_deal_with_are_no_error():
    assert opened(Careful(*plain()), data={"x": at_row_40(np.nan, DATA["x"]), "y": DATA["y"]}).pool.count == 64


def test_one_class_has_nothing_that_a_normalization_could_gain_for_sure():
    found = proved(data={"x": DATA["x"], "y": np.zeros(64, int)})
    assert found.verdict != "helps"
    assert all(np.isfinite(area) for arm in found.arms for rung in arm.rungs for area in rung.areas)


def test_one_sample_is_too_few_for_a_proof():
    error = refused(proved, data={name: values[:1] for name, values in DATA.items()})
    assert (error.code, error.found) == ("too-few-samples", "1 sample")


@pytest.mark.parametrize(
    "few", [{"train_batch_size": 1}, {"data": {name: values[:3] for name, values in DATA.items()}}]
)
def test_batchnorm_over_batches_of_one_sample_is_refused_and_layernorm_is_not(few):
    error = refused(proved, **few)
    assert error.code == "too-few-samples"
    assert "over the samples of a batch" in error.message
    found = proved(insertion=replace(BEHIND, norm="LayerNorm"), **few)
    assert found.batch_size == 1
    assert found.held_out > 0


def test_a_network_with_a_batchnorm_of_its_own_needs_more_than_one_sample_in_a_batch():
    model = nn.Sequential(nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 10))
    error = refused(opened, model, train_batch_size=1)
    assert error.code == "cannot-train"
    assert "--train-batch-size" in error.hint


def frozen():
    model = plain()
    for layer in (model[0], model[2]):
        layer.requires_grad_(False)
    return model


def test_frozen_weights_are_not_trained_and_a_normalization_among_them_is():
    with opened(frozen()).session(0, Arm((BEHIND,))) as trained:
        assert [tuple(parameter.shape) for parameter in trained] == [(16, 16), (16,), (10, 16), (10,), (16,), (16,)]
    assert proved(frozen()).arms[1].gain is not None


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(20, 8)
        self.mixing = nn.Linear(8, 8)
        self.head = nn.Linear(8, 20, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        return self.head(torch.relu(self.mixing(self.embedding(tokens))))


def test_tied_weights_are_one_parameter_and_stay_tied():
    tokens = np.random.default_rng(0).integers(0, 20, (64, 6))
    data = {"tokens": tokens, "y": np.roll(tokens, -1, 1)}
    model, place = Tied(), Insertion("mixing", "after", "LayerNorm", 8, 2)
    with opened(model, data=data).session(0, Arm((place,))) as trained:
        assert len(trained) == 3 + 2
    found = proved(model, place, data=data)
    assert model.head.weight is model.embedding.weight
    assert found.arms[1].gain is not None


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_proof_of_a_model_of_another_dtype(dtype):
    wanted, found = proved(), proved(plain().to(dtype))
    assert found.arms[1].gain.value == pytest.approx(wanted.arms[1].gain.value, abs=MATERIAL)


def test_the_whole_analysis_of_batches_of_one_sample_says_what_was_not_tried(tmp_path, monkeypatch):
    monkeypatch.setattr("covscan.prove.trial.HORIZONS", (2,))
    torch.save({"step": 0, "state_dict": plain().state_dict()}, tmp_path / "step-0.pt")
    report = covscan.analyze(
        str(tmp_path), model=plain, data=DATA, target="y", loss="cross_entropy", optimizer="sgd", train_batch_size=1,
        trial_steps=400,
    )  # fmt: skip
    assert report.trials.batch_size == 1
    assert any(note.startswith("Batches are of one sample") for note in report.notes)
    assert not [each for each in report.candidates if each.gain and each.norm.startswith("BatchNorm")]


def test_a_factory_with_arguments_that_were_not_given_says_which(tmp_path):
    torch.save({"step": 0, "state_dict": plain().state_dict()}, tmp_path / "step-0.pt")

    def build(width):
        return plain(width=width)

    words = {"data": DATA, "target": "y", "loss": "cross_entropy", "evidence": "gradient"}
    error = refused(covscan.analyze, str(tmp_path), model=build, **words)
    assert error.code == "bad-model-arg"
    assert "width" in error.found
    report = covscan.analyze(str(tmp_path), model=build, model_args={"width": 16}, **words)
    assert report.gradients is not None
