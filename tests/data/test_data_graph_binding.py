import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from covscan.data.binding import bind_onnx
from covscan.data.types import Batch
from covscan.errors import UsageError

N = 4
X = np.arange(12, dtype=np.float32).reshape(N, 3)
IDS = np.arange(20).reshape(N, 5)
MASK = np.array([[1, 1, 1, 0, 0]] * N)
Y = np.arange(N)
FLOAT, INT, BOOL = np.dtype(np.float32), np.dtype(np.int64), np.dtype(np.bool_)


def batch(*positional, target=None, mask=None, **named):
    index = np.arange(N, dtype=np.int64)
    return Batch(index=index, block=index, positional=positional, named=named, target=target, mask=mask)


def refused(inputs, data):
    with pytest.raises(UsageError) as caught:
        bind_onnx(inputs, data)
    return caught.value


def test_by_name_and_by_the_name_behind_punctuation():
    inputs = [("input.1", FLOAT, (None, 3)), ("onnx::ids:0", INT, ("n", "t"))]
    bound = bind_onnx(inputs, batch(onnx_ids=IDS, input_1=X))
    assert list(bound.kwargs) == ["input.1", "onnx::ids:0"]
    assert (bound.kwargs["input.1"] == X).all()
    assert (bound.kwargs["onnx::ids:0"] == IDS).all()


def test_labels_are_left_over():
    inputs = [("image", FLOAT, ("n", 3))]
    assert bind_onnx(inputs, batch(pixels=X, label=Y)).unused == ("label",)
    assert bind_onnx(inputs, batch(X, Y)).unused == ("1",)
    assert bind_onnx(inputs, batch(image=X, extra=X, y=Y)).unused == ("extra", "y")


def test_labels_do_not_become_an_initial_state():
    inputs = [("x", FLOAT, ("n", 3)), ("state", FLOAT, (2, "n", 8))]
    for data in (batch(X, Y), batch(audio=X, label=Y), batch(audio=X)):
        bound = bind_onnx(inputs, data)
        assert bound.filled == ("state",)
        assert bound.kwargs["state"].shape == (2, N, 8)
        assert not bound.kwargs["state"].any()


def test_a_recurrent_graph_with_a_sampling_rate():
    inputs = [("input", FLOAT, (None, None)), ("state", FLOAT, (2, None, 128)), ("sr", INT, ())]
    bound = bind_onnx(inputs, batch(audio=X, sr=np.array(16000, np.int32)))
    assert bound.kwargs["sr"].dtype == np.int64
    assert bound.kwargs["sr"].shape == ()
    assert bound.kwargs["state"].shape == (2, N, 128)
    assert (bound.kwargs["input"] == X).all()
    assert bind_onnx(inputs, batch(input=X, sr=np.array([16000.0]))).kwargs["sr"] == 16000
    error = refused(inputs, batch(input=X))
    assert error.code == "unmatched-inputs"
    assert "'sr'" in error.message
    given = batch(input=X, sr=np.array(8000), state=np.ones((2, N, 128), np.float32))
    assert bind_onnx(inputs, given).filled == ()


def test_a_number_for_an_input_with_an_axis():
    assert bind_onnx([("x", FLOAT, (None, 3)), ("sr", INT, (1,))], batch(x=X, sr=np.array(8))).kwargs[
        "sr"
    ].tolist() == [8]
    full = bind_onnx([("x", FLOAT, (None, 3)), ("t", FLOAT, ("n",))], batch(x=X, t=np.array(0.5))).kwargs["t"]
    assert full.tolist() == [0.5] * N


def test_a_text_encoder():
    sizes = ("batch", "sequence")
    inputs = [(name, INT, sizes) for name in ("input_ids", "attention_mask", "token_type_ids", "position_ids")]
    bound = bind_onnx(inputs, batch(IDS, mask=MASK == 1))
    assert (bound.kwargs["attention_mask"] == MASK).all()
    assert bound.kwargs["attention_mask"].dtype == np.int64
    assert not bound.kwargs["token_type_ids"].any()
    assert bound.kwargs["position_ids"].tolist() == [[0, 1, 2, 3, 4]] * N
    assert bound.filled == ("attention_mask", "token_type_ids", "position_ids")
    bound = bind_onnx(inputs, batch(input_ids=IDS))
    assert (bound.kwargs["attention_mask"] == 1).all()
    assert bind_onnx(inputs, batch(input_ids=IDS, attention_mask=MASK)).filled == ("token_type_ids", "position_ids")


def test_positional_text_and_mask_and_labels():
    inputs = [("ids", INT, ("n", "t")), ("mask", INT, ("n", "t"))]
    bound = bind_onnx(inputs, batch(IDS, MASK, Y))
    assert (bound.kwargs["mask"] == MASK).all()
    assert bound.unused == ("2",)


@pytest.mark.parametrize(
    ("array", "dtype", "shape"),
    [
        (X.astype(np.float64), FLOAT, (None, 3)),
        (X, np.dtype(np.float16), (None, 3)),
        (IDS.astype(np.int32), INT, (None, 5)),
        (IDS.astype(np.float32), INT, (None, 5)),
        (IDS.astype(np.uint8), FLOAT, (None, 5)),
        (MASK, BOOL, (None, 5)),
        (MASK == 1, FLOAT, (None, 5)),
        (X.T[:, ::-1].T, FLOAT, (None, 3)),
    ],
)
def test_values_get_the_type_of_the_graph(array, dtype, shape):
    value = bind_onnx([("x", dtype, shape)], batch(array)).kwargs["x"]
    assert value.dtype == dtype
    assert value.flags.c_contiguous
    assert np.allclose(value, array)


@pytest.mark.parametrize(
    ("dtype", "array", "found"),
    [(INT, X + 0.5, "float32 with fractions"), (np.dtype(object), X, ""), (FLOAT, {"a": X}, "the data has a dict")],
)
def test_values_that_do_not_fit(dtype, array, found):
    error = refused([("x", dtype, (None, 3))], batch(array))
    assert (error.code, error.found) == ("bad-input", found)
    assert "'x'" in error.message


def test_what_cannot_be_made_up_is_named():
    known = ("x", FLOAT, ("n", 3))
    for missing in (("lengths", INT, ("n",)), ("h", FLOAT, ("layers", "heads", 3)), ("scale", FLOAT, ())):
        error = refused([known, missing], batch(x=X))
        assert repr(missing[0]) in error.message
    assert refused([("a", FLOAT, (1, 3)), ("b", FLOAT, (1, 3))], batch()).code == "unmatched-inputs"


def test_what_does_not_fit_is_not_given_to_another_input():
    inputs = [("x", FLOAT, ("n", 3)), ("ids", INT, ("n", 5))]
    assert "'ids'" in refused(inputs, batch(X, X)).message
    assert "'ids'" in refused(inputs, batch(X, {"a": IDS})).message
    assert "'ids'" in refused(inputs, batch(X, IDS[:, :4])).message
    assert "'ids'" in refused(inputs, batch(x=X, odd=IDS[:, :4])).message
    assert bind_onnx(inputs, batch(X, IDS)).unused == ()


def test_onnxruntime_takes_the_feed():
    values = [
        helper.make_tensor_value_info("x.1", TensorProto.FLOAT, ["n", 3]),
        helper.make_tensor_value_info("state", TensorProto.FLOAT, ["n", 3]),
        helper.make_tensor_value_info("count", TensorProto.INT64, []),
    ]
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])
    nodes = [
        helper.make_node("Cast", ["count"], ["times"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["x.1", "times"], ["scaled"]),
        helper.make_node("Add", ["scaled", "state"], ["y"]),
    ]
    model = helper.make_model(helper.make_graph(nodes, "g", values, [out]), opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    inputs = [("x.1", FLOAT, ("n", 3)), ("state", FLOAT, ("n", 3)), ("count", INT, ())]
    bound = bind_onnx(inputs, batch(features=X.astype(np.float64), count=np.array([3]), labels=Y))
    assert bound.filled == ("state",)
    assert (session.run(None, bound.kwargs)[0] == 3 * X).all()
