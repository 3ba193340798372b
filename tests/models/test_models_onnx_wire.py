"""An ONNX file without its numbers says where they lie, and is read whole where it is not as exporters write it."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from covscan.models import onnx_wire
from covscan.models.onnx_file import _parse
from covscan.models.onnx_wire import LARGE, without_numbers

KINDS = ["float16", "float32", "float64", "int64", "uint8"]
tensors = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 3 * LARGE), st.booleans(), st.integers(0, 9)), max_size=5
)


def _numbers(kind, count, seed=0):
    return np.random.default_rng(seed).integers(0, 100, count).astype(kind)


def _model(weights, **fields):
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"], name="only")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, **fields)


def _filled(path, lean):
    """The model with its numbers read from where it says that they lie, to be compared with the whole one."""
    model = onnx.ModelProto.FromString(lean)
    content = path.read_bytes()
    for tensor in model.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            said = {entry.key: entry.value for entry in tensor.external_data}
            assert said.pop("location") == path.name
            start, length = int(said.pop("offset")), int(said.pop("length"))
            assert not said
            tensor.raw_data = content[start : start + length]
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
    return model


@given(drawn=tensors, doc=st.text(max_size=300))
def test_any_model_is_the_same_with_its_numbers_put_back(tmp_path_factory, drawn, doc):
    path = tmp_path_factory.mktemp("m") / "a.onnx"
    weights = []
    for place, (kind, size, raw, seed) in enumerate(drawn):
        values = _numbers(kind, size // np.dtype(kind).itemsize, seed)
        kept = numpy_helper.from_array(values, f"w{place}")
        if not raw and kind != "float16":
            dtype = helper.np_dtype_to_tensor_dtype(values.dtype)
            kept = helper.make_tensor(f"w{place}", dtype, values.shape, values.tolist())
        weights.append(kept)
    model = _model(weights, doc_string=doc)
    path.write_bytes(model.SerializeToString())
    lean = without_numbers(path)
    moved = [w for w in weights if w.data_type in onnx_wire.MAPPED and len(w.raw_data) >= LARGE]
    assert len(lean) <= path.stat().st_size - sum(len(w.raw_data) - 120 for w in moved)
    assert sum(len(t.raw_data) for t in onnx.ModelProto.FromString(lean).graph.initializer) == sum(
        len(w.raw_data) for w in weights if w not in moved
    )
    assert _filled(path, lean) == model


def _weight(name="w", count=LARGE):
    return numpy_helper.from_array(_numbers("float32", count), name)


def test_numbers_that_lie_elsewhere_already_are_left_there(tmp_path):
    weight = _weight()
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="w.bin")
    model = _model([weight])
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    assert onnx.ModelProto.FromString(without_numbers(tmp_path / "a.onnx")) == model


@pytest.mark.parametrize(
    "unusual", ["two graphs", "two numbers", "a group", "an endless number", "a number in a longer way"]
)
def test_what_exporters_do_not_write_is_left_to_the_parser(tmp_path, unusual):
    one, other = _model([_weight("a")]).SerializeToString(), _model([_weight("b")]).SerializeToString()
    twice = _weight("a").SerializeToString() + TensorProto(raw_data=bytes(4 * LARGE)).SerializeToString()
    merged = _model([TensorProto.FromString(twice)])
    path = tmp_path / "a.onnx"
    if unusual == "two numbers":
        graph = onnx.GraphProto(name="g").SerializeToString() + b"".join(onnx_wire._message(5, [twice]))
        path.write_bytes(onnx.ModelProto(ir_version=8).SerializeToString() + b"".join(onnx_wire._message(7, [graph])))
        found = onnx.ModelProto.FromString(without_numbers(path))
        assert list(found.graph.initializer) == list(merged.graph.initializer)
        return
    path.write_bytes({"two graphs": one + other, "a group": one + b"\xa3\x06\xa4\x06",
                      "a number in a longer way": one + b"\xa0\x06\x80\x00",
                      "an endless number": one + b"\xa0\x06" + b"\x80" * 12}[unusual])  # fmt: skip
    assert without_numbers(path) is None
    if unusual == "two graphs":
        assert [tensor.name for tensor in _parse(path).graph.initializer] == ["a", "b"]


def test_a_file_that_is_cut_anywhere_is_left_to_the_parser(tmp_path):
    whole = _model([_weight(), _weight("v")]).SerializeToString()
    path = tmp_path / "a.onnx"
    for end in (*range(1, 400, 7), *range(len(whole) - 60, len(whole)), len(whole) // 2):
        path.write_bytes(whole[:end])
        lean = without_numbers(path)
        try:
            full = onnx.ModelProto.FromString(whole[:end])
        except Exception:  # noqa: BLE001 - the parser's own error, which the reader tells
            assert lean is None
        else:
            assert lean is None or _filled(path, lean) == full


def test_a_name_that_is_no_text_is_left_to_the_parser(tmp_path):
    model = _model([_weight()])
    path = tmp_path / "a\udcff.onnx"
    path.write_bytes(model.SerializeToString())
    assert without_numbers(path) is None
    assert _parse(path) == model


def test_files_of_very_many_fields_are_left_to_the_parser(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_wire, "_MOST_FIELDS", 40)
    path = tmp_path / "a.onnx"
    for kind, nodes in (("few", 20), ("many", 60)):
        model = _model([_weight()])
        model.graph.node.extend(helper.make_node("Identity", ["x"], [f"n{number}"]) for number in range(nodes))
        path.write_bytes(model.SerializeToString())
        assert (without_numbers(path) is None) is (kind == "many")


def test_a_tensor_of_very_many_fields_is_read_with_its_numbers(tmp_path):
    """Numbers one by one, as no exporter writes them since protobuf packs them."""
    tensor = _weight().SerializeToString() + b"\x08\x00" * 40
    graph = b"".join(onnx_wire._message(5, [tensor]))
    path = tmp_path / "a.onnx"
    path.write_bytes(onnx.ModelProto(ir_version=8).SerializeToString() + b"".join(onnx_wire._message(7, [graph])))
    assert without_numbers(path) == path.read_bytes()
