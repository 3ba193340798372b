"""What was trained before is not trained again, and nothing else is taken for it."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from covscan.config import Settings
from covscan.config.progress import Silent
from covscan.pipeline import analyze
from covscan.prove import gather
from covscan.prove import proof as proving
from covscan.prove.runs import Bench
from covscan.proving import prove_place

NETS = """
from torch import nn

def build(width=8):
    return nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 3))
"""
LOSS = """
from torch.nn import functional

def loss(output, target):
    return functional.cross_entropy(output, target)
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Two checkpoints with a cache of their own."""
    monkeypatch.setenv("COVSCAN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("COVSCAN_CACHE_SIZE", "1G")
    (tmp_path / "nets_kept.py").write_text(NETS)
    (tmp_path / "losses_kept.py").write_text(LOSS)
    for step in range(2):
        torch.manual_seed(step)
        layers = [nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)]
        torch.save(nn.Sequential(*layers).state_dict(), tmp_path / f"step-{step}.pt")
    drawn = np.random.default_rng(0)
    np.savez(
        tmp_path / "xy.npz",
        x=drawn.normal(size=(64, 6)).astype(np.float32),
        y=drawn.integers(0, 3, 64),
        label=drawn.integers(0, 3, 64),
    )
    return Settings(
        model=f"{tmp_path / 'nets_kept.py'}:build",
        checkpoints=tuple(str(tmp_path / f"step-{step}.pt") for step in range(2)),
        data=str(tmp_path / "xy.npz"), target="y", loss="cross_entropy", optimizer="sgd", lr=0.1, device="cpu",
        trial_steps=8000, threads=1,
    )  # fmt: skip


@pytest.fixture
def trainings(monkeypatch):
    """What was trained, step by step of the evidence."""
    seen = []
    train, gradients = Bench._train, gather.gradient_evidence

    def counted(bench, arm, rate, seed, steps):
        seen.append((str(arm), rate, seed))
        return train(bench, arm, rate, seed, steps)

    def looked(*words, **more):
        seen.append("gradients")
        return gradients(*words, **more)

    monkeypatch.setattr(Bench, "_train", counted)
    monkeypatch.setattr(gather, "gradient_evidence", looked)
    return seen


class Notes(Silent):
    def __init__(self):
        self.said = []

    def note(self, text):
        self.said.append(text)


def trained(settings, trainings, **change):
    """The report without its times, and what was trained for it."""
    trainings.clear()
    notes = Notes()
    report = msgspec.json.encode(msgspec.structs.replace(analyze(replace(settings, **change), notes), run=None))
    return report, len(trainings), notes.said


def test_a_rerun_trains_nothing_and_gives_the_same_bytes(run, trainings):
    first, ran, said = trained(run, trainings)
    assert ran > 10
    assert not [each for each in said if "training evidence" in each]
    again, ran, said = trained(run, trainings)
    assert (again, ran) == (first, 0)
    assert [each for each in said if "training evidence were there (cache)" in each]
    plain, ran, said = trained(run, trainings, cache=False)
    assert plain == first
    assert ran > 10
    assert said == []


@pytest.mark.parametrize(
    "change",
    [{"target": "label"}, {"optimizer": "momentum"}, {"seed": 1}, {"train_batch_size": 16}, {"train_samples": 48},
     {"model_args": (("width", 8),)}, {"threads": 2}],
    ids=str,
)  # fmt: skip
def test_other_settings_are_trained(run, trainings, change):
    _, whole, _ = trained(run, trainings, evidence="gradient")
    assert whole == 1
    assert trained(run, trainings, evidence="gradient")[1] == 0
    assert trained(run, trainings, evidence="gradient", **change)[1] == 1


def test_a_damaged_entry_is_trained_again_with_a_note(run, trainings, tmp_path):
    first, whole, _ = trained(run, trainings)
    paths = sorted((tmp_path / "cache").rglob("*.training"))[::5]
    for path in paths:
        path.write_bytes(path.read_bytes()[:-3])
    again, ran, said = trained(run, trainings)
    assert again == first
    assert len(paths) / 2 < ran <= len(paths) < whole / 2  # those alone, of which a few are steps of the probe
    assert len([each for each in said if "damaged entry" in each]) == len(paths)


def test_a_proof_takes_the_arms_and_seeds_that_were_run(run, trainings):
    def proved(**plan):
        trainings.clear()
        settings = replace(run, positions=None, samples=run.train_samples)
        found = prove_place(settings, "2", "after", "BatchNorm1d", proving.Plan(steps=4, rungs=1, **plan))
        return msgspec.json.encode(found), [each[2] for each in trainings]

    first, ran = proved(seeds=2)
    assert set(ran) == {0, 1}
    assert proved(seeds=2) == (first, [])
    _, ran = proved(seeds=3)
    assert 2 in ran
    assert ran.count(2) > ran.count(0)


@pytest.fixture
def said(run, run_covscan, tmp_path):
    """What a command says on standard error, run in the folder with its cache."""

    def call(command, *arguments):
        data = ("--data", "xy.npz", "--target", "y")
        checkpoints = ("step-0.pt", "step-1.pt")
        done = run_covscan(command, "--model", "nets_kept.py:build", *data, *arguments, *checkpoints, cwd=tmp_path)
        assert done.returncode < 2, done.stderr
        return done.stderr

    return call


def test_a_loss_with_a_module_of_its_own_leaves_the_summaries_known(said, tmp_path):
    losing = ("--loss", "losses_kept.py:loss", "--evidence", "gradient")
    first = said("analyze", *losing)
    assert "measured before" not in first
    assert "training evidence" not in first
    assert "2 of 2 were measured before" in said("analyze")
    checked = said("check", *losing)
    assert "2 of 2 were measured before" in checked
    assert "training evidence were there" in checked
    (tmp_path / "losses_kept.py").write_text(LOSS.replace("(output, target)\n", "(2 * output, target)\n"))
    edited = said("analyze", *losing)
    assert "2 of 2 were measured before" in edited
    assert "training evidence" not in edited
