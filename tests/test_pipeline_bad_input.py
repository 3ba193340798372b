"""What users get wrong: each ends in a sentence and an exit code, with no traceback and nothing half-written."""

import os
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from covscan.cli.entry import run
from covscan.report import read

NETS = '''
import sys

import torch
from torch import nn


def build(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


def other():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2))


def raises():
    raise KeyError("no such backbone")


def nothing():
    return None


def leaves():
    sys.exit(7)


def talks():
    print("hello from the factory")
    return build()


class Late(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = build()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        if len(x) == 32 and self.calls > 2:  # calls of the plan are taken back with everything else it left
            raise ValueError("the third batch is bad")
        return self.net(x)


def late():
    return Late()


class Quits(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = build()

    def forward(self, x):
        print("quitting")
        sys.exit(3)


def quits():
    return Quits()


def uses_a_sibling():
    import sibling
    return sibling.make()


class Nan(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = build()

    def forward(self, x):
        return self.net(x) / 0.0 * 0.0


def nan():
    return Nan()


def slow():
    import time
    sys.stderr.write("reading\\n")
    sys.stderr.flush()
    for step in range(1000):
        time.sleep(0.02)
        yield torch.zeros(2, 4)


not_a_function = 3
'''  # fmt: skip


def build(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A user's folder with good files, from which the bad ones are made."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "nets.py").write_text(NETS)
    (folder / "sibling.py").write_text("import nets\n\ndef make():\n    return nets.build()\n")
    (folder / "broken.py").write_text("def build(:\n")
    (folder / "empty").mkdir()
    x = np.random.default_rng(0).normal(size=(96, 4)).astype(np.float32)
    for step in (1, 2):
        torch.manual_seed(step)
        weights = build().state_dict()
        torch.save(weights, folder / f"step-{step}.pt")
        save_file(weights, folder / f"step-{step}.safetensors")
        torch.save({f"net.{name}": value for name, value in weights.items()}, folder / f"inner-{step}.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            build(), (torch.zeros(2, 4),), folder / "net.onnx", dynamo=False,
            input_names=["x"], dynamic_axes={"x": {0: "batch"}},
        )  # fmt: skip
    torch.save(build(16).state_dict(), folder / "wide.pt")
    torch.save({"a": torch.zeros(3)}, folder / "foreign.pt")
    bad = build().state_dict()
    bad["2.weight"][0, 0] = float("nan")
    torch.save(bad, folder / "nan.pt")
    np.savez(folder / "x.npz", x=x, y=np.arange(96) % 2, mask=np.ones((96, 3), np.int64))
    np.savez(folder / "no-rows.npz", x=x[:0])
    np.savez(folder / "one.npz", x=x[:1])
    np.savez(folder / "all-nan.npz", x=np.full_like(x, np.nan))
    np.savez(folder / "narrow.npz", x=x[:, :3])
    np.savez(folder / "text.npz", x=x.astype("U8"))
    np.savez(folder / "objects.npz", x=np.array([{"a": 1}, None], dtype=object))
    np.savez(folder / "ragged.npz", x=x, z=x[:50])
    np.savez(folder / "image.npz", x=x.reshape(96, 2, 2))
    (folder / "words.csv").write_text("x\nhello\nworld\n")
    for name, kept in {"step-1.pt": 300, "step-1.safetensors": 100, "net.onnx": 200, "x.npz": 700}.items():
        content = (folder / name).read_bytes()
        (folder / f"cut-{name}").write_bytes(content[: min(kept, len(content) // 2)])
        (folder / f"hollow-{name}").write_bytes(b"")
    return folder


@pytest.fixture
def project(made, tmp_path, monkeypatch):
    """A copy of that folder to work in; modules of a user's folder are forgotten before and after."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for name in ("nets", "sibling"):  # another test's module of that name would be taken for this one
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if not (Path(folder) / "nets.py").exists()])
    yield tmp_path
    for name in ("nets", "sibling"):
        sys.modules.pop(name, None)


@pytest.fixture
def covscan(project, capfd):
    """Run ``covscan analyze`` here; gives (exit code, standard output, standard error)."""

    def call(*words, command="analyze"):
        code = run([command, *map(str, words)])
        written = capfd.readouterr()
        assert "Traceback" not in written.err
        return code, written.out, written.err

    return call


GOOD = ("--model", "nets.py:build", "--data", "x.npz", "step-1.pt", "step-2.pt")


def with_model(model, *checkpoints):
    return ("--model", model, "--data", "x.npz", *(checkpoints or ("step-1.pt",)))


def with_data(data, *more):
    return ("--model", "nets.py:build", "--data", data, "step-1.pt", *more)


# What the user typed, and what the error has to say.
WRONG = {
    "missing checkpoint": (with_model("nets.py:build", "step-3.pt"), ["step-3.pt"]),
    "missing beside a good one": (with_model("nets.py:build", "step-1.pt", "gone.pt"), ["gone.pt"]),
    "glob without a match": (with_model("nets.py:build", "run/*.pt"), ["run/*.pt"]),
    "empty folder": (with_model("nets.py:build", "empty"), ["empty"]),
    "truncated pt": (with_model("nets.py:build", "cut-step-1.pt"), ["cut-step-1.pt"]),
    "hollow pt": (with_model("nets.py:build", "hollow-step-1.pt"), ["hollow-step-1.pt"]),
    "truncated safetensors": (with_model("nets.py:build", "cut-step-1.safetensors"), ["cut-step-1.safetensors"]),
    "hollow safetensors": (with_model("nets.py:build", "hollow-step-1.safetensors"), ["hollow-step-1.safetensors"]),
    "truncated onnx": (("--data", "x.npz", "cut-net.onnx"), ["cut-net.onnx"]),
    "hollow onnx": (("--data", "x.npz", "hollow-net.onnx"), ["hollow-net.onnx"]),
    "truncated npz": (with_data("cut-x.npz"), ["cut-x.npz"]),
    "hollow npz": (with_data("hollow-x.npz"), ["hollow-x.npz"]),
    "no architecture": (("--data", "x.npz", "step-1.pt"), ["error[missing-factory]", "step-1.pt", "--model"]),
    "weights of other shapes": (with_model("nets.py:build", "wide.pt"), ["wide.pt", "0.weight", "16"]),
    "weights of another network": (with_model("nets.py:build", "foreign.pt"), ["foreign.pt", "'a'"]),
    "another network for the weights": (with_model("nets.py:other"), ["step-1.pt"]),
    "missing factory file": (with_model("net.py:build"), ["net.py"]),
    "missing factory": (with_model("nets.py:built"), ["nets.py", "built", "build"]),
    "factory that is no function": (with_model("nets.py:not_a_function"), ["not_a_function"]),
    "factory that raises": (with_model("nets.py:raises"), ["raises", "KeyError", "no such backbone"]),
    "factory that returns nothing": (with_model("nets.py:nothing"), ["nothing", "None"]),
    "factory that leaves": (with_model("nets.py:leaves"), ["leaves", "SystemExit"]),
    "factory that does not parse": (with_model("broken.py:build"), ["broken.py", "SyntaxError"]),
    "factory in a missing package": (with_model("no_such_package.nets:build"), ["no_such_package"]),
    "unknown model argument": ((*GOOD, "--model-arg", "wdth=8"), ["wdth"]),
    "model that leaves": (with_model("nets.py:quits", "inner-1.pt"), ["SystemExit"]),
    "missing data": (with_data("y.npz"), ["y.npz"]),
    "data without rows": (with_data("no-rows.npz"), ["no-rows.npz"]),
    "objects as data": (with_data("objects.npz"), ["objects.npz"]),
    "text as data": (with_data("text.npz"), ["'x'", "text"]),
    "text in a table": (with_data("words.csv"), ["'x'", "text"]),
    "arrays of different length": (with_data("ragged.npz"), ["96", "50"]),
    "data of the wrong width": (with_data("narrow.npz"), ["3"]),
    "data of the wrong rank": (with_data("image.npz"), ["2, 2"]),
    "unknown target": ((*GOOD, "--target", "Y"), ["--target Y", "x, y, mask"]),
    "unknown mask": ((*GOOD, "--mask", "msk"), ["--mask msk", "did you mean 'mask'"]),
    "unknown site": ((*GOOD, "--sites", "O"), ["error[unknown-site]", "'O'"]),
    "unknown site to leave out": ((*GOOD, "--exclude", "layer*"), ["error[unknown-site]", "'layer*'"]),
    "no positions": ((*GOOD, "--positions", "0"), ["--positions"]),
    "negative positions": ((*GOOD, "--positions", "-1"), ["--positions"]),
    "positions in words": ((*GOOD, "--positions", "abc"), ["--positions"]),
    "no samples": ((*GOOD, "--samples", "0"), ["--samples"]),
    "no batch": ((*GOOD, "--batch-size", "0"), ["--batch-size"]),
    "unknown format": ((*GOOD, "-f", "yaml"), ["yaml"]),
    "output where nobody may write": ((*GOOD, "-o", "json=/proc/report.json"), ["/proc/report.json"]),
    "output into a missing folder": ((*GOOD, "-o", "json=no/r.json"), ["there is no folder", "mkdir -p"]),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_the_user_must_change_is_said(covscan, project, case):
    words, expected = WRONG[case]
    before = sorted(project.iterdir())
    code, out, err = covscan(*words, *(() if "-o" in words else ("-o", "json=report.json")))
    assert code == 2, err
    assert out == ""
    assert "error[" in err
    assert [text for text in expected if text not in err] == [], err
    left = [path for path in project.iterdir() if path not in before and path.name != "__pycache__"]
    assert left == []


def test_the_sites_command_says_the_same(covscan):
    code, out, err = covscan("--model", "nets.py:raises", "--data", "x.npz", "step-1.pt", command="sites")
    assert (code, out) == (2, "")
    assert "no such backbone" in err


def test_several_errors_are_told_together(covscan):
    code, _, err = covscan(*GOOD, "--positions", "abc", "--device", "gpu")
    assert code == 2
    assert err.count("error[") == 2


def test_a_misspelt_site_gets_the_name_that_was_meant(covscan):
    code, _, err = covscan("--model", "nets.py:late", "--data", "x.npz", "inner-1.pt", "--sites", "net.O")
    assert code == 2
    assert "did you mean" in err
    assert "'net.0'" in err


def test_a_model_that_raises_in_a_later_batch(covscan, project):
    code, out, err = covscan(*with_model("nets.py:late", "inner-1.pt"), "-o", "json=report.json")
    assert (code, out) == (2, "")
    assert "the third batch is bad" in err
    assert not (project / "report.json").exists()


def findings(project):
    return {finding.code: finding for finding in read(project / "report.json").findings}


def test_nan_weights_are_a_finding(covscan, project):
    code, _, err = covscan(*with_model("nets.py:build", "step-1.pt", "nan.pt"), "-o", "json=report.json")
    assert code == 0, err
    found = findings(project)
    assert found["COV104"].severity == "error"
    assert "2.weight" in found["COV104"].message
    assert found["COV103"].site == "2"


def test_nan_weights_fail_where_errors_do(covscan):
    assert covscan(*with_model("nets.py:build", "step-1.pt", "nan.pt"), "--fail-on", "error")[0] == 1


def test_data_that_are_nan_throughout_are_labelled(covscan, project):
    code, _, err = covscan(*with_data("all-nan.npz"), "-o", "json=report.json")
    assert code == 0, err
    assert findings(project).keys() == {"COV102", "COV103", "COV112"}
    assert findings(project)["COV103"].severity == "error"


def test_where_all_is_nan_no_calm_is_claimed(covscan):
    words = ("--model", "nets.py:build", "--data", "all-nan.npz", "step-1.pt", "step-2.pt")
    _, out, _ = covscan(*words)
    assert "No site could be compared." in out
    assert "No site moved" not in out
    assert "looks wrong enough" not in out


def test_one_sample_is_measured_and_said_to_be_few(covscan, project):
    code, _, err = covscan(
        "--model", "nets.py:build", "--data", "one.npz", "step-1.pt", "step-2.pt", "-o", "json=report.json"
    )
    assert code == 0, err
    assert "COV101" in findings(project)
    report = read(project / "report.json")
    assert not any(measure.significant for shift in report.shifts for measure in shift.measures.values())


def test_a_mask_that_fits_no_tensor_is_not_claimed_to_have_left_padding_out(covscan, project):
    code, _, err = covscan(*GOOD, "--mask", "mask", "-o", "json=report.json")
    assert code == 0, err
    report = read(project / "report.json")
    assert not report.data.masked
    assert any("mask has 3 positions" in note for note in report.notes)


def test_a_mask_for_other_samples_is_refused(covscan):
    code, _, err = covscan(*GOOD, "--mask", "y")
    assert (code, "error[bad-mask]" in err) == (2, True), err


def test_what_a_factory_prints_stays_out_of_the_report(covscan):
    code, out, err = covscan(*with_model("nets.py:talks"), "-f", "json")
    assert code == 0
    assert out.startswith("{\n")
    assert "hello from the factory" in err


def test_a_factory_finds_its_siblings_from_another_folder(covscan, project, monkeypatch):
    elsewhere = project / "empty"
    monkeypatch.chdir(elsewhere)
    code, _, err = covscan("--model", "../nets.py:uses_a_sibling", "--data", "../x.npz", "../step-1.pt")
    assert code == 0, err


def test_nothing_measured_is_inconclusive(covscan):
    code, out, err = covscan(*GOOD, "--exclude", "*")
    assert (code, out) == (4, "")
    assert "error[nothing-measured]" in err


def test_a_warning_fails_where_warnings_do(covscan):
    words = ("--model", "nets.py:build", "--data", "one.npz", "step-1.pt", "step-2.pt")
    assert covscan(*words, "--fail-on", "warning")[0] == 1
    assert covscan(*words, "--fail-on", "error")[0] == 0


def test_a_bug_of_covscan_says_so(project, capfd, monkeypatch):
    def breaks(*rest, **named):
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("covscan.pipeline.analyze", breaks)
    code = run(["analyze", *GOOD, "-o", "json=report.json"])
    err = capfd.readouterr().err
    assert code == 3
    assert "planted" in err
    assert "bug in covscan" in err
    assert not (project / "report.json").exists()


def test_a_process_ends_as_well_and_leaves_nothing(run_covscan, project):
    done = run_covscan("analyze", *with_model("nets.py:build", "cut-step-1.pt"), "-o", "json=r.json", cwd=project)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert not (project / "r.json").exists()


def test_a_reader_that_goes_away_leaves_the_exit_code_and_the_file(project):
    command = f"{sys.executable} -m covscan analyze {' '.join(GOOD)} -f json -o json=r.json"
    line = f"{command} | head -1; echo ${{PIPESTATUS[0]}}"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    done = subprocess.run(
        ["bash", "-c", line], cwd=project, capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout == "{\n0\n"
    assert "Traceback" not in done.stderr
    assert read(project / "r.json").coverage.measured


def test_an_interrupt_while_measuring_leaves_nothing(ready, project):
    words = ["--model", "nets.py:build", "--data", "nets.py:slow", "step-1.pt", "-o", "json=r.json"]
    process = ready.start("-m", "covscan", "analyze", *words, cwd=project)
    process.until("reading")
    process.send_signal(signal.SIGINT)
    done = process.wait(60)
    assert (done.returncode, done.stdout) == (130, "")
    assert "Traceback" not in done.stderr
    assert not list(project.glob("*r.json*"))
