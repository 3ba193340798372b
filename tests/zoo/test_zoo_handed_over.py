"""Networks from Python and through the command line: left as they were, and no print gets into a report."""

import json
from pathlib import Path

import pytest
import torch
from test_zoo_odd import saved, surroundings
from zoo_cases import CASES
from zoo_oracle import hooks

import covscan

FACTORY = f"{Path(__file__).parent / 'zoo_cases.py'}:build"


@pytest.mark.parametrize(
    "name", ["hooks of the user", "remembers", "spectral norm", "channels last", "in-place activations"]
)
def test_a_network_that_the_caller_holds_stays_as_it_was(name, tmp_path):
    case = CASES[name]
    saved(case, tmp_path)
    net = case.build().train()
    before = surroundings(), hooks(net), {key: value.clone() for key, value in net.state_dict().items()}
    report = covscan.analyze(str(tmp_path / "step-*.pt"), model=net, data=dict(case.data), device="cpu")
    assert report.coverage.measured
    assert (surroundings(), hooks(net)) == before[:2]
    assert all(torch.equal(value, before[2][key]) for key, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_what_a_network_prints_is_no_part_of_the_report(run_covscan, tmp_path):
    saved(CASES["prints"], tmp_path)
    words = ["--model", FACTORY, "--model-arg", "name=prints", "--data", tmp_path / "sample.npz", "-f", "json"]
    done = run_covscan("analyze", *words, tmp_path / "step-0.pt", tmp_path / "step-1.pt")
    assert done.returncode == 0, done.stderr
    assert {site["site"] for site in json.loads(done.stdout)["sites"]} == {"fc"}
    assert "called with (16, 6)" in done.stderr
