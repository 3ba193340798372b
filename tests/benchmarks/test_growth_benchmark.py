"""The benchmark of growth is driven as a command; what it concludes is tested on figures that were made up."""

import json
import subprocess
import sys

import pytest


@pytest.fixture
def growth(root, monkeypatch):
    """The program as a module, and none of its neighbours, which have everyday names, left behind."""
    monkeypatch.syspath_prepend(root / "benchmarks")
    before = set(sys.modules)
    import growth

    yield growth
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(root / "benchmarks")):
            del sys.modules[name]


def test_one_width_of_a_small_network(root, tmp_path):
    command = [sys.executable, root / "benchmarks" / "growth.py", "channels", "--quick", "--into", tmp_path]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    part = json.loads((tmp_path / "growth.json").read_text())["parts"]["channels"]
    (point,) = part["points"]
    assert (point["channels"], point["measured"], point["slope"]) == (128, 24, None)
    assert point["covscan"]["peak_mib"] > point["bare"]["peak_mib"] > 50
    assert "| channels | 128 |" in (tmp_path / "growth.md").read_text()


def points(axis, peaks, measured=100):
    return [
        {axis: value, "measured": measured, "covscan": {"peak_mib": peak, "seconds": float(value)}}
        for value, peak in peaks.items()
    ]


@pytest.mark.parametrize(("peak", "met"), [(419, True), (421, False)])
def test_memory_may_not_grow_with_the_samples(growth, peak, met):
    (found,) = growth.bounds("samples", points("samples", {128: 300, 512: 400, 2048: 500, 8192: peak}))
    assert found["value"] == pytest.approx(peak / 400, abs=1e-3)
    assert found["met"] is met


@pytest.mark.parametrize(("each", "met"), [(1.9, True), (2.1, False)])
def test_memory_grows_by_a_mebibyte_per_checkpoint_and_50_sites_at_most(growth, each, met):
    peaks = {2: 100} | {count: 400 + each * count for count in (10, 50, 200)}
    (found,) = growth.bounds("checkpoints", points("checkpoints", peaks))
    assert found["value"] == pytest.approx(each / 2, abs=1e-3)
    assert found["met"] is met


def test_too_few_points_decide_nothing(growth):
    assert growth.bounds("samples", points("samples", {32: 300, 512: 400})) == []
    assert growth.bounds("checkpoints", points("checkpoints", {2: 300, 10: 400})) == []
    assert growth.bounds("sites", points("sites", {10: 300, 1000: 400})) == []


def test_a_slope_is_the_power_by_which_time_grows(growth):
    squares = points("sites", {10: 0, 100: 0, 1000: 0})
    for each in squares:
        each["covscan"]["seconds"] = each["sites"] ** 2 / 7
    assert [each["slope"] for each in growth.with_slopes("sites", squares)] == [None, 2, 2]
