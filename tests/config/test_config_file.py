"""Where the configuration is looked for, what it says, and what is said about each mistake in it."""

import datetime as dt
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from covscan.config.document import Measurement
from covscan.config.file import Config, find_config, read_config
from covscan.config.policy import Check, Suppression, Tolerances
from covscan.config.toml_file import LARGEST
from covscan.errors import InputErrors, UsageError


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A repository of its own as the working folder."""
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def written(here):
    """Write a covscan.toml (or another file) and read it."""

    def read(text, name="covscan.toml"):
        (here / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_config(here.joinpath(name).relative_to(here))

    return read


def complaints(written, text, name="covscan.toml"):
    with pytest.raises((UsageError, InputErrors)) as caught:
        written(text, name)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_without_a_file_there_is_none(here):
    assert find_config() is None


def test_the_file_is_found_from_below(here, monkeypatch):
    (here / "covscan.toml").touch()
    assert str(find_config()) == "covscan.toml"
    below = here / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert str(find_config()) == os.path.join("..", "..", "covscan.toml")


def test_the_nearest_file_wins(here, monkeypatch):
    (here / "covscan.toml").touch()
    (here / "a").mkdir()
    (here / "a" / "covscan.toml").touch()
    monkeypatch.chdir(here / "a")
    assert str(find_config()) == "covscan.toml"


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.touch()], ids=["folder", "worktree"])
def test_the_search_ends_at_the_root_of_the_repository(here, monkeypatch, make):
    (here / "covscan.toml").touch()
    inner = here / "inner"
    (inner / "deep").mkdir(parents=True)
    monkeypatch.chdir(inner / "deep")
    assert find_config() is not None
    make(inner / ".git")
    assert find_config() is None
    (inner / "covscan.toml").touch()
    assert find_config() is not None


def test_without_a_repository_the_search_ends_at_the_root_of_the_file_system(monkeypatch):
    monkeypatch.chdir("/")
    assert find_config() is None


def test_a_working_folder_that_is_gone_has_no_file(here, monkeypatch):
    gone = here / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    shutil.rmtree(gone)
    assert find_config() is None


def test_pyproject_counts_where_it_has_the_table(here):
    project = here / "pyproject.toml"
    project.write_text("[project]\nname = 'covscan-user'\n")
    assert find_config() is None
    project.write_text("[tool.covscan]\n")
    assert str(find_config()) == "pyproject.toml"
    (here / "covscan.toml").touch()
    assert str(find_config()) == "covscan.toml"


@pytest.mark.parametrize("content", [b"[tool.ruff\n", b"\xff\xfe", b"", b"tool = 3 # covscan\n"])
def test_a_pyproject_of_others_may_be_anything(here, content):
    (here / "pyproject.toml").write_bytes(content)
    assert find_config() is None


def test_a_pyproject_that_speaks_of_covscan_must_be_toml(here):
    (here / "pyproject.toml").write_bytes(b"[tool.covscan\n")
    with pytest.raises(UsageError, match="not TOML"):
        find_config()


def test_a_pyproject_that_cannot_be_read_is_passed_by(here, monkeypatch):
    (here / "pyproject.toml").write_text("[tool.covscan]\n")

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert find_config() is None


def test_a_folder_of_that_name_is_no_file(here):
    (here / "covscan.toml").mkdir()
    assert find_config() is None
    with pytest.raises(UsageError, match=r"cannot read 'covscan\.toml'"):
        read_config(here.joinpath("covscan.toml").relative_to(here))


FULL = """\
model = "nets.py:build"
model-args = { width = 64, deep = true, rates = [0.1, inf] }
checkpoints = ["runs/", "/abs/last.pt"]
data = "data/sample.npz"
reference-data = "data/train.npz"
target = "y"
mask = "m"
samples = 9
batch-size = 4
seed = -7
device = "cpu"
positions = "all"
sites = ["*.fc"]
exclude = ["*.norm", "head"]
train-batch-size = 60
loss = "losses.py:focal"
optimizer = "adam"
lr = 1
evidence = "probe"
trial-steps = 100
train-samples = 50
per-channel = true
jobs = 2
threads = 4
cache = false

[check]
preset = "strict"
fail-on = "warning"
select = ["COV2*"]
ignore = ["COV211"]
min-samples = 32
site-ignores = { "head.*" = ["COV2*"] }

[budgets.shift]
measure = "gaussian_w2"
max = 1
[budgets.dead-units]
level = "off"

[[suppressions]]
codes = ["COV216"]
reason = "by design"
expires = 2030-12-31
[[suppressions]]
codes = ["COV217"]
sites = ["gate.*"]
reason = "gates"

[baseline]
path = "base.json"
relative = 0.1
"""


def test_a_full_file(written):
    config = written(FULL)
    assert dict(config.settings) == {
        "model": "nets.py:build",
        "model_args": (("width", 64), ("deep", True), ("rates", [0.1, float("inf")])),
        "checkpoints": ("runs/", "/abs/last.pt"),
        "data": "data/sample.npz",
        "reference_data": "data/train.npz",
        "target": "y",
        "mask": "m",
        "samples": 9,
        "batch_size": 4,
        "seed": -7,
        "device": "cpu",
        "positions": None,
        "sites": ("*.fc",),
        "exclude": ("*.norm", "head"),
        "train_batch_size": 60,
        "loss": "losses.py:focal",
        "optimizer": "adam",
        "lr": 1.0,
        "evidence": "probe",
        "trial_steps": 100,
        "train_samples": 50,
        "per_channel": True,
        "jobs": 2,
        "threads": 4,
        "cache": False,
    }
    assert set(config.settings) == set(Measurement.__struct_fields__)
    assert config.check == Check(
        preset="strict",
        fail_on="warning",
        select=["COV2*"],
        ignore=["COV211"],
        site_ignores={"head.*": ["COV2*"]},
        min_samples=32,
    )
    assert config.budgets == {"shift": {"measure": "gaussian_w2", "max": 1}, "dead-units": {"level": "off"}}
    assert config.suppressions == (
        Suppression(codes=["COV216"], reason="by design", expires=dt.date(2030, 12, 31)),
        Suppression(codes=["COV217"], sites=["gate.*"], reason="gates"),
    )
    assert config.baseline == Tolerances(path="base.json", relative=0.1)
    assert config.places.place(("suppressions", 1, "reason")) == "covscan.toml:48"
    assert config.gives(("suppressions", 1, "reason"))
    assert not config.gives(("suppressions", 0, "sites"))
    assert not config.gives(("samples", "deeper"))


def test_the_table_of_pyproject_is_read_alike(written):
    text = "[tool.other]\nsamples = 'x'\n[tool.covscan]\nsamples = 3\n[tool.covscan.check]\nfail-on = 'never'\n"
    config = written(text, "pyproject.toml")
    assert (dict(config.settings), config.check.fail_on) == ({"samples": 3}, "never")
    assert config.places.place(("check", "fail-on")) == "pyproject.toml:6"


def test_a_pyproject_that_was_named_needs_the_table(written):
    assert "has no table [tool.covscan]" in complaints(written, "[tool]\n", "pyproject.toml")
    assert "has no table [tool.covscan]" in complaints(written, "tool = 3\n", "pyproject.toml")
    assert "pyproject.toml:1: [tool.covscan] must be a table" in complaints(
        written, "tool.covscan = 3\n", "pyproject.toml"
    )


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# nothing\n", b"\xef\xbb\xbf", b"\xef\xbb\xbfsamples = 3\r\nseed = 1\r\n"]
)
def test_a_file_may_be_empty_begin_with_a_bom_and_come_from_windows(written, text):
    assert written(text).check == Check()


def test_an_empty_config_is_what_no_file_gives():
    assert Config().places.place(("samples",)) == ""
    assert not Config().gives(("samples",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\nbatch_size = 3", "covscan.toml:2: there is no key 'batch_size'\n  hint:  did you mean 'batch-size'?"),
        ("--batch-size = 3", "covscan.toml:1: there is no key '--batch-size'\n  hint:  did you mean 'batch-size'?"),
        ("Samples = 3", "did you mean 'samples'?"),
        ("model-arg = {}", "did you mean 'model-args'?"),
        ("suppression = []", "did you mean 'suppressions'?"),
        ("zzzz = 3", "hint:  keys are model, model-args, checkpoints,"),
        ("fail-on = 'error'", "'fail-on' belongs into [check]"),
        ("measure = 'x'", "'measure' belongs into [budgets.NAME]"),
        ("[check]\nsamples = 3", "2: there is no key 'samples' in [check]\n  hint:  'samples' belongs to the top"),
        ("[check]\nfail_on = 'error'", "there is no key 'fail_on' in [check]\n  hint:  did you mean 'fail-on'?"),
        ("[budgets.a]\nmeasur = 'x'", "there is no key 'measur' in [budgets.a]\n  hint:  did you mean 'measure'?"),
        ("[budgets.a]\nreason = 'x'", "'reason' belongs into [[suppressions]]"),
        ("trust = true", "error[untrusted]: covscan.toml:1: 'trust' cannot stand in a file: a file must not allow"),
        ("--trust = true", "error[untrusted]"),
        ("[check]\ntrust = true", "error[untrusted]: covscan.toml:2"),
        ("samples = 'many'", "'samples' must be a whole number of at least 1\n  found: 'many', a string"),
        ("samples = 0", "found: 0, a whole number"),
        ("samples = true", "found: true, a boolean"),
        ("samples = 2.5", "found: 2.5, a number"),
        ("samples = []", "found: an empty list"),
        ("samples = {}", "found: an empty table"),
        ("samples = 2026-01-01", "found: 2026-01-01, a date"),
        (f"samples = 0x{'f' * 100}", "found: a very long one, a whole number"),
        (f"samples = '{'a' * 99}'", f"found: '{'a' * 60}...', a string"),
        ("seed = 9223372036854775808", "'seed' must be a whole number of at most 64 bits"),
        ("lr = 0", "'lr' must be a number above 0"),
        ("lr = nan", "'lr' must be a number above 0\n  found: nan"),
        ("lr = inf", "found: inf"),
        ("positions = 'some'", "'positions' must be a whole number of at least 1 or 'all'"),
        ("device = 'cud'", "'cpu', 'cuda' or 'mps'\n  found: 'cud', a string\n  hint:  did you mean 'cuda'"),
        ("model = ''", "'model' must be a string that is not empty"),
        ("per-channel = 1", "must be true or false"),
        ("checkpoints = 'runs/'", 'hint:  write checkpoints = ["runs/"]'),
        ("checkpoints = ['a', 3]", "'checkpoints' must be a list of strings\n  found: 3, a whole number, at place 2"),
        ("checkpoints = ['']", "found: '', a string, at place 1"),
        ("model-args = 3", "'model-args' must be a table"),
        ("model-args.a-b = 3", "'model-args.a-b' is no name of a parameter"),
        ("check = 3", "[check] must be a table\n  found: 3"),
        ("[check]\nfail-on = 'warn'", "did you mean 'warning'?"),
        ("[check]\nmin-samples = 0", "[check] 'min-samples' must be a whole number of at least 1"),
        ("[check.site-ignores]\na = 'COV2'", "whose values are lists of strings\n  found: 'COV2', a string, under 'a'"),
        ("[check.site-ignores]\na = ['x', 3]", "found: 3, a whole number, at place 2, under 'a'"),
        ("budgets = 3", "[budgets] must be tables by name"),
        ("budgets.a = 3", "[budgets.a] must be a table"),
        ("[budgets.a]\nmax = 'x'", "[budgets.a] 'max' must be a number"),
        ("[budgets.a]\nmax = inf", "found: inf, which nothing can be compared with"),
        ("suppressions = 3", "[suppressions] must be a list of tables"),
        ("suppressions = [3]", "[[suppressions]] 1 must be a table"),
        ("[[suppressions]]\ncodes = ['COV211']", "[[suppressions]] 1 needs 'reason'\n  hint:  it must be a string"),
        ("[[suppressions]]\nreason = 'x'\ncodes = []", "must be a list of strings, not an empty one"),
        ("[[suppressions]]\nreason = 'x'\ncodes = ['a']\nexpires = 2026-01-01T00:00:00", "must be a date, for example"),
        ("[baseline]\nrelative = -1", "[baseline] 'relative' must be a number of at least 0"),
        ("a = b", "error[bad-config]: covscan.toml:1:5: is not TOML\n  found: Invalid value"),
        ("\nmodel = nets.py:build\n", 'toml:2:9: is not TOML\n  found: Invalid value\n  hint:  a string stands in'),
        ("per-channel = True", "hint:  write per-channel = true"),
        ("samples = 1\nsamples = 2\n", "covscan.toml:2"),
        ("samples = [1,\n\n", "covscan.toml:1: is not TOML"),
        (f"samples = {'9' * 5000}", "is not TOML"),
        (b"samples = 3\nmodel = '\xe4'", "toml:2: is not UTF-8\n  found: byte 0xe4\n  hint:  save the file"),
        ("samples = 3".encode("utf-16"), "this looks like UTF-16"),
        ("a = " + "[" * 5000, "is nested too deeply"),
        ("\n" + ".".join("a" * 5000) + " = 1", "covscan.toml:2: a key of over a hundred parts"),
        ("#" * (LARGEST + 1), "covscan.toml: is larger than 1 MiB"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(written, text, expected):
    assert expected in complaints(written, text)


def test_a_file_as_large_as_it_may_be_is_read(written):
    assert written("samples = 3\n" + "#" * (LARGEST - 12)).settings == {"samples": 3}


def test_every_problem_is_said_at_once_from_top_to_end(written):
    text = "seed = 'x'\nsampels = 3\n[check]\nfail-on = 3\n[budgets.a]\nmax = 'x'\n[[suppressions]]\n"
    found = re.findall(r"covscan\.toml:(\d+)", complaints(written, text))
    assert found == ["1", "2", "4", "6", "7", "7"]


def test_tables_of_pyproject_are_called_by_their_whole_name(written):
    text = "[tool.covscan.check]\nfailon = 'error'\n[[tool.covscan.suppressions]]\n"
    said = complaints(written, text, "pyproject.toml")
    assert "in [tool.covscan.check]" in said
    assert "[[tool.covscan.suppressions]] 1 needs 'codes'" in said


def test_an_unreadable_file_is_said(here):
    with pytest.raises(UsageError, match=r"cannot read 'none\.toml'") as caught:
        read_config(here.joinpath("none.toml").relative_to(here))
    assert "--no-config" in caught.value.hint


PATHS = """\
model = "nets.py:build"
checkpoints = ["runs/ep-*.pt", "/abs/x.pt", "~/y.pt"]
data = "load.py:batches"
loss = "losses.py:focal"
optimizer = "adam"
[baseline]
path = "base.json"
"""


def test_paths_are_relative_to_the_file(here, monkeypatch):
    (here / "covscan.toml").write_text(PATHS)
    (here / "a[1]" / "b").mkdir(parents=True)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.chdir(here / "a[1]" / "b")
    config = read_config(find_config())
    up = os.path.join("..", "..")
    assert config.settings == {
        "model": f"{up}/nets.py:build",
        "checkpoints": (f"{up}/runs/ep-*.pt", "/abs/x.pt", "/home/me/y.pt"),
        "data": f"{up}/load.py:batches",
        "loss": f"{up}/losses.py:focal",
        "optimizer": "adam",
    }
    assert config.baseline.path == f"{up}/base.json"


def test_a_module_stays_a_module_and_a_file_of_data_moves(here, monkeypatch):
    (here / "sub").mkdir()
    (here / "covscan.toml").write_text('model = "package.nets:build"\ndata = "sample.npz"\nloss = "mse"\n')
    monkeypatch.chdir(here / "sub")
    config = read_config(find_config())
    assert config.settings == {"model": "package.nets:build", "data": "../sample.npz", "loss": "mse"}


def test_signs_of_globs_in_the_folder_are_no_glob(here):
    (here / "a[1]").mkdir()
    (here / "a[1]" / "covscan.toml").write_text('checkpoints = ["*.pt", "x.pt"]\n')
    config = read_config(here.joinpath("a[1]", "covscan.toml").relative_to(here))
    assert config.settings == {"checkpoints": ("a[[]1]/*.pt", "a[1]/x.pt")}


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links")
def test_a_file_behind_a_symbolic_link_is_relative_to_where_it_was_found(here):
    (here / "real").mkdir()
    (here / "real" / "shared.toml").write_text('data = "x.npz"\n')
    (here / "covscan.toml").symlink_to("real/shared.toml")
    assert read_config(find_config()).settings == {"data": "x.npz"}
