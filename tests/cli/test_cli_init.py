"""covscan init: a file that works at once, budgets from what was measured, and guesses where nothing was."""

import json
import os
import shutil
import tomllib
import zipfile

import pytest
from msgspec import structs

from covscan.cli.commands import said_by
from covscan.cli.guessing import MOST, guess
from covscan.config import Settings
from covscan.gate.measured import measured_budgets
from covscan.report import read, to_json


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A repository of its own as the working folder."""
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parsed(text):
    return tomllib.loads(text)


def written(here, name="covscan.toml"):
    return parsed((here / name).read_text(encoding="utf-8"))


def reported(here, golden, command, name="digits.json"):
    """A report in the folder, as if that command had made it."""
    report = read(golden / name)
    report = structs.replace(report, run=structs.replace(report.run, command=command))
    (here / "report.json").write_text(to_json(report), encoding="utf-8")
    return report


def test_init_measures_once_and_writes_what_it_was_told(covscan, pipeline, here):
    code, out, err = covscan(
        "init", "--model", "nets.py:build", "--data", "x.npz", "--samples", "96", "--positions", "all", "a.pt", "b.pt"
    )
    assert code == 0
    settings = {
        "model": "nets.py:build",
        "checkpoints": ["a.pt", "b.pt"],
        "data": "x.npz",
        "samples": 96,
        "positions": "all",
    }
    budgets = {name: budget.max for name, budget in measured_budgets(pipeline.report).items()}
    assert {key: value for key, value in written(here).items() if key != "budgets"} == settings | {"check": {}}
    assert {name: budget["max"] for name, budget in written(here)["budgets"].items()} == budgets
    assert parsed(out) == {"budgets": written(here)["budgets"]}
    assert out.startswith("# Measured at ")
    assert "Wrote covscan.toml, with the budgets above." in err
    assert "covscan config --schema > covscan.schema.json" in err
    assert "#:schema ./covscan.schema.json" in err
    assert len(pipeline.asked) == 1


def test_what_init_writes_is_what_analyze_then_measures(covscan, pipeline, here):
    words = ["--model", "n.py:b", "--model-arg", "width=3", "--data", "x.npz", "--seed", "4", "--lr", "1e-5", "a.pt"]
    assert covscan("init", *words)[0] == 0
    assert covscan("analyze")[0] == 0
    assert covscan("analyze", *words, "--no-config")[0] == 0
    first, second, third = pipeline.asked
    assert first == second == third
    assert first.model_args == (("width", 3),)


def test_nothing_is_overwritten_without_force(covscan, pipeline, here):
    (here / "covscan.toml").write_text('data = "mine.npz"\n')
    code, out, err = covscan("init", "a.pt", "--data", "x.npz")
    assert (code, out, pipeline.asked) == (2, "", [])
    assert "error[config-exists]: 'covscan.toml' is there already" in err
    assert (here / "covscan.toml").read_text() == 'data = "mine.npz"\n'
    assert covscan("init", "a.pt", "--force")[0] == 0
    assert written(here)["data"] == "mine.npz"
    assert {path.name for path in here.iterdir()} == {".git", "covscan.toml"}


def test_a_dash_prints_and_writes_nothing(covscan, pipeline, here):
    (here / "covscan.toml").write_text('data = "mine.npz"\n')
    code, out, err = covscan("init", "-o", "-", "a.pt", "-q")
    assert (code, err) == (0, "")
    assert parsed(out)["checkpoints"] == ["a.pt"]
    assert parsed(out)["data"] == "mine.npz"
    assert (here / "covscan.toml").read_text() == 'data = "mine.npz"\n'


def test_a_file_elsewhere_has_its_paths_from_there(covscan, pipeline, here):
    (here / "sub").mkdir()
    covscan("init", "-o", "sub/ci.toml", "--model", "nets.py:build", "--data", "x.npz", "runs/")
    found = written(here, "sub/ci.toml")
    assert (found["model"], found["data"], found["checkpoints"]) == ("../nets.py:build", "../x.npz", ["../runs/"])
    assert covscan("analyze", "--config", "sub/ci.toml")[0] == 0
    assert pipeline.asked[-1].checkpoints == ("sub/../runs/",)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-o", "none/x.toml"], "there is no folder"),
        (["-o", "."], "is a folder"),
        (["--report", "none.json"], "cannot read the report 'none.json'"),
        (["a.pt"], "error[no-data]"),
        (["--seed", str(2**70)], "has more than 64 bits"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(covscan, pipeline, here, words, expected):
    code, out, err = covscan("init", *words)
    assert (code, out, pipeline.asked) == (2, "", [])
    assert expected in err
    assert not (here / "covscan.toml").exists()


def test_a_report_gives_settings_and_budgets_without_measuring(covscan, pipeline, here, golden):
    command = "covscan analyze --model nets.py:build --data 'my data.npz' --target y -o json=report.json runs/a.pt"
    report = reported(here, golden, command)
    code, _, err = covscan("init", "--report", "report.json")
    assert (code, pipeline.asked) == (0, [])
    found = written(here)
    assert found["model"] == "nets.py:build"
    assert (found["data"], found["target"], found["checkpoints"]) == ("my data.npz", "y", ["runs/a.pt"])
    assert set(found["budgets"]) == set(measured_budgets(report))
    assert "samples" not in found
    assert "There is no 'runs/a.pt' here" in err


def test_flags_win_over_the_command_of_a_report(covscan, here, golden):
    reported(here, golden, "covscan analyze --data a.npz --seed 4 --trust x.pt")
    covscan("init", "--report", "report.json", "--data", "b.npz", "-q")
    found = written(here)
    assert (found["data"], found["seed"], found["checkpoints"]) == ("b.npz", 4, ["x.pt"])
    assert "# These checkpoints need --trust on the command line" in (here / "covscan.toml").read_text()


def test_the_config_that_a_report_was_made_with_is_carried_over(covscan, here, golden):
    (here / "ci.toml").write_text('data = "ci.npz"\ncheckpoints = ["runs/"]\n')
    (here / "runs").mkdir()
    (here / "ci.npz").touch()
    reported(here, golden, "covscan analyze --config ci.toml -o json=report.json")
    _, _, err = covscan("init", "--report", "report.json")
    assert written(here)["data"] == "ci.npz"
    assert "There is no" not in err


@pytest.mark.parametrize(
    "command",
    ["covscan.analyze(...)", "covscan", "covscan 'analyze", "other analyze --seed 3", "covscan analyze --unknown 3",
     "covscan nothing --seed 3", "", "covscan analyze --seed"],
)  # fmt: skip
def test_a_command_that_says_nothing_gives_budgets_alone(covscan, here, golden, command):
    reported(here, golden, command)
    code, _, err = covscan("init", "--report", "report.json")
    assert code == 0
    assert set(written(here)) == {"check", "budgets"}
    assert "Nothing here looks like checkpoints or sample data" in err


def test_a_command_line_is_parsed_and_not_run(capfd):
    found = said_by("covscan analyze --help --seed 3 a.pt")
    assert {"seed": 3, "checkpoints": ["a.pt"]}.items() <= found.items()
    assert capfd.readouterr().out == ""


def test_few_samples_are_said(covscan, here, golden):
    report = reported(here, golden, "")
    few = structs.replace(report, data=structs.replace(report.data, samples=48))
    (here / "report.json").write_text(to_json(few))
    assert (
        "Budgets are judged from 64 samples on, and 48 were measured" in covscan("init", "--report", "report.json")[2]
    )


def test_a_report_from_standard_input(here, golden, run_covscan):
    piped = run_covscan("init", "--report", "-", cwd=here)
    assert piped.returncode == 2
    assert "standard input is not JSON" in piped.stderr


def test_a_file_beside_a_pyproject_takes_its_place(covscan, pipeline, here):
    (here / "pyproject.toml").write_text('[tool.covscan]\ndata = "x.npz"\n')
    _, _, err = covscan("init", "a.pt")
    assert "It takes the place of [tool.covscan] in pyproject.toml" in err
    assert written(here)["data"] == "x.npz"


def test_without_checkpoints_it_guesses_and_says_so(covscan, here, digits):
    for name in ("nets.py", "sample.npz"):
        shutil.copy(digits / name, here)
    shutil.copytree(digits / "plain", here / "plain")
    code, out, err = covscan("init")
    assert (code, out) == (0, "")
    assert written(here) == {"check": {}}
    text = (here / "covscan.toml").read_text()
    for row in ('#model = "nets.py:plain"', '#checkpoints = ["plain/"]', '#data = "sample.npz"', '#target = "y"'):
        assert f"\n{row}\n" in text
    assert "Guessed by the names of files: checkpoints plain/, model nets.py:plain, data sample.npz, target y." in err
    assert "nothing was measured" in err


def test_what_was_given_is_not_guessed(covscan, here, digits):
    shutil.copy(digits / "nets.py", here)
    covscan("init", "--model", "mine.py:build")
    assert written(here)["model"] == "mine.py:build"
    assert "nets.py" not in (here / "covscan.toml").read_text().replace("nets.py:build", "")


def test_an_empty_folder_has_nothing_to_guess(covscan, here):
    assert "Nothing here looks like checkpoints" in covscan("init")[2]
    assert written(here) == {"check": {}}


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["runs/a.pt", "runs/b.pt", "other/c.pt"], {"checkpoints": ("runs/",)}),
        (["runs/a.pt", "runs/b.pt", "runs/c.onnx"], {"checkpoints": ("runs/*.pt",)}),
        (["a.pt", "b.pt"], {"checkpoints": ("*.pt",)}),
        (["deep/er/a.safetensors"], {"checkpoints": ("deep/er/a.safetensors",)}),
        (["runs/a.pt", "runs/optimizer.pt", ".hidden/b.pt", "runs/.c.pt"], {"checkpoints": ("runs/a.pt",)}),
        (["a/b/c/d/e.pt", "node_modules/x.pt", "model.pkl", "data.bin"], {}),
        (["train.npz", "val.npz", "deep/test.npy"], {"data": "val.npz"}),
        (["x.csv", "x.npz"], {"data": "x.npz"}),
        (["test_it.py", "notes.txt", "photo.png"], {}),
    ],
)
def test_guesses_go_by_names(tmp_path, files, expected):
    touch(tmp_path, *files)
    assert guess(tmp_path) == expected


def test_a_guess_looks_at_so_many_files_and_no_more(tmp_path):
    for place in range(MOST):
        (tmp_path / f"a{place}").touch()
    touch(tmp_path, "z.npz")
    assert guess(tmp_path) == {}


def test_arrays_are_known_by_their_usual_names(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        for name in ("tokens.npy", "labels.npy", "attention_mask.npy"):
            archive.writestr(name, b"")
    assert guess(tmp_path) == {"data": "x.npz", "target": "labels", "mask": "attention_mask"}


TORCH = "import torch\nfrom torch import nn\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{TORCH}def make(width=3) -> nn.Module: ...", "make"),
        (f"{TORCH}def other():\n    return nn.Sequential()\n", "other"),
        (f"{TORCH}class Net(nn.Module): ...\nclass Deep(Net): ...\ndef make():\n    return Deep()\n", "make"),
        (f"{TORCH}class Net(nn.Module):\n    def __init__(self, n=3): ...\n", "Net"),
        (f"{TORCH}class Net(nn.Module):\n    def __init__(self, n): ...\n", None),
        (f"{TORCH}class Net(nn.Module): ...\n", None),
        (f"{TORCH}class Data: ...\n", None),
        (f"{TORCH}def build_model(): ...\n", "build_model"),
        (f"{TORCH}def build_model() -> int: ...\n", None),
        (f"{TORCH}def build(width): ...\n", None),
        (f"{TORCH}def build(*, width): ...\n", None),
        (f"{TORCH}def _build() -> nn.Module: ...\n", None),
        (f"{TORCH}def helper() -> nn.Module: ...\ndef build() -> nn.Module: ...\n", "build"),
        (f"{TORCH}x = '\\d'\ndef build(): ...\n", "build"),
        ("def build(): ...\n", None),
        (f"{TORCH}def build(:\n", None),
        (f"{TORCH}\0", None),
    ],
)
def test_a_factory_is_found_in_the_text_of_a_file(tmp_path, text, expected):
    (tmp_path / "nets.py").write_text(text)
    (tmp_path / "test_nets.py").write_text(f"{TORCH}def build() -> nn.Module: ...\n")
    assert guess(tmp_path) == ({} if expected is None else {"model": f"nets.py:{expected}"})


def test_a_file_that_cannot_be_read_or_is_huge_holds_no_factory(tmp_path):
    (tmp_path / "a.py").write_bytes(b"import torch\n# \xff\ndef build(): ...\n")
    (tmp_path / "b.py").write_text(f"{TORCH}def build(): ...\n#{'x' * 200_000}\n")
    assert guess(tmp_path) == {}


def test_checkpoints_that_hold_their_network_need_no_factory(tmp_path):
    (tmp_path / "nets.py").write_text(f"{TORCH}def build() -> nn.Module: ...\n")
    touch(tmp_path, "a.onnx", "b.onnx")
    assert guess(tmp_path) == {"checkpoints": ("*.onnx",)}


def test_the_round_trip_from_outside(run_covscan, digits, tmp_path):
    """init as a process on a real model, then analyze without a word: the report is that of the flags."""
    for name in ("nets.py", "sample.npz"):
        shutil.copy(digits / name, tmp_path)
    shutil.copytree(digits / "plain", tmp_path / "runs")
    words = ["--model", "nets.py:plain", "--data", "sample.npz", "--target", "y", "--samples", "64", "--exclude", "fc1"]
    words += ["runs/step-0.pt", "runs/step-50.pt"]
    started = run_covscan("init", *words, cwd=tmp_path)
    assert started.returncode == 0, started.stderr
    assert "[budgets.shift]" in started.stdout
    assert "covscan: 2/2 step-50" in started.stderr
    by_file = run_covscan("analyze", "-o", "json=file.json", cwd=tmp_path)
    by_flags = run_covscan("analyze", "--no-config", *words, "-o", "json=flags.json", cwd=tmp_path)
    assert (by_file.returncode, by_flags.returncode) == (0, 0), by_file.stderr + by_flags.stderr
    first, second = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("file", "flags"))
    assert first.pop("run") != second.pop("run")
    assert first == second
    again = run_covscan("init", "--report", "flags.json", "-o", "again.toml", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "again.toml").read_text() == (tmp_path / "covscan.toml").read_text()
    assert again.stdout == started.stdout
    assert os.listdir(tmp_path / "runs") == os.listdir(digits / "plain")


def test_settings_of_init_are_plain_settings(covscan, pipeline, here):
    covscan("init", "a.pt", "--data", "x.npz")
    assert pipeline.asked == [Settings(checkpoints=("a.pt",), data="x.npz")]
