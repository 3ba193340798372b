"""Flags over the file over defaults, and where covscan config says that each came from."""

import dataclasses
import json
import os

import jsonschema
import pytest

from covscan.cli.app import command
from covscan.cli.settings import FIELDS
from covscan.config import Settings

MEASURING = ("analyze", "sites", "insert", "prove", "config", "init")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A repository of its own as the working folder."""
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(here):
    def write(text, name="covscan.toml"):
        (here / name).write_text(text, encoding="utf-8")

    return write


BOTH = 'checkpoints = ["a.pt", "b.pt"]\ndata = "x.npz"\n'


def test_analyze_without_a_word_does_what_the_file_says(covscan, pipeline, write):
    write(
        'model = "nets.py:build"\nmodel-args = { width = 64 }\ntarget = "y"\nsamples = 9\nbatch-size = 4\nseed = 7\n'
        'device = "cpu"\npositions = "all"\nsites = ["*.fc"]\nexclude = ["head"]\ntrain-batch-size = 60\nloss = "mse"\n'
        'optimizer = "adam"\nlr = 0.1\nevidence = "probe"\ntrial-steps = 5\ntrain-samples = 8\nper-channel = true\n'
        f'mask = "m"\n{BOTH}'
    )
    assert covscan("analyze")[0] == 0
    assert pipeline.asked == [
        Settings(
            model="nets.py:build",
            model_args=(("width", 64),),
            checkpoints=("a.pt", "b.pt"),
            data="x.npz",
            target="y",
            mask="m",
            samples=9,
            batch_size=4,
            seed=7,
            device="cpu",
            positions=None,
            sites=("*.fc",),
            exclude=("head",),
            train_batch_size=60,
            loss="mse",
            optimizer="adam",
            lr=0.1,
            evidence="probe",
            trial_steps=5,
            train_samples=8,
            per_channel=True,
        )
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"samples": 9, "checkpoints": ("a.pt", "b.pt"), "positions": 5, "sites": ("*.fc",)}),
        (["--samples", "512"], {"samples": 512}),
        (["c.pt"], {"checkpoints": ("c.pt",), "data": "x.npz"}),
        (["--data", "z.npz", "--positions", "all"], {"data": "z.npz", "positions": None}),
        (["--sites", "a", "--sites", "b"], {"sites": ("a", "b")}),
        (["--model-arg", "width=3", "--model-arg", "b=1"], {"model_args": (("width", 3), ("depth", 2), ("b", 1))}),
        (["--evidence", "forward", "--lr", "2"], {"evidence": "forward", "lr": 2.0}),
        (["--seed", "0"], {"seed": 0}),
        (["--trust"], {"trust": True}),
        (["--no-config", "d.pt", "--data", "e.npz"], {"samples": 512, "checkpoints": ("d.pt",), "model_args": ()}),
    ],
)  # fmt: skip
def test_a_flag_wins_even_where_it_says_the_default(covscan, pipeline, write, words, expected):
    write(
        'samples = 9\nseed = 3\npositions = 5\nsites = ["*.fc"]\nmodel-args = { width = 64, depth = 2 }\nlr = 0.1\n'
        f'evidence = "probe"\n{BOTH}'
    )
    assert covscan("analyze", *words)[0] == 0
    (settings,) = pipeline.asked
    assert {name: getattr(settings, name) for name in expected} == expected


def test_a_file_that_is_named_is_read_from_anywhere(covscan, pipeline, write, here):
    (here / "sub").mkdir()
    write(BOTH, "sub/other.toml")
    write("samples = 3\n")
    assert covscan("analyze", "--config", "sub/other.toml")[0] == 0
    (settings,) = pipeline.asked
    assert settings == Settings(checkpoints=("sub/a.pt", "sub/b.pt"), data="sub/x.npz")


def test_from_a_folder_below_the_paths_still_lead_there(covscan, pipeline, write, here, monkeypatch):
    write(BOTH)
    (here / "sub").mkdir()
    monkeypatch.chdir(here / "sub")
    covscan("analyze")
    assert pipeline.asked[0].checkpoints == (os.path.join("..", "a.pt"), os.path.join("..", "b.pt"))


def test_sites_takes_what_it_has_a_flag_for(covscan, pipeline, write):
    write(f'loss = "mse"\nsamples = 5\n{BOTH}')
    assert covscan("sites")[0] == 0
    assert pipeline.asked == [Settings(checkpoints=("a.pt", "b.pt"), data="x.npz", samples=5)]


@pytest.mark.parametrize("name", MEASURING)
def test_every_setting_of_a_measuring_command_can_stand_in_the_file(name):
    """Each parameter that is a setting by its name is read as one, and both options about the file are there."""
    parameters = {each.name for each in command().commands[name].params}
    assert {"config", "no_config", "model", "model_arg", "data", "seed", "device"} <= parameters
    settings = {field.name for field in dataclasses.fields(Settings)}
    if name in {"analyze", "config", "init"}:
        assert {FIELDS.get(each, each) for each in parameters} & settings == settings


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["analyze"], "error[unknown-key]: covscan.toml:2: there is no key 'sampels'"),
        (["sites", "--config", "none.toml"], "error[unreadable-config]: cannot read 'none.toml'"),
        (["analyze", "--config", "covscan.toml", "--no-config"], "--config and --no-config exclude each other"),
        (["config"], "there is no key 'sampels'"),
        (["config", "--seed", str(2**63), "--no-config"], f"'--seed {2**63}' has more than 64 bits"),
        (["config", "--show", "--schema"], "--show and --schema exclude each other"),
        (["config", "-f", "markdown"], "'--format markdown' is not known"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_measured(covscan, pipeline, write, words, expected):
    write('data = "x.npz"\nsampels = 3\n')
    code, out, err = covscan(*words)
    assert (code, out, pipeline.asked) == (2, "", [])
    assert expected in err


def test_the_schema_ignores_the_file(covscan, write):
    write("sampels = 3\n")
    code, out, err = covscan("config", "--schema")
    assert (code, err) == (0, "")
    jsonschema.Draft202012Validator.check_schema(json.loads(out))
    jsonschema.validate({"samples": 3}, json.loads(out))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"sampels": 3}, json.loads(out))


SHOWN = """\
model = "nets.py:build"
model-args = { width = 64 }
positions = "all"
[check]
fail-on = "warning"
[budgets.shift]
measure = "gaussian_w2"
max = 1.5
[[suppressions]]
codes = ["COV216"]
reason = "by design"
expires = 2030-12-31
[baseline]
path = "base.json"
"""


def rows(covscan, *words):
    code, out, err = covscan("config", "-f", "json", *words)
    assert (code, err) == (0, "")
    found = json.loads(out)
    return found["config"], {row["key"]: (row["value"], row["source"], row["where"]) for row in found["settings"]}


def test_config_says_where_each_value_came_from(covscan, write):
    write(SHOWN)
    path, found = rows(covscan, "a.pt", "--samples", "512", "--model-arg", "depth=2", "--show")
    assert path == "covscan.toml"
    assert found["model"] == ("nets.py:build", "file", "covscan.toml:1")
    assert found["model-args"] == ({"width": 64, "depth": 2}, "flag", "flag --model-arg over covscan.toml:2")
    assert found["checkpoints"] == (["a.pt"], "flag", "argument CHECKPOINTS")
    assert found["samples"] == (512, "flag", "flag --samples")
    assert found["positions"] == ("all", "file", "covscan.toml:3")
    assert found["batch-size"] == (32, "default", "default")
    assert found["trust"] == (False, "default", "default")
    assert found["lr"] == (None, "default", "default")
    assert found["check.fail-on"] == ("warning", "file", "covscan.toml:5")
    assert found["check.min-samples"] == (64, "default", "default")
    assert found["budgets.shift.max"] == (1.5, "file", "covscan.toml:8")
    assert found["suppressions[0].expires"] == ("2030-12-31", "file", "covscan.toml:12")
    assert found["suppressions[0].sites"] == (["*"], "default", "default")
    assert found["baseline.path"] == ("base.json", "file", "covscan.toml:14")
    assert found["baseline.relative"] == (None, "default", "default")
    assert "budgets.shift.min" not in found


def test_a_preset_shows_through_a_file_that_changes_one_of_its_keys(covscan, write):
    write('[check]\npreset = "finetune"\n[budgets.median-shift]\nmax = 0.1\n')
    found = rows(covscan)[1]
    assert found["budgets.median-shift.max"] == (0.1, "file", "covscan.toml:4")
    assert found["budgets.median-shift.over"] == ("median", "preset", "preset finetune")
    write('[check]\npreset = "finetun"\n')
    assert "error[unknown-preset]" in covscan("config")[2]


def test_config_without_a_file(covscan, here):
    path, found = rows(covscan, "--model-arg", "width=3")
    assert path is None
    assert {source for _, source, _ in found.values()} == {"default", "flag", "preset"}
    assert found["budgets.non-finite.max"] == (0.0, "preset", "preset standard")
    assert found["model-args"] == ({"width": 3}, "flag", "flag --model-arg")
    assert not any(key.startswith(("suppressions", "baseline")) for key in found)
    assert "No covscan.toml and no pyproject.toml with [tool.covscan] is in force" in covscan("config")[1]


def test_config_as_text(covscan, write, monkeypatch):
    write(SHOWN)
    out = covscan("config", "--show")[1]
    assert out.startswith("From covscan.toml\n\nMeasurement\n")
    lines = {" ".join(line.split()) for line in out.splitlines()}
    assert {
        "model nets.py:build covscan.toml:1",
        'model-args {"width": 64} covscan.toml:2',
        "lr not set default",
        "fail-on warning covscan.toml:5",
        "shift.max 1.5 covscan.toml:8",
        "#1.reason by design covscan.toml:11",
        "path base.json covscan.toml:14",
    } <= lines
    assert [line for line in out.splitlines() if line.istitle() and " " not in line] == [
        "Measurement",
        "Check",
        "Budgets",
        "Suppressions",
        "Baseline",
    ]
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, covscan("config", "--config", "covscan.toml")[1].splitlines())) <= 62


def test_a_flag_or_a_file_of_any_characters_can_be_shown(covscan, write):
    write('target = "a\\u001b[2Jb"\n"model-args" = { x = "\\u202e" }\n')
    out = covscan("config", "--data", "x\udcff.npz")[1]
    assert "a\\x1b[2Jb" in out
    assert "x\\udcff.npz" in out
    assert rows(covscan, "--data", "x\udcff.npz")[1]["data"][0] == "x\udcff.npz"


def test_pyproject_is_shown_with_its_lines(covscan, write):
    write("[project]\nname = 'x'\n\n[tool.covscan]\nsamples = 3\n", "pyproject.toml")
    path, found = rows(covscan)
    assert (path, found["samples"]) == ("pyproject.toml", (3, "file", "pyproject.toml:5"))


def test_a_process_from_a_subfolder_measures_what_the_file_says(run_covscan, digits, tmp_path):
    """From outside, with a real model: the file's paths are found, and the report is that of the flags."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "deep").mkdir()
    plain = os.path.relpath(digits, tmp_path)
    (tmp_path / "covscan.toml").write_text(
        f'model = "{plain}/nets.py:plain"\ncheckpoints = ["{plain}/plain/step-0.pt", "{plain}/plain/step-50.pt"]\n'
        f'data = "{plain}/sample.npz"\nsamples = 48\n'
    )
    below = run_covscan("analyze", "-f", "json", "-q", cwd=tmp_path / "deep")
    assert below.returncode == 0, below.stderr
    flags = run_covscan(
        "analyze", "--model", f"{digits}/nets.py:plain", "--data", digits / "sample.npz", "--samples", "48", "-q",
        digits / "plain" / "step-0.pt", digits / "plain" / "step-50.pt", "-f", "json", "--no-config", cwd=tmp_path,
    )  # fmt: skip
    assert flags.returncode == 0, flags.stderr
    first, second = json.loads(below.stdout), json.loads(flags.stdout)
    assert first["shifts"] == second["shifts"]
    assert first["checkpoints"][0]["path"] == os.path.join("..", plain, "plain", "step-0.pt")
    refused = run_covscan("analyze", "--config", "../nothing.toml", cwd=tmp_path / "deep")
    assert (refused.returncode, refused.stdout) == (2, "")


def test_insert_takes_its_checkpoint_from_the_file(covscan, write, here):
    write(BOTH)
    said = covscan("insert", "--site", "a", "--norm", "LayerNorm", "-o", "out.pt")
    assert said[0] == 2
    assert "name the one checkpoint to put a normalization into\n  found: 2 were named" in said[2]
    write('checkpoints = ["a.onnx"]\ndata = "x.npz"\n')
    said = covscan("insert", "--site", "a", "--norm", "LayerNorm", "-o", "out.onnx", "--code", "x.py")
    assert "an ONNX file needs no code beside it" in said[2]


def test_prove_trains_on_as_many_samples_as_the_file_has_for_trainings(covscan, write, monkeypatch):
    from covscan import proving

    asked = []

    def keep(settings, *rest):
        asked.append(settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(proving, "prove_place", keep)
    write(f'loss = "mse"\nsamples = 9\npositions = 5\n{BOTH}')
    words = ["prove", "--site", "a", "--norm", "LayerNorm"]
    assert covscan(*words)[0] == 130
    write(f'loss = "mse"\nsamples = 9\ntrain-samples = 77\n{BOTH}')
    assert covscan(*words)[0] == 130
    assert covscan(*words, "--samples", "12")[0] == 130
    assert [(each.samples, each.train_samples, each.positions) for each in asked] == [
        (4096, 4096, None),
        (77, 77, None),
        (12, 12, None),
    ]
