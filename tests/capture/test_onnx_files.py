"""Files: external data, weights, what ONNX Runtime refuses, and what is left behind."""

import mmap

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_testing import Source, batch, checkpoint, everything, info, node, normal, run, save

from covscan.capture.onnx_backend import OnnxBackend
from covscan.capture.onnx_constants import constant_value
from covscan.capture.onnx_graph import index_graph
from covscan.capture.onnx_session import tapped_model
from covscan.errors import UsageError


def _net(path, seed=0):
    return save(
        path,
        [
            node("Transpose", ["w0"], ["w0t"]),
            node("MatMul", ["x", "w0t"], ["raw"]),
            node("Add", ["raw", "b0"], ["h"]),
            node("Gelu", ["h"], ["a"]),
            node("Gemm", ["a", "w1"], ["y"]),
        ],
        [("x", ["N", 6])],
        [("y", None)],
        {"w0": normal(5, 6, seed=seed), "b0": normal(5, seed=seed + 1), "w1": normal(5, 2, seed=seed + 2)},
        opset=20,
        ir=9,
    )


def _external(folder, seed=0, name="m.onnx"):
    folder.mkdir(exist_ok=True)
    path = _net(folder / name, seed)
    onnx.save(onnx.load(path), path, save_as_external_data=True, location=f"{name}.data", size_threshold=0)
    return path


def is_mapped(array):
    """Whether its memory is a file's."""
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap.mmap)


def test_external_data_is_read_where_it_lies_and_nothing_is_left_behind(tmp_path):
    now, then = _external(tmp_path / "b", 0), _external(tmp_path / "a", 10)
    files = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    x = normal(4, 6, seed=5)
    found = run(now, [batch(x)], references=(checkpoint(then, "a"),))
    np.testing.assert_allclose(found.seen.values("h"), x @ normal(5, 6).T + normal(5, seed=1), rtol=1e-4, atol=1e-5)
    _, other = found.seen.replayed("h", "a")
    np.testing.assert_allclose(other, x @ normal(5, 6, seed=10).T + normal(5, seed=11), rtol=1e-4, atol=1e-5)
    weights = found.backend.weights(checkpoint(now))
    assert is_mapped(weights["w0"])
    np.testing.assert_array_equal(weights["w0"], normal(5, 6))
    assert list(weights) == ["w0", "b0", "w1"]
    assert len(weights) == 3
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == files


def test_external_data_behind_a_symbolic_link_is_read(tmp_path):
    path = _external(tmp_path / "cache")
    link = tmp_path / "model" / "m.onnx"
    link.parent.mkdir()
    link.symlink_to(path)
    (link.parent / "m.onnx.data").symlink_to(tmp_path / "cache" / "m.onnx.data")
    x = normal(3, 6)
    found = run(link, [batch(x)])
    np.testing.assert_allclose(found.seen.values("h"), x @ normal(5, 6).T + normal(5, seed=1), rtol=1e-4, atol=1e-5)


def test_the_folder_may_be_relative(tmp_path, monkeypatch):
    from pathlib import Path

    _external(tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    assert run(Path("runs/m.onnx"), [batch(normal(3, 6))]).seen.values("y").shape == (3, 2)


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_lost_external_data_is_an_error_that_names_the_tensor(tmp_path, damage):
    path = _external(tmp_path / "m")
    data = path.with_name("m.onnx.data")
    data.unlink() if damage == "missing" else data.write_bytes(b"1234")
    with pytest.raises(UsageError) as caught:
        run(path, [batch(normal(3, 6))])
    assert caught.value.code == "unreadable-weights"
    assert "'w0'" in caught.value.message
    with pytest.raises(UsageError) as caught:
        OnnxBackend(Source(), everything()).weights(checkpoint(path))["w1"]
    assert caught.value.code == "unreadable-weights"


def test_external_tensors_of_types_without_a_numpy_number_are_left_to_the_runtime(tmp_path):
    half = helper.make_tensor("w", TensorProto.BFLOAT16, [6, 3], normal(6, 3).reshape(-1).tolist())
    graph = helper.make_graph(
        [node("Cast", ["w"], ["wide"], to=1), node("MatMul", ["x", "wide"], ["y"])],
        "g",
        [info("x", ["N", 6])],
        [info("y")],
        [half],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    path = tmp_path / "m.onnx"
    onnx.save(model, path, save_as_external_data=True, location="d", size_threshold=0)
    found = run(path, [batch(normal(4, 6, seed=2))])
    weight = found.backend.weights(checkpoint(path))["w"]
    assert weight.dtype == np.float32
    np.testing.assert_allclose(weight, normal(6, 3), rtol=1e-2)
    np.testing.assert_allclose(found.seen.values("y"), normal(4, 6, seed=2) @ weight, rtol=1e-4, atol=1e-5)


def test_computed_constants_have_their_value(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [
            node("Transpose", ["w"], ["t"]),
            node("Mul", ["t", "two"], ["u"]),
            node("Identity", ["u"], ["v"]),
            node("MatMul", ["x", "v"], ["y"]),
        ],
        [("x", ["N", 4])],
        [("y", None)],
        {"w": normal(3, 4), "two": np.float32(2)},
    )
    graph = index_graph(onnx.load(path), tmp_path)
    np.testing.assert_allclose(constant_value(graph, "v"), normal(3, 4).T * 2)
    assert graph.roots("v") == ("w", "two")
    assert run(path, [batch(normal(3, 4))]).network.modules[0].parameters == ("w",)


def _refused(path):
    with pytest.raises(UsageError) as caught:
        run(path, [batch(normal(3, 4))])
    assert caught.value.code == "unreadable-model"
    assert str(path) in caught.value.message
    return caught.value


def test_operators_that_the_runtime_does_not_know_are_an_error(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [node("Foo", ["x"], ["y"], domain="other")],
        [("x", ["N", 4])],
        [("y", None)],
        {},
        domains=["other"],
    )
    error = _refused(path)
    assert "Foo" in error.found
    assert "custom operators" in error.hint


def test_operator_sets_that_are_too_new_are_an_error(tmp_path):
    path = save(tmp_path / "m.onnx", [node("Relu", ["x"], ["y"])], [("x", ["N", 4])], [("y", None)], {}, opset=999)
    assert "older opset" in _refused(path).hint


def test_ir_versions_that_are_too_new_are_an_error(tmp_path):
    path = save(tmp_path / "m.onnx", [node("Relu", ["x"], ["y"])], [("x", ["N", 4])], [("y", None)], {}, ir=99)
    assert "older opset" in _refused(path).hint


def test_graphs_that_are_wrong_are_an_error(tmp_path):
    path = save(tmp_path / "m.onnx", [node("Relu", ["nowhere"], ["y"])], [("x", ["N", 4])], [("y", None)], {})
    assert "opens the file by itself" in _refused(path).hint


def test_external_weights_are_never_part_of_what_is_serialized(tmp_path):
    model = onnx.load(_external(tmp_path / "m"), load_external_data=False)
    plain = len(model.SerializeToString())
    assert len(tapped_model(model, ["h"]).SerializeToString()) - plain < 10
