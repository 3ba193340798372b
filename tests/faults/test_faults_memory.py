"""Memory that is too small: batches are halved, the numbers are those of a run at that size, and it is said."""

import os
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from fault_testing import BEFORE, without_run
from onnx import TensorProto, helper

import covscan.prove.runs as runs_of_training
from covscan.config import Settings
from covscan.config.progress import Silent
from covscan.errors import OutOfMemory, UsageError
from covscan.memory import memory_error, what_was_needed
from covscan.pipeline import analyze

HUNGRY = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(6, 12), nn.Linear(12, 3)

    def forward(self, x):
        hidden = torch.relu(self.fc1(x))
        {hunger}
        return self.fc2(hidden * torch.rand(12))

def build():
    return Net()
"""
REFUSES = """if len(x) > {most}:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4194304 bytes.")"""
TAKES = "torch.empty(len(x), 25_000_000)"


class Notes(Silent):
    def __init__(self):
        self.said = []

    def note(self, text):
        self.said.append(text)


def hungry(runs, hunger):
    (runs.folder / "nets_faults.py").write_text(HUNGRY.format(hunger=hunger))


def content(report):
    import msgspec

    found = without_run(msgspec.to_builtins(report))
    return {**found, "notes": [note for note in found["notes"] if "fit into memory" not in note]}


# Where others measure, every halving starts them anew: one is enough.
@pytest.mark.parametrize(("jobs", "fits"), [(1, 8), (2, 16)])
def test_batches_are_halved_until_they_fit_and_the_report_is_that_of_a_run_at_that_size(runs, settings, jobs, fits):
    hungry(runs, REFUSES.format(most=fits + 1))
    notes = Notes()
    report = analyze(replace(settings, jobs=jobs), notes)
    assert [note for note in report.notes if "Batches of 32" in note and f"in batches of {fits}" in note]
    assert any("batches of 32 do not fit into memory (4.0 MiB" in note and "16" in note for note in notes.said)
    assert any("batches of 16 do not fit" in note for note in notes.said) == (fits < 16)
    assert not [note for note in notes.said if "process died" in note]
    at_that_size = analyze(replace(settings, batch_size=fits))
    assert content(report) == content(at_that_size)
    assert content(report) != content(analyze(replace(settings, batch_size=4)))  # it draws numbers batch by batch
    assert not [note for note in at_that_size.notes if "memory" in note]


def test_few_samples_are_not_halved_from_a_size_that_no_batch_has(runs, settings):
    hungry(runs, REFUSES.format(most=3))
    notes = Notes()
    analyze(replace(settings, samples=6, batch_size=1000), notes)
    assert [note.rpartition(" ")[2] for note in notes.said] == ["3"]


def test_where_not_even_one_sample_fits_it_is_the_users_error(runs, settings):
    hungry(runs, REFUSES.format(most=0))
    ended = runs.child(arguments=runs.arguments("--no-cache"))
    assert ended.code == 2
    assert "error[out-of-memory]: not even one sample fits into memory" in ended.said
    assert "batches of 32 and halves of that down to 1 were tried; 4.0 MiB more were asked for at once" in ended.said
    assert runs.output.read_text() == BEFORE


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
def test_a_limit_on_memory_halves_the_batches(runs):
    hungry(runs, TAKES)

    def limited():
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + 1_600_000_000
        resource.setrlimit(resource.RLIMIT_AS, (most, most))

    ended = runs.child(limited, runs.arguments("--no-cache"))
    assert ended.code == 0, ended.said
    assert "batches of 32 do not fit into memory" in ended.said
    assert "the samples ran in batches of" in runs.output.read_text()


def test_memory_that_training_lacks_is_the_users_error(runs, settings):
    def prepare():
        def curve(self, *arguments, **named):
            torch.empty(10**15)

        runs_of_training.Bench.curve = curve

    data = runs.folder / "x.npz"
    np.savez(data, x=np.load(data)["x"], y=np.arange(64) % 3)
    trained = ["--loss", "cross_entropy", "--target", "y", "--lr", "0.1", "--no-cache"]
    ended = runs.child(prepare, runs.arguments(*trained))
    assert ended.code == 2, ended.said
    assert "error[out-of-memory]" in ended.said
    assert runs.output.read_text() == BEFORE


def torch_lacks():
    torch.empty(10**15)


def numpy_lacks():
    np.empty(10**15)


def python_lacks():
    bytearray(2**62)


def onnxruntime_lacks():
    node = helper.make_node("Expand", ["x", "s"], ["y"])
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])]
    inputs.append(helper.make_tensor_value_info("s", TensorProto.INT64, [2]))
    graph = helper.make_graph([node], "g", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    session.run(None, {"x": np.ones(1, np.float32), "s": np.array([10**7, 10**8])})


@pytest.mark.parametrize("lacks", [torch_lacks, numpy_lacks, python_lacks, onnxruntime_lacks])
def test_every_allocator_is_understood(lacks):
    with pytest.raises(Exception) as caught:  # noqa: PT011 each has its own
        lacks()
    wrapped = UsageError("model-failed", "the model raised")
    wrapped.__cause__ = caught.value
    assert memory_error(wrapped) is caught.value
    if lacks is not python_lacks:
        assert "iB more were asked for at once" in what_was_needed(caught.value)


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), ValueError("bad"), KeyError("memory")])
def test_other_errors_are_not_taken_for_it(error):
    assert memory_error(error) is None


def test_cuda_is_understood():
    said = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB"
    lacking = memory_error(torch.OutOfMemoryError(said))
    assert lacking is not None
    assert what_was_needed(lacking) == "2.00 GiB more were asked for at once"


def test_an_onnx_model_that_lacks_memory_is_halved_too(tmp_path, monkeypatch):
    from covscan.capture.onnx_session import Session

    torch.manual_seed(0)
    weights = [helper.make_tensor("w", TensorProto.FLOAT, [6, 4], torch.randn(24).tolist())]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="fc"),
        helper.make_node("Relu", ["h"], ["y"], name="act"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 6])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "a.onnx")
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32))
    settings = Settings(checkpoints=(str(tmp_path / "a.onnx"),), data=str(tmp_path / "x.npz"), cache=False)
    truth = content(analyze(replace(settings, batch_size=8)))
    original = Session.run

    def run(self, outputs, feeds, *, where):
        if len(feeds["x"]) > 8:
            try:
                onnxruntime_lacks()
            except Exception as error:
                raise UsageError("model-failed", f"failed on {where}") from error
        return original(self, outputs, feeds, where=where)

    monkeypatch.setattr(Session, "run", run)
    report = analyze(settings)
    assert any("in batches of 8" in note for note in report.notes)
    assert content(report) == truth


def test_the_error_crosses_processes():
    import pickle

    error = OutOfMemory("out-of-memory", "no", found="4 GiB", hint="less")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.args) == (OutOfMemory, str(error), error.args)
