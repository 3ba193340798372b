"""``covscan insert``: its options, what it says, and what it writes or leaves alone."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from covscan.cli import insert as command
from covscan.report import read, to_json
from covscan.surgery.difference import Differences

NETS = """
from torch import nn


def build(width=8):
    print("building")
    return nn.Sequential(nn.Linear(4, width), nn.Sigmoid(), nn.Linear(width, 2))
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a network, its weights and data, as the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(NETS)
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Sigmoid(), torch.nn.Linear(8, 2))
    torch.save(model.state_dict(), tmp_path / "ckpt.pt")
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(2).normal(size=(128, 4)).astype(np.float32))
    return tmp_path


BASE = ("insert", "--model", "nets.py:build", "--data", "x.npz", "ckpt.pt", "-o", "out.pt")


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")


BEFORE = ["ckpt.pt", "nets.py", "x.npz"]


def test_it_says_what_it_did(covscan, here):
    code, out, err = covscan(*BASE, "--site", "0", "--norm", "BatchNorm1d")
    assert code == 0
    assert "building" in err
    assert "building" not in out
    assert out.startswith("BatchNorm1d behind 0\n")
    assert "out.pt  out.py" in out
    assert "unchanged: outputs differ by at most " in out
    assert "batches of 32 will move the tensor: 0.22 of its standard deviation are expected" in out
    assert "0.* is now 0.0.*" in out
    assert "covscan analyze --model out.py:build --data … out.pt" in out
    assert names(here) == sorted([*BEFORE, "out.pt", "out.py"])
    assert all(isinstance(value, torch.Tensor) for value in torch.load("out.pt", weights_only=True).values())


def test_a_gate_has_no_training_line(covscan, here):
    code, out, _ = covscan(*BASE, "--site", "2", "--position", "before", "--norm", "LayerNorm", "--code", "sub.py")
    assert code == 0
    assert "a gate of 8 zeros" in out
    assert "unchanged: all outputs are the same to the last bit, over 128 samples" in out
    assert "statistics of batches" not in out
    assert "--model sub.py:build" in out
    assert names(here) == sorted([*BEFORE, "out.pt", "sub.py"])


def test_json_for_scripts(covscan, here):
    code, out, _ = covscan(*BASE, "--site", "0", "--norm", "BatchNorm", "-f", "json", "--batch-size", "16")
    found = json.loads(out)
    assert code == 0
    assert found["norm"] == "BatchNorm1d"
    assert (found["channels"], found["channel_axis"], found["position"]) == (8, 1, "after")
    assert found["written"] == [str(here / "out.pt"), str(here / "out.py")]
    assert found["unchanged"] is True
    assert found["difference"]["relative_largest"] < 1e-5
    assert found["difference"]["samples"] == 128
    assert found["training"]["independent_rows"] == 16
    assert found["renamed"] == {"0.": "0.0."}
    again, out, _ = covscan(*BASE, "--site", "2", "--norm", "LayerNorm", "-f", "json")  # over what covscan wrote
    assert again == 0
    assert json.loads(out)["training"] is None


def test_an_output_that_differs_is_said_and_fails(covscan, here, monkeypatch):
    plain = Differences.add
    monkeypatch.setattr(Differences, "add", lambda self, one, two, n: plain(self, one, [2 * each for each in two], n))
    code, out, _ = covscan(*BASE, "--site", "0", "--norm", "BatchNorm1d")
    assert code == 1
    assert "unchanged" not in out
    assert "changed: outputs differ by at most" in out
    monkeypatch.setattr(Differences, "add", lambda self, one, two, n: plain(self, one, two[:-1], n))
    code, out, _ = covscan(*BASE, "--site", "0", "--norm", "BatchNorm1d")
    assert code == 1
    assert "changed: outputs differ by up to" in out


def test_a_report_says_where(covscan, here, golden):
    report = read(golden / "digits.json")
    first = report.suggestions[0]
    others = [
        msgspec.structs.replace(first, rank=1, site="0", position="after", norm="BatchNorm1d"),
        msgspec.structs.replace(first, rank=2, site="2", position="before", norm="LayerNorm"),
    ]
    (here / "r.json").write_text(to_json(msgspec.structs.replace(report, suggestions=others)))
    assert covscan(*BASE, "--report", "r.json")[1].startswith("BatchNorm1d behind 0\n")
    assert covscan(*BASE, "--report", "r.json", "--rank", "2")[1].startswith("LayerNorm in front of 2\n")
    assert covscan(*BASE, "--report", "r.json", "--norm", "RMSNorm")[1].startswith("RMSNorm behind 0\n")
    code, _, err = covscan(*BASE, "--report", "r.json", "--rank", "3")
    assert code == 2
    assert "1 (BatchNorm1d at 0), 2 (LayerNorm at 2)" in err
    assert covscan(*BASE, "--report", "r.json", "--site", "0")[0] == 2
    (here / "none.json").write_text(to_json(msgspec.structs.replace(report, suggestions=[])))
    assert "say --site and --norm yourself" in covscan(*BASE, "--report", "none.json")[2]


PLACE = ("--site", "0", "--norm", "BatchNorm1d")
WRONG = {
    "no place": (BASE, "error[no-place]: --site and --norm must say"),
    "no norm": ((*BASE, "--site", "0"), "error[no-place]: --norm must say"),
    "rank alone": ((*BASE, *PLACE, "--rank", "2"), "add --report"),
    "position": ((*BASE, *PLACE, "--position", "behind"), "'--position behind' is not known"),
    "site": ((*BASE, "--site", "3", "--norm", "LayerNorm"), "the model has no module '3'"),
    "norm": ((*BASE, "--site", "0", "--norm", "batchnorm"), "did you mean 'BatchNorm'?"),
    "format": ((*BASE, *PLACE, "-f", "yaml"), "'--format yaml' is not known"),
    "data": (("insert", "ckpt.pt", "-o", "out.pt", *PLACE), "error[no-data]"),
    "output": (("insert", "ckpt.pt", "--data", "x.npz", *PLACE), "error[no-output]"),
    "checkpoint": (("insert", "-o", "out.pt", "--data", "x.npz", *PLACE), "name the one checkpoint"),
    "folder": ((*BASE[:-1], "no/out.pt", *PLACE), "there is no folder"),
    "a folder": ((*BASE[:-1], ".", *PLACE), "is a folder"),
    "itself": ((*BASE[:-1], "ckpt.pt", *PLACE), "must not be overwritten"),
    "the data": ((*BASE[:-1], "x.npz", *PLACE), "must not be overwritten"),
    "the factory": ((*BASE[:-1], "nets.pt", *PLACE), "is there already, and covscan did not write it"),
    "one file": ((*BASE, "--code", "out.pt", *PLACE), "must not be overwritten"),
    "onnx code": (("insert", "m.onnx", "--data", "x.npz", "-o", "o.onnx", "--code", "a.py", *PLACE), "no code beside"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_and_nothing_written(covscan, here, name):
    words, message = WRONG[name]
    code, out, err = covscan(*words)
    assert (code, out) == (2, "")
    assert message in err
    assert names(here) == BEFORE


def test_a_folder_that_cannot_be_written_to(covscan, here, monkeypatch):
    def full(*arguments, **keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    code, _, err = covscan(*BASE, *PLACE)
    assert code == 2
    assert "No space left on device" in err
    assert names(here) == BEFORE


def test_onnx(covscan, conv_net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("insert", "--data", conv_net / "sample.npz", "--target", "label", "--site", "conv2d_1")
    code, out, _ = covscan(*words, "--norm", "BatchNorm2d", conv_net / "epoch10.onnx", "-o", "with.onnx")
    assert code == 0
    assert "training" not in out
    assert "covscan analyze --data … with.onnx" in out
    assert names(tmp_path) == ["with.onnx"]
    found = covscan("sites", "--data", conv_net / "sample.npz", "--target", "label", "with.onnx")
    assert found[0] == 0
    assert "BatchNormalization" in found[1]


def test_as_a_process(run_covscan, ready, here):
    done = run_covscan(*BASE, *PLACE, cwd=here)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("BatchNorm1d behind 0\n")
    script = (
        "import torch, out; m = out.build(); m.load_state_dict(torch.load('out.pt', weights_only=True)); print(m[0])"
    )
    alone = ready.run("-c", script, cwd=here)
    assert "BatchNorm1d(8" in alone.stdout
    analysed = run_covscan("analyze", "--model", "out.py:build", "--data", "x.npz", "-f", "json", "out.pt", cwd=here)
    assert analysed.returncode == 0, analysed.stderr
    assert {site["site"] for site in json.loads(analysed.stdout)["sites"]} >= {"0.0", "0.1"}


def test_the_bundled_run_with_its_own_report(covscan, digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = covscan(
        *("insert", "--model", f"{digits}/nets.py:plain", "--data", digits / "sample.npz", "--target", "y"),
        *("--report", digits / "report-plain.json", digits / "plain" / "step-20000.pt", "-o", "fc4-bn.pt"),
    )
    assert code == 0
    assert out.startswith("BatchNorm1d in front of fc4\n")


def test_short_paths():
    assert command._short(Path.cwd() / "a.pt") == "a.pt"
    assert command._short("/elsewhere/a.pt") == "/elsewhere/a.pt"
