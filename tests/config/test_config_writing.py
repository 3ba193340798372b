"""What covscan writes as TOML means what was to be written, and nothing in it can end a comment or a string early."""

import datetime as dt
import math
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covscan.config.file import read_config
from covscan.config.policy import Budget
from covscan.config.relative import moved, to_folder
from covscan.config.toml_values import assignment, to_toml
from covscan.config.writing import Proposal, budgets_text, write_config

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.one_of(TEXT, st.integers(), st.booleans(), st.floats(allow_nan=False), st.dates(), st.times(), st.datetimes()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)


@pytest.mark.fuzz
@given(key=TEXT, value=VALUES)
def test_values_come_back(key, value):
    assert tomllib.loads(assignment(key, value)) == {key: value}


def test_numbers_that_are_none_come_back():
    assert math.isnan(tomllib.loads(assignment("x", math.nan))["x"])


def test_a_long_list_has_one_value_a_line():
    files = [f"runs/checkpoint-{place:05}.safetensors" for place in range(9)]
    text = assignment("checkpoints", files)
    assert len(text.splitlines()) == 11
    assert tomllib.loads(text) == {"checkpoints": files}
    assert assignment("x", "long" * 99).count("\n") == 0


def test_a_string_shows_what_can_be_shown():
    assert to_toml("a\tb\x1b\u202e\U000e0001ä") == r'"a\tb\u001b\u202e\U000e0001ä"'
    assert to_toml({}) == "{}"


@pytest.mark.parametrize("value", [None, [None], {"a": None}, "\udcff", object()])
def test_what_toml_cannot_say_is_an_error(value):
    with pytest.raises(ValueError, match="TOML has no"):
        to_toml(value)


def test_what_toml_cannot_say_is_said_in_the_file():
    text = write_config({"data": "x\udcff.npz", "model_args": (("bias", None),)}, {}, ())
    assert "# TOML has no text that is no Unicode: 'data' of this run can be said on the command line alone" in text
    assert "# TOML has no null: 'model-args' of this run can be said" in text
    assert "data" not in tomllib.loads(text)


def test_settings_come_back(tmp_path, monkeypatch):
    settings = {
        "model": "nets.py:build",
        "model_args": (("width", 64), ("name", 'a"b')),
        "checkpoints": ("runs/a b.pt", "x#y.pt"),
        "positions": None,
        "lr": 1e-5,
        "sites": ("*.fc",),
        "per_channel": True,
        "trust": True,
    }
    (tmp_path / "covscan.toml").write_text(write_config(settings, {"data": "x.npz"}, (), trust=True))
    monkeypatch.chdir(tmp_path)
    config = read_config(tmp_path.joinpath("covscan.toml").relative_to(tmp_path))
    assert dict(config.settings) == {name: value for name, value in settings.items() if name != "trust"}
    assert '\n#data = "x.npz"\n' in (tmp_path / "covscan.toml").read_text()
    assert "need --trust on the command line" in (tmp_path / "covscan.toml").read_text()


NASTY = "a\nb = 3\n\x1b[2J\u202e\udcff\u2028[x]"


def test_a_remark_stays_a_comment_whatever_is_in_it():
    proposal = Proposal("shift", Budget(measure="gaussian_w2", max=1.5, sites=["a", "b"]), f"at {NASTY}")
    text = budgets_text([proposal], NASTY)
    assert tomllib.loads(text) == {"budgets": {"shift": {"measure": "gaussian_w2", "max": 1.5, "sites": ["a", "b"]}}}
    assert all(row.isprintable() for row in text.splitlines())
    assert budgets_text([], "x") == ""


def test_paths_are_written_as_seen_from_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = {"model": "nets.py:build", "data": "pkg.load:batches", "checkpoints": ("runs/*.pt", "/abs.pt"), "lr": 1}
    assert moved(settings, to_folder(str(tmp_path))) == settings
    assert moved(settings, to_folder("sub")) == settings | {
        "model": "../nets.py:build",
        "checkpoints": ("../runs/*.pt", "/abs.pt"),
    }


def test_a_folder_keeps_its_slash(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert moved({"checkpoints": ("runs/",)}, to_folder("sub")) == {"checkpoints": ("../runs/",)}


def test_dates_are_no_strings():
    assert to_toml(dt.date(2026, 1, 2)) == "2026-01-02"
