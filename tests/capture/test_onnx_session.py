"""Running an ONNX graph: values are read where they were computed, weights where they are written."""

import gc

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from covscan.capture.onnx_session import open_session, tapped_model
from covscan.capture.onnx_weights import LentWeights
from covscan.errors import UsageError
from covscan.models.onnx_wire import without_numbers

TYPES = {
    "float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE, "float16": TensorProto.FLOAT16,
    "int8": TensorProto.INT8, "uint8": TensorProto.UINT8, "int64": TensorProto.INT64, "bool": TensorProto.BOOL,
}  # fmt: skip


def _model(nodes, inputs, outputs, tensors=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(tensors))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _passing(kind, shape=None):
    """A graph that hands on what it is fed, by way of one inner value."""
    nodes = [helper.make_node("Identity", ["x"], ["h"]), helper.make_node("Identity", ["h"], ["y"])]
    value = [helper.make_tensor_value_info(name, kind, shape) for name in ("x", "y")]
    return _model(nodes, value[:1], value[1:])


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(3, 4), (), (0, 2), (1,)])
def test_values_of_every_type_and_shape_come_as_they_are(tmp_path, dtype, shape):
    fed = (np.arange(np.prod(shape, dtype=int)) % 2).reshape(shape).astype(dtype)
    session = open_session(_passing(TYPES[dtype], shape), tmp_path / "m.onnx", ["h"])
    given = session.run(["h", "y"], {"x": fed}, where="a test")
    for name in ("h", "y"):
        assert given[name].dtype == fed.dtype
        np.testing.assert_array_equal(given[name], fed)


def test_arrays_that_do_not_lie_row_by_row_are_fed_as_they_read(tmp_path):
    session = open_session(_passing(TensorProto.FLOAT, ["a", "b"]), tmp_path / "m.onnx")
    fed = np.arange(12, dtype=np.float32).reshape(3, 4)
    for view in (fed.T, fed[:, ::2], fed[::-1]):
        np.testing.assert_array_equal(session.run(["y"], {"x": view}, where="a test")["y"], view)


def test_values_outlive_the_session_and_later_runs(tmp_path):
    session = open_session(_passing(TensorProto.FLOAT, ["n"]), tmp_path / "m.onnx", ["h"])
    kept = [session.run(["h"], {"x": np.full(50_000, each, np.float32)}, where="a test")["h"] for each in range(4)]
    views = [array[::7] for array in kept]
    del session, kept
    gc.collect()
    for each, view in enumerate(views):
        assert (view == each).all()
        assert view.flags.writeable


def test_texts_and_sequences_go_the_way_that_knows_them(tmp_path):
    texts = open_session(_passing(TensorProto.STRING, ["n"]), tmp_path / "m.onnx", ["h"])
    fed = np.array(["one", "two"], dtype=object)
    assert texts.run(["h"], {"x": fed}, where="a test")["h"].tolist() == ["one", "two"]
    split = [helper.make_node("SplitToSequence", ["x"], ["parts"], axis=0)]
    parts = helper.make_tensor_sequence_value_info("parts", TensorProto.FLOAT, None)
    model = _model(split, [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])], [parts])
    given = open_session(model, tmp_path / "m.onnx").run(
        ["parts"], {"x": np.eye(2, 3, dtype=np.float32)}, where="a test"
    )
    np.testing.assert_array_equal(np.stack(given["parts"]), np.eye(2, 3)[:, None])


def test_a_failing_run_says_what_it_was_fed(tmp_path):
    session = open_session(_passing(TensorProto.FLOAT, [2, 2]), tmp_path / "m.onnx")
    with pytest.raises(UsageError, match="failed on the third batch") as caught:
        session.run(["y"], {"x": np.ones((2, 3), np.float32)}, where="the third batch")
    assert "'x' float32[2, 3]" in caught.value.found


def _weighted(dtype=np.float32):
    weight = np.random.default_rng(0).normal(size=(64, 32)).astype(dtype)
    tensors = [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(np.array([0, 32]), "sizes")]
    kind = TensorProto.FLOAT if dtype is np.float32 else TensorProto.DOUBLE
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Reshape", ["h", "sizes"], ["y"])]
    ends = [helper.make_tensor_value_info("x", kind, ["n", 64]), helper.make_tensor_value_info("y", kind, ["n", 32])]
    model = _model(nodes, ends[:1], ends[1:], tensors)
    model.metadata_props.add(key="step", value="7")
    return model, weight


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_weights_are_not_written_again(tmp_path, dtype):
    model, weight = _weighted(dtype)
    before = model.SerializeToString()
    weights = LentWeights(model, tmp_path)
    lean = weights.lean
    assert list(weights._copied) == ["w"]
    np.testing.assert_array_equal(weights._copied["w"], weight)
    assert len(lean.SerializeToString()) < len(before) - weight.nbytes + 100
    assert [tensor.name for tensor in lean.graph.initializer] == ["w", "sizes"]
    assert lean.graph.initializer[1] == model.graph.initializer[1]
    rest = onnx.ModelProto()
    rest.CopyFrom(model)
    for each in (lean, rest):
        del each.graph.initializer[:]
    assert lean == rest
    assert model.SerializeToString() == before


def test_a_session_without_its_weights_computes_what_the_whole_model_does(tmp_path):
    model, _ = _weighted()
    fed = {"x": np.random.default_rng(1).normal(size=(5, 64)).astype(np.float32)}
    whole = onnxruntime.InferenceSession(tapped_model(model, ["h"]).SerializeToString()).run(["h", "y"], fed)
    given = open_session(model, tmp_path / "m.onnx", ["h"]).run(["h", "y"], fed, where="a test")
    for name, expected in zip(("h", "y"), whole, strict=True):
        np.testing.assert_array_equal(given[name], expected)


@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize("place", range(8))
def test_weights_are_used_where_they_lie_in_the_file(tmp_path, place, once):
    model, _ = _weighted()
    model.producer_name = "p" * place  # by which the numbers start between two multiples of four, or at one
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    lean = onnx.ModelProto.FromString(without_numbers(path))
    weights = LentWeights(lean, tmp_path)
    offset = int({entry.key: entry.value for entry in lean.graph.initializer[0].external_data}["offset"])
    assert list(weights._used) == (["w"] if offset % 4 else [])
    assert not weights._copied
    fed = {"x": np.random.default_rng(1).normal(size=(5, 64)).astype(np.float32)}
    whole = onnxruntime.InferenceSession(tapped_model(model, ["h"]).SerializeToString()).run(["h", "y"], fed)
    session = open_session(lean, path, ["h"], once=once)
    del weights
    gc.collect()
    given = session.run(["h", "y"], fed, where="a test")
    for name, expected in zip(("h", "y"), whole, strict=True):
        np.testing.assert_allclose(given[name], expected, rtol=1e-6 if once else 0)


def test_weights_that_were_read_serve_further_sessions(tmp_path):
    model, weight = _weighted()
    path = next(
        path
        for place in range(8)
        if (path := _written(tmp_path / f"{place}.onnx", model, "p" * place))
        and LentWeights(_lean(path), tmp_path)._used
    )
    read: dict[str, np.ndarray] = {}
    first, second = (LentWeights(_lean(path), tmp_path, read) for _ in range(2))
    assert first._used["w"] is second._used["w"]
    np.testing.assert_array_equal(read["w"], weight)
    fed = {"x": np.random.default_rng(1).normal(size=(5, 64)).astype(np.float32)}
    whole = onnxruntime.InferenceSession(model.SerializeToString()).run(["y"], fed)
    given = open_session(_lean(path), path, read=read).run(["y"], fed, where="a test")
    np.testing.assert_array_equal(given["y"], whole[0])


def _written(path, model, producer):
    model.producer_name = producer
    path.write_bytes(model.SerializeToString())
    return path


def _lean(path):
    return onnx.ModelProto.FromString(without_numbers(path))


def test_weights_of_a_model_behind_a_link_are_read(tmp_path):
    model, _ = _weighted()
    for name in ("blobs", "shown"):
        (tmp_path / name).mkdir()
    (tmp_path / "blobs" / "1f").write_bytes(model.SerializeToString())
    path = tmp_path / "shown" / "m.onnx"
    path.symlink_to("../blobs/1f")
    lean = onnx.ModelProto.FromString(without_numbers(path))
    assert list(LentWeights(lean, path.parent)._copied) == ["w"]
    fed = {"x": np.random.default_rng(1).normal(size=(5, 64)).astype(np.float32)}
    whole = onnxruntime.InferenceSession(model.SerializeToString()).run(["y"], fed)
    np.testing.assert_array_equal(open_session(lean, path).run(["y"], fed, where="a test")["y"], whole[0])
