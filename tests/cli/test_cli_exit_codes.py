"""The exit codes, each by a process of its own; they are public and never reused."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from covscan.render import BINARY, DRAWN, FORMATS

ROOT = Path(__file__).parent.parent.parent
GOLDEN = ROOT / "tests" / "golden"

NETS = """
import sys, time
import torch
from torch import nn

class Bare(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))
    def forward(self, x):
        return x * self.scale

class Slow(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)
    def forward(self, x):
        sys.stderr.write("measuring\\n")
        sys.stderr.flush()
        time.sleep(0.05)
        return self.fc(x)

def plain():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
bare, slow = Bare, Slow
"""
MAKE = """
import sys, torch, numpy as np
sys.path.insert(0, ".")
import nets
for name in ("plain", "bare", "slow"):
    for step in (1, 2):
        torch.manual_seed(step)
        torch.save(getattr(nets, name)().state_dict(), f"{name}-{step}.pt")
rng = np.random.default_rng(0)
np.savez("x.npz", x=rng.normal(size=(64, 4)).astype("float32"), y=rng.integers(0, 2, size=64))
"""
FAULT = """
import sys
from unittest.mock import patch
from covscan.__main__ import main
sys.argv = ["covscan", *{words!r}]
with patch({target!r}, side_effect=RuntimeError("a fault of ours")):
    sys.exit(main())
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory, ready):
    """A user's folder with three networks, two checkpoints of each and some data."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "nets.py").write_text(NETS)
    ready.run("-c", MAKE, cwd=folder).check_returncode()
    return folder


def measure(name="plain", command="analyze"):
    return [command, "--model", f"nets.py:{name}", "--data", "x.npz", f"{name}-1.pt", f"{name}-2.pt"]


def one(name="plain"):
    return measure(name)[:-1]


PROVE = ["--target", "y", "--loss", "cross_entropy", "--lr", "0.1", "--site", "2", "--norm", "LayerNorm"]
PROVE += ["--seeds", "1", "--steps", "2", "--rates", "3", "-q"]
INSERT = ["insert", *one()[1:], "--site", "2", "--norm", "LayerNorm"]

CODES = {
    "analyze, nothing as grave": (0, [*measure(), "--fail-on", "error"]),
    "analyze, a finding": (1, [*measure(), "--fail-on", "info"]),
    "analyze, no such file": (2, [*measure(), "none.pt"]),
    "analyze, no such option": (2, [*measure(), "--no-such-option"]),
    "analyze, no such format": (2, [*measure(), "-f", "sarif2"]),
    "analyze, nothing to measure": (4, measure("bare")),
    "sites": (0, ["sites", "--model", "nets.py:plain", "--data", "x.npz"]),
    "sites, no such model": (2, ["sites", "--model", "nets.py:none", "--data", "x.npz"]),
    "insert": (0, [*INSERT, "-o", "inserted.pt"]),
    "insert, no such site": (2, [*INSERT, "-o", "inserted.pt", "--site", "9"]),
    "prove": (0, ["prove", *one()[1:], *PROVE]),
    "prove, too small a gain": (1, ["prove", *one()[1:], *PROVE, "--expect-gain", "99"]),
    "prove, no loss": (2, ["prove", *one()[1:], "--site", "2", "--norm", "LayerNorm"]),
    "render": (0, ["render", GOLDEN / "digits.json"]),
    "render, nothing was measured": (0, ["render", GOLDEN / "nothing.json"]),
    "render, no such report": (2, ["render", "none.json"]),
    "rule": (0, ["rule", "COV201"]),
    "rule, no such code": (2, ["rule", "COV000"]),
    "schema": (0, ["schema"]),
    "doctor": (0, ["doctor"]),
    "version": (0, ["version"]),
    "version, no such format": (2, ["version", "-f", "yaml"]),
    "no command": (2, []),
}


@pytest.mark.parametrize("case", CODES)
def test_a_command_ends_with_its_code(run_covscan, project, case):
    code, words = CODES[case]
    done = run_covscan(*words, cwd=project)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert ("error[" in done.stderr) == (code in {2, 4} and bool(words))
    assert bool(done.stdout) == (code in {0, 1})


FAULTS = {
    "analyze": (measure(), "covscan.assembly.Assembly.evidence"),
    "render": (["render", str(GOLDEN / "digits.json"), "-f", "sarif"], "covscan.render.as_sarif.alerts"),
    "rule": (["rule"], "covscan.catalog.pages"),
    "doctor": (["doctor"], "covscan.cli.doctor.run"),
    "schema": (["schema"], "covscan.cli.small.print_schema"),
    "insert": ([*INSERT, "-o", "inserted.pt"], "covscan.insertion.insert"),
}


@pytest.mark.parametrize("command", FAULTS)
def test_a_bug_of_ours_says_so_and_ends_with_3(ready, project, command):
    words, target = FAULTS[command]
    done = ready.run("-c", FAULT.format(words=words, target=target), cwd=project)
    assert done.returncode == 3, done.stderr
    assert done.stdout == ""
    assert "RuntimeError: a fault of ours" in done.stderr
    assert "This is a bug in covscan" in done.stderr
    assert "covscan doctor" in done.stderr


@pytest.mark.parametrize("form", ["text", "sarif"])
def test_an_interruption_in_a_measurement_ends_with_130_and_writes_nothing(ready, project, tmp_path, form):
    words = [*measure("slow"), "--batch-size", "1", "-f", form, "-o", f"json={tmp_path}/r.json"]
    process = ready.start("-m", "covscan", *words, cwd=project)
    process.until("measuring", 10)  # planning takes two passes: by now the first checkpoint is being measured
    process.send_signal(signal.SIGINT)
    done = process.wait(60)
    assert done.returncode == 130
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.endswith("interrupted\n")
    assert list(tmp_path.iterdir()) == []


def piped(line, cwd=None):
    """(exit code of the pipe under pipefail, exit code of its first command, what came out, errors)."""
    done = subprocess.run(
        ["bash", "-c", f'set -o pipefail; {line}; echo "$? ${{PIPESTATUS[0]}}" >&2'],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    *errors, codes = done.stderr.splitlines()
    return codes, done.stdout, errors


def shell(*words):
    return " ".join([sys.executable, "-m", "covscan", *map(str, words)])


UNREAD = [(reader, form) for reader in ("head -1", "true") for form in sorted(set(FORMATS) - BINARY)]


# Drawing takes seconds, and what is drawn is written like any other text.
@pytest.mark.parametrize(("reader", "form"), [each for each in UNREAD if each[1] not in DRAWN or each[0] == "head -1"])
def test_a_report_keeps_its_code_where_nobody_reads_to_its_end(form, reader):
    codes, out, errors = piped(f"{shell('render', GOLDEN / 'deep.json', '-f', form)} | {reader}")
    assert (codes, errors) == ("0 0", [])
    assert out.count("\n") == (reader == "head -1")


@pytest.mark.parametrize("form", ["text", "sarif"])
def test_a_finding_keeps_its_code_where_nobody_reads_to_its_end(project, form):
    codes, out, errors = piped(f"{shell(*measure(), '--fail-on', 'info', '-q', '-f', form)} | head -1", project)
    assert (codes, errors) == ("1 1", [])
    assert out.count("\n") == 1


def test_where_nothing_could_be_concluded_no_pipe_hides_it(project):
    codes, out, _ = piped(f"{shell(*measure('bare'), '-q', '-f', 'github')} | head -1", project)
    assert (codes, out) == ("4 4", "")


def test_files_are_written_where_nobody_reads(project, tmp_path):
    codes, _, _ = piped(f"{shell(*measure(), '-q', '-o', f'json={tmp_path}/r.json')} | true", project)
    assert codes == "0 0"
    assert json.loads((tmp_path / "r.json").read_text())["coverage"]["measured"]
