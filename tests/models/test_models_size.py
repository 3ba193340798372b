"""A network that comes with its architecture and is bigger than memory is refused with the size it needs."""

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper, save_model
from torch import nn

from covscan.config import Settings
from covscan.errors import UsageError
from covscan.models import open_source


def _memory(monkeypatch, size):
    monkeypatch.setattr("covscan.memory.free", lambda: size)


def _onnx(path, *, external):
    weight = numpy_helper.from_array(np.ones((64, 64), np.float32), "w")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 64]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save_model(model, path, save_as_external_data=external, location="w.data", size_threshold=0)


def _saved(folder, kind):
    net, path = nn.Linear(64, 64), folder / f"net.{kind.partition('-')[0]}"
    if kind == "ts":
        torch.jit.script(net).save(path)
    elif kind == "pt2":
        torch.export.save(torch.export.export(net, (torch.ones(2, 64),)), path)
    else:
        _onnx(path, external=kind.endswith("external"))
    return path


pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


@pytest.mark.parametrize("kind", ["ts", "pt2", "onnx-inside", "onnx-external"])
def test_it_is_refused_before_it_is_opened(tmp_path, monkeypatch, kind):
    path = _saved(tmp_path, kind)
    _memory(monkeypatch, 16_000 if kind != "onnx-inside" else 16_300)
    with pytest.raises(UsageError, match=r"needs 1\d\.\d kB of memory|needs 2\d\.\d kB of memory") as caught:
        open_source(Settings(checkpoints=(str(path),)))
    assert caught.value.code == "too-large"
    assert "are free" in caught.value.found


def test_the_largest_checkpoint_of_a_series_decides(tmp_path, monkeypatch):
    for width in (8, 64):
        torch.jit.script(nn.Linear(width, width)).save(tmp_path / f"net-{width}.ts")
    _memory(monkeypatch, 16_000)
    with pytest.raises(UsageError, match=r"net-64\.ts"):
        open_source(Settings(checkpoints=(str(tmp_path / "net-8.ts"), str(tmp_path / "net-64.ts"))))
