"""Comparing data sets and models from the command line: what reaches the pipeline, and whole runs as processes."""

import json
import types

import jsonschema
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from covscan.config import Settings
from covscan.report import schema

DIFF = ["diff", "a.pt", "b.onnx", "--data", "x.npz"]


@pytest.fixture
def both(pipeline):
    """What a comparison of two models is asked for, in place of a measurement."""
    asked = []

    def compare_models(first, second, progress=None, command=""):
        asked.append((first, second))
        pipeline.commands.append(command)
        return pipeline.report

    pipeline.compare_models = compare_models
    return types.SimpleNamespace(asked=asked, pipeline=pipeline)


def test_reference_data_reach_the_settings(covscan, pipeline):
    code, _, _ = covscan("analyze", "a.pt", "--data", "live.npz", "--reference-data", "train.npz")
    assert code == 0
    assert pipeline.asked == [Settings(checkpoints=("a.pt",), data="live.npz", reference_data="train.npz")]


def test_both_sides_have_settings_of_their_own(covscan, both):
    options = "--model nets.py:build --model-arg width=8 --model-b other.py:build --model-b-arg depth=3 --samples 9"
    code, out, _ = covscan(*DIFF, *options.split())
    assert code == 0
    assert out.startswith("covscan ")
    common = {"data": "x.npz", "samples": 9}
    assert both.asked == [
        (
            Settings(checkpoints=("a.pt",), model="nets.py:build", model_args=(("width", 8),), **common),
            Settings(checkpoints=("b.onnx",), model="other.py:build", model_args=(("depth", 3),), **common),
        )
    ]


def test_the_second_side_has_no_factory_unless_it_was_named(covscan, both):
    covscan(*DIFF, "--model", "nets.py:build")
    ((first, second),) = both.asked
    assert (first.model, second.model, second.model_args) == ("nets.py:build", None, ())


def test_a_finding_fails_a_comparison_as_it_fails_a_series(covscan, both):
    assert covscan(*DIFF, "--fail-on", "warning")[0] == 1
    assert covscan(*DIFF, "--fail-on", "error")[0] == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["diff"], ["error[two-sides]", "0 named"]),
        (["diff", "a.pt", "b.pt"], ["error[no-data]"]),
        (["diff", "a.pt", "--data", "x"], ["1 named: a.pt"]),
        (["diff", "a", "b", "c", "--data", "x"], ["3 named: a, b, c"]),
        ([*DIFF, "--model-b-arg", "a=1"], ["--model-b-arg belongs to --model-b"]),
        ([*DIFF, "--model-b", "m:f", "--model-b-arg", "a"], ["'--model-arg a' is not KEY=VALUE"]),
        ([*DIFF, "-f", "jsn"], ["no output format 'jsn'"]),
        ([*DIFF, "--fail-on", "warn"], ["did you mean 'warning'?"]),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_opened(covscan, both, words, expected):
    code, out, err = covscan(*words)
    assert code == 2
    assert out == ""
    assert all(part in err for part in expected), err
    assert both.asked == []


def test_help_names_both_commands(covscan):
    assert "--reference-data" in covscan("analyze", "--help")[1]
    assert "--model-b" in covscan("diff", "--help")[1]


@pytest.fixture(scope="module")
def shifted(tmp_path_factory, digits):
    """Half of the digits, and the other half brighter."""
    folder = tmp_path_factory.mktemp("data")
    kept = np.load(digits / "sample.npz")
    np.savez(folder / "train.npz", x=kept["x"][::2], y=kept["y"][::2])
    np.savez(folder / "production.npz", x=np.clip(kept["x"][1::2] * 1.5 + 0.1, 0, 1))
    np.savez(folder / "other.npz", x=kept["x"][1::2])
    return folder


def test_a_shift_of_the_data_is_told_by_a_process(run_covscan, digits, shifted, tmp_path):
    words = [
        "analyze", "--model", f"{digits}/nets.py:batchnorm", "--reference-data", shifted / "train.npz",
        "--target", "y", f"{digits}/batchnorm/step-20000.pt",
    ]  # fmt: skip
    found = run_covscan(
        *words, "--data", shifted / "production.npz", "-o", f"json={tmp_path}/r.json", "--fail-on", "warning"
    )
    assert found.returncode == 1, found.stderr
    assert "Shift from train.npz to production.npz" in found.stdout
    assert "train.npz → production.npz through step-20000.pt · 256 and 256 samples" in found.stdout
    assert "Enters: fc1 in by " in found.stdout
    assert "COV208" in found.stdout
    assert "COV401" in found.stdout
    assert "of input" in found.stdout
    assert "excess" not in found.stdout
    assert "trend" not in found.stdout
    assert "checkpoints in between" not in found.stdout
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    jsonschema.validate(report, schema())
    assert report["schema_version"] == "1.1"
    assert report["comparison"]["kind"] == "data"
    drawn = run_covscan("render", tmp_path / "r.json")
    assert drawn.stdout == found.stdout
    quiet = run_covscan(*words, "--data", shifted / "other.npz", "--fail-on", "warning", "-q")
    assert quiet.returncode == 0, quiet.stdout
    assert "No site moved by more than sampling noise" in quiet.stdout


def test_a_gate_holds_two_data_sets_to_a_limit_of_the_configuration(run_covscan, digits, shifted, tmp_path):
    (tmp_path / "covscan.toml").write_text(
        f"""
        model = "{digits.as_posix()}/nets.py:batchnorm"
        checkpoints = ["{digits.as_posix()}/batchnorm/step-20000.pt"]
        reference-data = "{shifted.as_posix()}/train.npz"
        data = "{shifted.as_posix()}/production.npz"
        target = "y"
        [budgets.data-shift]
        measure = "gaussian_w2"
        sites = ["fc1"]
        max = 0.05
        """,
        encoding="utf-8",
    )
    config = ("--config", tmp_path / "covscan.toml", "-q")
    failed = run_covscan("check", *config)
    assert failed.returncode == 1, failed.stderr
    assert "Gate: failed" in failed.stdout
    assert "from train.npz to production.npz, beyond" in failed.stdout
    passed = run_covscan("check", *config, "--data", shifted / "other.npz")
    assert passed.returncode == 0, passed.stdout


def test_training_has_no_place_between_two_data_sets(run_covscan, digits, shifted):
    found = run_covscan(
        "analyze", "--model", f"{digits}/nets.py:plain", "--reference-data", shifted / "train.npz", "--data",
        shifted / "other.npz", "--loss", "cross_entropy", f"{digits}/plain/step-0.pt",
    )  # fmt: skip
    assert found.returncode == 2
    assert found.stderr.startswith("error[not-trained]: --loss belongs to training")


def test_two_data_sets_want_one_checkpoint(run_covscan, digits, shifted):
    found = run_covscan(
        "analyze", "--model", f"{digits}/nets.py:plain", "--reference-data", shifted / "train.npz", "--data",
        shifted / "other.npz", f"{digits}/plain",
    )  # fmt: skip
    assert found.returncode == 2
    assert "error[one-checkpoint]" in found.stderr


def test_two_models_are_compared_by_a_process(run_covscan, conv_net, tmp_path):
    found = run_covscan(
        "diff", "--model", f"{conv_net}/nets.py:build", "--data", f"{conv_net}/sample.npz", "--target", "label",
        "--samples", "96", f"{conv_net}/epoch10.pt", f"{conv_net}/epoch10.onnx", "-o", f"json={tmp_path}/r.json",
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert "Shift from epoch10.pt to epoch10.onnx" in found.stdout
    assert "14 sites of 17 and 17 are the same" in found.stdout
    assert "No site moved by more than sampling noise" in found.stdout
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    jsonschema.validate(report, schema())
    assert report["comparison"]["kind"] == "models"
    assert all(abs(s["measures"]["gaussian_w2"]["value"]) < 1e-4 for s in report["shifts"])


def test_models_that_differ_can_end_with_one(run_covscan, conv_net):
    words = ("diff", "--data", f"{conv_net}/sample.npz", "--target", "label", "--samples", "96", "--exit-code", "-q")
    alike = run_covscan(*words, f"{conv_net}/epoch10.onnx", f"{conv_net}/epoch10.onnx")
    assert alike.returncode == 0, alike.stdout + alike.stderr
    differing = run_covscan(*words, f"{conv_net}/epoch0.onnx", f"{conv_net}/epoch10.onnx")
    assert differing.returncode == 1, differing.stderr


def test_models_without_a_common_site_are_inconclusive(run_covscan, conv_net, tmp_path):
    weight = numpy_helper.from_array(np.ones((2, 1, 3, 3), np.float32), "kernel")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["picture", "kernel"], ["out"])], "g",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 1, 16, 16])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 2, 14, 14])], [weight],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, tmp_path / "other.onnx")
    found = run_covscan(
        "diff", "--data", f"{conv_net}/sample.npz", "--target", "label", f"{conv_net}/epoch10.onnx",
        tmp_path / "other.onnx",
    )  # fmt: skip
    assert found.returncode == 4
    assert found.stdout == ""
    assert "error[nothing-mapped]: no site of 'epoch10' could be found in 'other'" in found.stderr
