"""A network bigger than memory is refused with the size it needs, and what is only mapped does not count."""

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper, save_model
from safetensors.torch import save_file
from torch import nn

from covscan.config import Settings
from covscan.errors import UsageError
from covscan.models import open_source

WEIGHTS = 4 * (64 * 64 + 64)
NETS = "from torch import nn\n\ndef build():\n    raise MemoryError('it was built before anybody looked')\n"


def _memory(monkeypatch, size):
    monkeypatch.setattr("covscan.memory.free", lambda: size)
    monkeypatch.setattr("covscan.models.size.free", lambda: size)


def _onnx(path, *, external):
    weight = numpy_helper.from_array(np.ones((64, 64), np.float32), "w")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 64]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save_model(model, path, save_as_external_data=external, location="w.data", size_threshold=0)


def _saved(folder, kind):
    net, path = nn.Linear(64, 64), folder / f"net.{kind.partition('-')[0]}"
    if kind == "pt":
        torch.save(net.state_dict(), path)
    elif kind == "safetensors":
        save_file(net.state_dict(), path)
    elif kind == "ts":
        torch.jit.script(net).save(path)
    elif kind == "pt2":
        torch.export.save(torch.export.export(net, (torch.ones(2, 64),)), path)
    else:
        _onnx(path, external=kind.endswith("external"))
    return path


pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


@pytest.mark.parametrize("kind", ["pt", "safetensors", "ts", "pt2", "onnx-inside", "onnx-external"])
def test_it_is_refused_before_it_is_built(tmp_path, monkeypatch, kind):
    path = _saved(tmp_path, kind)
    (tmp_path / "nets_size.py").write_text(NETS)
    factory = f"{tmp_path / 'nets_size.py'}:build" if kind in {"pt", "safetensors"} else None
    _memory(monkeypatch, 16_000 if kind != "onnx-inside" else 16_300)
    with pytest.raises(UsageError, match=r"needs 1\d\.\d kB of memory|needs 2\d\.\d kB of memory") as caught:
        open_source(Settings(model=factory, checkpoints=(str(path),)))
    assert caught.value.code == "too-large"
    assert "are free" in caught.value.found


def test_what_an_optimizer_keeps_does_not_count(tmp_path, monkeypatch):
    net = nn.Linear(64, 64)
    moments = {name: [value.clone(), value.clone()] for name, value in net.state_dict().items()}
    torch.save({"model": net.state_dict(), "optimizer": {"state": moments}}, tmp_path / "net.pt")
    (tmp_path / "nets_fit.py").write_text("from torch import nn\n\ndef build():\n    return nn.Linear(64, 64)\n")
    settings = Settings(model=f"{tmp_path / 'nets_fit.py'}:build", checkpoints=(str(tmp_path / "net.pt"),))
    assert (tmp_path / "net.pt").stat().st_size > 2 * WEIGHTS
    _memory(monkeypatch, WEIGHTS)
    assert len(open_source(settings).series.checkpoints) == 1
    _memory(monkeypatch, WEIGHTS - 1)
    with pytest.raises(UsageError, match=r"needs 16\.6 kB of memory"):
        open_source(settings)


def test_the_largest_checkpoint_of_a_series_decides(tmp_path, monkeypatch):
    for width in (8, 64):
        torch.jit.script(nn.Linear(width, width)).save(tmp_path / f"net-{width}.ts")
    _memory(monkeypatch, 16_000)
    with pytest.raises(UsageError, match=r"net-64\.ts"):
        open_source(Settings(checkpoints=(str(tmp_path / "net-8.ts"), str(tmp_path / "net-64.ts"))))
