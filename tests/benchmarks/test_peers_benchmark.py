"""The benchmark of peers is driven as a command, with the contenders that are installed here."""

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import pytest


def peers(root, folder, *arguments):
    command = [sys.executable, root / "benchmarks" / "peers.py", "--into", folder, *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("engine", "rivals"),
    [
        ("torch", {"pytorch-cka": "pytorch-cka", "torchinstruments": "torchinstruments", "delve": "delve"}),
        ("onnx", dict.fromkeys(("minmax", "histogram", "histogram-batches"), "onnxruntime")),
    ],
)
def test_a_small_network_goes_through_every_installed_contender(root, tmp_path, engine, rivals):
    (tmp_path / "peers.json").write_text(json.dumps({"parts": {"traps": {"traps": [], "machine": OTHER}}}))
    done = peers(root, tmp_path, f"small-{engine}", "--quick", "--rounds", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "peers.json").read_text())
    assert list(results["parts"]) == ["traps", f"small-{engine}"], "what other runs found stays"
    part = results["parts"][f"small-{engine}"]
    assert part["failed"] == {}
    rows = part["rows"]
    assert rows["bare"]["ratio"] == {"median": 1, "least": 1}
    for name in ("capture", "analyze", "analyze-all"):
        assert rows[name]["seen"] >= 6
        assert rows[name]["peak_mib"]["median"] > rows["bare"]["peak_mib"]["median"] / 2
        assert rows[name]["inside"]["median"] <= rows[name]["seconds"]["median"]
    for name, distribution in rivals.items():
        if installed(distribution):
            assert rows[name]["seen"] >= 3
        else:
            assert part["missing"][name] == f"{distribution} is not installed"
    markdown = (tmp_path / "peers.md").read_text()
    assert "| covscan analyze | 2 |" in markdown
    assert markdown.count("Some Other Processor") == 1
    rendered = subprocess.run([sys.executable, root / "benchmarks" / "tables.py", tmp_path], cwd=root, check=False)
    assert rendered.returncode == 0
    assert (tmp_path / "peers.md").read_text() == markdown


OTHER = {"processor": "Some Other Processor", "cores": 1, "python": "3.11.0", "torch": "2.13.0", "covscan": "0.1.0"}


def installed(distribution):
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def test_the_traps_of_what_is_installed_are_shown(root, tmp_path):
    done = peers(root, tmp_path, "traps")
    assert done.returncode == 0, done.stderr
    shown = (tmp_path / "peers.md").read_text()
    assert "| onnxruntime MinMax | maximum of three batches, 5, 1 and 2" in shown
    assert ("in-place ReLU" in shown) == installed("pytorch-cka")


def test_an_unknown_part_is_refused_before_anything_runs(root, tmp_path):
    done = peers(root, tmp_path, "resnet81-torch")
    assert done.returncode == 2
    assert "there is no part 'resnet81-torch'" in done.stderr
    assert not list(tmp_path.iterdir())
