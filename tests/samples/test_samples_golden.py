"""The bundled training runs give the reports that lie beside them; COVSCAN_UPDATE_GOLDEN=1 writes them anew."""

import json
import os
from pathlib import Path

import jsonschema
import pytest
import torch
from msgspec.structs import replace

import covscan
from covscan.report import schema, to_json
from covscan.report.types import Run

DIGITS, CONV, CHARACTERS = "samples/digits-sigmoid", "samples/conv-onnx", "samples/char-transformer"

RUNS = {
    f"{DIGITS}/report-plain.json": {
        "checkpoints": [f"{DIGITS}/plain/step-{step}.pt" for step in (0, 1000, 20000)],
        "model": f"{DIGITS}/nets.py:plain",
        "data": f"{DIGITS}/sample.npz",
        "target": "y",
        "samples": 256,
    },
    f"{DIGITS}/report-batchnorm.json": {
        "checkpoints": [f"{DIGITS}/batchnorm/step-{step}.pt" for step in (0, 1000, 20000)],
        "model": f"{DIGITS}/nets.py:batchnorm",
        "data": f"{DIGITS}/sample.npz",
        "target": "y",
        "samples": 256,
    },
    f"{CONV}/report.json": {
        "checkpoints": [f"{CONV}/epoch{epoch}.onnx" for epoch in (0, 2, 10)],
        "data": f"{CONV}/sample.npz",
        "target": "label",
        "samples": 96,
        "positions": 8,
    },
    f"{CHARACTERS}/report.json": {
        "checkpoints": [f"{CHARACTERS}/step-{step:05d}.safetensors" for step in (0, 2000)],
        "model": f"{CHARACTERS}/nets.py:build",
        "data": f"{CHARACTERS}/sample.npz",
        "target": "targets",
        "mask": "attention_mask",
        "samples": 96,
        "positions": 8,
    },
}
"""Golden file → what it was made with; parts of the runs, so that files and tests stay small."""

RUN = Run(started="2000-01-01T00:00:00+00:00", seconds=0.0, host="", command="covscan.analyze(...)", versions={})
LARGEST = 400_000


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def measured(root):
    """The report of a run, each measured once, without when, where and by which version."""
    made = {}

    def measure(name):
        if name not in made:
            here = Path.cwd()
            os.chdir(root)  # paths in a report are as they were given
            try:
                settings = dict(RUNS[name])
                report = covscan.analyze(settings.pop("checkpoints"), **settings)
            finally:
                os.chdir(here)
            made[name] = replace(report, run=RUN, tool=replace(report.tool, version=""))
        return made[name]

    return measure


def golden(root, name, report):
    """The golden file's values; the file is written first where that was asked for."""
    path = root / name
    if os.environ.get("COVSCAN_UPDATE_GOLDEN"):
        path.write_text(to_json(report), encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def differences(found, expected, place=""):
    """Where two reports differ: structure and text exactly, numbers by more than another processor explains."""
    if isinstance(expected, dict) and isinstance(found, dict):
        if found.keys() != expected.keys():
            return [f"{place}: fields {sorted(found.keys() ^ expected.keys())}"]
        return [text for key in expected for text in differences(found[key], expected[key], f"{place}.{key}")]
    if isinstance(expected, list) and isinstance(found, list):
        if len(found) != len(expected):
            return [f"{place}: {len(found)} instead of {len(expected)}"]
        pairs = enumerate(zip(found, expected, strict=True))
        return [text for number, (a, b) in pairs for text in differences(a, b, f"{place}[{number}]")]
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (found, expected))
    least = 1e-4 if place.endswith("_share") else 1e-6  # kernels differ in which of their smallest values are 0
    same = found == pytest.approx(expected, rel=1e-3, abs=least) if numbers else found == expected
    return [] if same else [f"{place}: {found!r} instead of {expected!r}"]


@pytest.mark.parametrize("name", RUNS)
def test_a_run_gives_its_golden_report(root, measured, name):
    found = measured(name)
    assert differences(json.loads(to_json(found)), golden(root, name, found)) == []


@pytest.mark.parametrize("name", RUNS)
def test_golden_reports_follow_the_schema_and_are_small(root, name):
    text = (root / name).read_text(encoding="utf-8")
    jsonschema.validate(json.loads(text), schema())
    assert len(text) < LARGEST


def test_the_comparison_can_fail():
    assert differences({"a": [1.0, "x"]}, {"a": [1.0005, "x"]}) == []
    assert differences({"a": [1.0, "x"]}, {"a": [1.01, "x"]}) == [".a[0]: 1.0 instead of 1.01"]
    assert differences({"a": "x"}, {"a": "y"}) == [".a: 'x' instead of 'y'"]
    assert differences({"a": 1}, {"b": 1}) == [": fields ['a', 'b']"]


def test_the_plain_sigmoid_network_gets_a_suggestion(measured):
    suggestions = measured(f"{DIGITS}/report-plain.json").suggestions
    assert suggestions
    assert suggestions[0].norm.startswith("BatchNorm")


@pytest.mark.parametrize("name", [f"{DIGITS}/report-batchnorm.json", f"{CHARACTERS}/report.json"])
def test_networks_with_normalizations_get_no_suggestion(measured, name):
    assert measured(name).suggestions == []
