"""Sites, layouts and values of layers, against numpy and the reference evaluator of the onnx package."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto
from onnx_testing import batch, info, module, node, normal, oracle, rows_of, run, save, site

from covscan.capture.onnx_session import tapped_model
from covscan.capture.types import Layout, SiteKey


def _mlp(path, seed=0, *, inputs=(("x", ["N", 8]),)):
    return save(
        path,
        [
            node("Gemm", ["x", "w0", "b0"], ["fc0"], transB=1),
            node("Relu", ["fc0"], ["act0"]),
            node("MatMul", ["act0", "w1"], ["raw"]),
            node("Add", ["b1", "raw"], ["fc1"]),
            node("Tanh", ["fc1"], ["act1"]),
            node("Transpose", ["w2"], ["w2t"], perm=[1, 0]),
            node("MatMul", ["act1", "w2t"], ["y"]),
        ],
        inputs,
        [("y", ["N", 3])],
        {
            "w0": normal(6, 8, seed=seed),
            "b0": normal(6, seed=seed + 1),
            "w1": normal(6, 5, seed=seed + 2),
            "b1": normal(5, seed=seed + 3),
            "w2": normal(3, 5, seed=seed + 4),
        },
    )


def test_an_mlp_is_read_like_numpy_computes_it(tmp_path):
    x = normal(11, 8, seed=9)
    found = run(_mlp(tmp_path / "m.onnx"), [batch(x[:4]), batch(x[4:7], start=4), batch(x[7:], start=7)])
    hidden = x @ normal(6, 8).T + normal(6, seed=1)
    second = np.maximum(hidden, 0) @ normal(6, 5, seed=2) + normal(5, seed=3)
    expected = {
        "x": x,
        "fc0": hidden,
        "act0": np.maximum(hidden, 0),
        "fc1": second,
        "act1": np.tanh(second),
        "y": np.tanh(second) @ normal(3, 5, seed=4).T,
    }
    assert {key.site for key in found.seen.parts} == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found.seen.values(name), value, rtol=1e-4, atol=1e-5)
    rows, last = found.seen.parts[SiteKey("fc1", "output")][2]
    assert last.index.tolist() == [7, 8, 9, 10]
    assert rows.sample.tolist() == [0, 1, 2, 3]


def test_modules_stand_in_order_with_types_parameters_and_biases(tmp_path):
    network = run(_mlp(tmp_path / "m.onnx"), [batch(normal(3, 8))]).network
    assert [(m.name, m.type, m.role, m.has_bias, m.parameters) for m in network.modules] == [
        ("fc0", "Gemm", "layer", True, ("w0", "b0")),
        ("act0", "Relu", "activation", False, ()),
        ("fc1", "MatMul", "layer", True, ("w1", "b1")),
        ("act1", "Tanh", "activation", False, ()),
        ("y", "MatMul", "layer", False, ("w2",)),
    ]
    assert [m.depth for m in network.modules] == [0, 1, 2, 3, 4]
    assert module(network, "fc0").inputs == (SiteKey("x", "input"),)
    assert module(network, "fc1").inputs == (SiteKey("act0", "output"),)
    assert network.parameters == 48 + 6 + 30 + 5 + 15
    assert site(network, "fc1").shape == ("N", 5)


def test_a_sigmoid_marks_where_it_is_flat_before_and_behind(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [node("MatMul", ["x", "w"], ["z"]), node("Sigmoid", ["z"], ["y"])],
        [("x", ["N", 4])],
        [("y", ["N", 4])],
        {"w": normal(4, 4)},
    )
    network = run(path, [batch(normal(3, 4))]).network
    assert site(network, "z").saturation.high == 4.0
    assert site(network, "y").saturation.low == pytest.approx(1 / (1 + np.exp(4)))


def _convnet(path, *, dims=("N", 3, "H", "W")):
    return save(
        path,
        [
            node("Conv", ["x", "k0"], ["conv0"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            node("BatchNormalization", ["conv0", "g", "b", "m", "v"], ["bn0"], momentum=0.9, epsilon=1e-3),
            node("Clip", ["bn0", "low", "high"], ["act0"]),
            node("Conv", ["act0", "k1"], ["raw1"], kernel_shape=[1, 1]),
            node("Add", ["raw1", "c1"], ["conv1"]),
            node("Add", ["conv1", "act0"], ["sum"]),
            node("ConvTranspose", ["sum", "k2", "c2"], ["up"], kernel_shape=[2, 2], strides=[2, 2]),
            node("LeakyRelu", ["up"], ["act2"]),
            node("GlobalAveragePool", ["act2"], ["pooled"]),
            node("Flatten", ["pooled"], ["flat"]),
            node("Gemm", ["flat", "w", "c"], ["y"]),
        ],
        [("x", list(dims))],
        [("y", ["N", 2])],
        {
            "k0": normal(5, 3, 3, 3),
            "g": normal(5, seed=1),
            "b": normal(5, seed=2),
            "m": normal(5, seed=3),
            "v": np.abs(normal(5, seed=4)) + 0.1,
            "low": np.float32(0),
            "high": np.float32(6),
            "k1": normal(5, 5, 1, 1, seed=5),
            "c1": normal(1, 5, 1, 1, seed=6),
            "k2": normal(5, 4, 2, 2, seed=7),
            "c2": normal(4, seed=8),
            "w": normal(4, 2, seed=9),
            "c": normal(2, seed=10),
        },
    )


def test_a_conv_net_is_read_like_the_reference_evaluator_computes_it(tmp_path):
    path = _convnet(tmp_path / "m.onnx")
    x = normal(5, 3, 6, 7, seed=11)
    found = run(path, [batch(x[:3]), batch(x[3:], start=3)])
    names = ["conv0", "bn0", "act0", "conv1", "sum", "up", "act2", "flat", "y"]
    expected = oracle(path, names, {"x": x}) | {"x": x}
    assert {key.site for key in found.seen.parts} == {*names, "x"}
    for name, value in expected.items():
        np.testing.assert_allclose(found.seen.values(name), rows_of(value, 1), rtol=1e-4, atol=1e-5)
    roles = {m.name: (m.type, m.role, m.has_bias) for m in found.network.modules}
    assert roles["bn0"] == ("BatchNormalization", "norm", True)
    assert roles["act0"] == ("Clip", "activation", False)
    assert roles["conv1"] == ("Conv", "layer", True)
    assert roles["conv0"] == ("Conv", "layer", False)
    assert roles["sum"] == ("Add", "block", False)
    assert all(each.layout == Layout(1) for each in found.network.sites)
    assert site(found.network, "up").shape == ("N", 4, 12, 14)
    assert module(found.network, "sum").inputs == (SiteKey("conv1", "output"), SiteKey("act0", "output"))


def test_the_users_file_and_its_outputs_are_left_as_they_are(tmp_path):
    path = _convnet(tmp_path / "m.onnx")
    before = path.read_bytes()
    x = normal(2, 3, 6, 6)
    run(path, [batch(x)], references=())
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["m.onnx"]
    model = onnx.load(path)
    augmented = tapped_model(model, ["conv0", "sum", "act2"])
    plain = onnxruntime.InferenceSession(before).run(None, {"x": x})[0]
    tapped = onnxruntime.InferenceSession(augmented.SerializeToString()).run(["y"], {"x": x})[0]
    np.testing.assert_allclose(tapped, plain, atol=1e-5)
    assert [each.name for each in model.graph.output] == ["y"]


def test_recurrent_outputs_know_their_sample_axis(tmp_path):
    size, steps, hidden = 4, 6, 3
    path = save(
        tmp_path / "m.onnx",
        [
            node("Transpose", ["x"], ["seq"], perm=[1, 0, 2]),
            node("LSTM", ["seq", "w", "r", "b"], ["out", "last"], hidden_size=hidden),
        ],
        [("x", ["N", steps, size])],
        [("out", None), ("last", None)],
        {"w": normal(1, 12, size), "r": normal(1, 12, hidden), "b": normal(1, 24)},
    )
    x = normal(5, steps, size, seed=3)
    found = run(path, [batch(x)])
    assert site(found.network, "out").layout == Layout(3, 2)
    assert site(found.network, "out").shape == (steps, 1, "N", hidden)
    value = onnxruntime.InferenceSession(path.read_bytes()).run(["out"], {"x": x})[0]
    np.testing.assert_allclose(found.seen.values("out"), rows_of(value, 3, 2), atol=1e-6)
    assert site(found.network, "seq").layout == Layout(2, 1)
    np.testing.assert_array_equal(found.seen.values("seq"), x.reshape(-1, size))


def test_the_last_state_of_a_recurrent_layer_is_its_output_where_nobody_reads_the_rest(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [
            node("Transpose", ["x"], ["seq"], perm=[1, 0, 2]),
            node("GRU", ["seq", "w", "r"], ["", "last"], hidden_size=3),
            node("Squeeze", ["last", "zero"], ["state"]),
            node("Gemm", ["state", "o"], ["y"]),
        ],
        [("x", ["N", "T", 4])],
        [("y", None)],
        {"w": normal(1, 9, 4), "r": normal(1, 9, 3), "zero": np.array([0]), "o": normal(3, 2)},
    )
    network = run(path, [batch(normal(5, 6, 4))]).network
    assert site(network, "last").shape == (1, "N", 3)
    assert site(network, "state").layout == Layout(1)
    assert module(network, "last").has_bias is False


def test_embeddings_have_channels_last_and_no_input_site(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [node("Gather", ["table", "ids"], ["tokens"]), node("MatMul", ["tokens", "w"], ["y"])],
        [("ids", ["N", "T"], TensorProto.INT64)],
        [("y", None)],
        {"table": normal(20, 6), "w": normal(6, 4)},
    )
    ids = np.arange(12).reshape(3, 4)
    found = run(path, [batch(ids)])
    assert [each.key for each in found.network.sites] == [SiteKey("tokens", "output"), SiteKey("y", "output")]
    np.testing.assert_array_equal(found.seen.values("tokens"), normal(20, 6)[ids].reshape(-1, 6))
    assert found.network.skipped == ()


def test_weights_to_the_left_have_their_channels_before_the_last_axis(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [node("MatMul", ["w", "x"], ["y"])],
        [("x", ["N", 5, "T"])],
        [("y", None)],
        {"w": normal(7, 5)},
    )
    x = normal(3, 5, 9)
    found = run(path, [batch(x)])
    assert site(found.network, "y").layout == Layout(1)
    np.testing.assert_allclose(found.seen.values("y"), rows_of(normal(7, 5) @ x, 1), atol=1e-5)
    assert site(found.network, "x").layout == Layout(1)


def test_channels_are_followed_through_transposes_reshapes_and_slices(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [
            node("Conv", ["x", "k"], ["conv"], kernel_shape=[2, 2], strides=[2, 2]),
            node("Reshape", ["conv", "flat"], ["rows"]),
            node("Relu", ["rows"], ["act"]),
            node("Transpose", ["act"], ["tokens"], perm=[0, 2, 1]),
            node("Sigmoid", ["tokens"], ["gate"]),
            node("Unsqueeze", ["gate", "one"], ["wide"]),
            node("Tanh", ["wide"], ["wider"]),
            node("Squeeze", ["wider", "one"], ["narrow"]),
            node("Elu", ["narrow"], ["narrower"]),
            node("Gather", ["narrower", "zero"], ["first"], axis=1),
            node("Softplus", ["first"], ["y"]),
            node("ReduceMean", ["narrower"], ["mean"], axes=[1], keepdims=0),
            node("Selu", ["mean"], ["z"]),
        ],
        [("x", ["N", 3, 8, 8])],
        [("y", None), ("z", None)],
        {"k": normal(5, 3, 2, 2), "flat": np.array([0, 5, -1]), "one": np.array([1]), "zero": np.int64(0)},
    )
    network = run(path, [batch(normal(2, 3, 8, 8))]).network
    axes = {each.key.site: each.layout.channel_axis for each in network.sites}
    assert axes == {
        "x": 1,
        "conv": 1,
        "rows": 1,
        "act": 1,
        "tokens": 2,
        "gate": 2,
        "wide": 3,
        "wider": 3,
        "narrow": 2,
        "narrower": 2,
        "first": 1,
        "y": 1,
        "mean": 1,
        "z": 1,
    }
    assert all(each.channels == 5 for each in network.sites if each.key.site != "x")


def test_windows_folded_into_the_batch_belong_to_their_sample(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [node("Reshape", ["x", "windows"], ["folded"]), node("MatMul", ["folded", "w"], ["y"])],
        [("x", ["N", 12, 4])],
        [("y", None)],
        {"windows": np.array([-1, 3, 4]), "w": normal(4, 2)},
    )
    x = normal(3, 12, 4)
    found = run(path, [batch(x)])
    assert site(found.network, "y").layout == Layout(2, 0, folded=4)
    rows, _ = found.seen.parts[SiteKey("y", "output")][0]
    assert rows.sample.tolist() == [0] * 12 + [1] * 12 + [2] * 12
    np.testing.assert_allclose(rows.values, (x @ normal(4, 2)).reshape(-1, 2), atol=1e-5)


def test_one_tensor_is_measured_once_whatever_its_names(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [
            node("MatMul", ["x", "w"], ["a"]),
            node("Identity", ["a"], ["b"]),
            node("MatMul", ["b", "w"], ["c"]),
            node("Relu", ["b"], ["d"]),
            node("Add", ["c", "d"], ["y"]),
        ],
        [("x", ["N", 4])],
        [("y", None)],
        {"w": normal(4, 4)},
    )
    network = run(path, [batch(normal(3, 4))]).network
    assert [each.key.site for each in network.sites] == ["x", "a", "c", "d", "y"]
    assert module(network, "c").inputs == (SiteKey("a", "output"),)


def test_what_cannot_be_read_is_skipped_with_its_reason(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [
            node("MatMul", ["x", "w"], ["h"]),
            node("ReduceMean", ["h"], ["scalar"], axes=[0, 1], keepdims=0),
            node("Sigmoid", ["scalar"], ["level"]),
            node("ReduceMean", ["h"], ["pooled"], axes=[0], keepdims=1),
            node("Tanh", ["pooled"], ["overall"]),
            node("Cast", ["h"], ["whole"], to=TensorProto.INT32),
            node("Relu", ["whole"], ["clipped"]),
            node("QuantizeLinear", ["h", "scale", "zero"], ["q"]),
            node("DequantizeLinear", ["q", "scale", "zero"], ["dq"]),
            node("MatMul", ["dq", "w"], ["y"]),
        ],
        [("x", ["N", 4])],
        [("y", None), ("level", None), ("overall", None), ("clipped", None, 6)],
        {"w": normal(4, 4), "scale": np.float32(0.1), "zero": np.uint8(128)},
    )
    network = run(path, [batch(normal(3, 4))]).network
    reasons = {skip.site: skip.reason for skip in network.skipped}
    assert reasons["level"] == "shape () has no separate sample and channel axes"
    assert reasons["overall"] == "shape (1, 4) has no axis that grows with the number of samples"
    assert reasons["clipped"] == "int32 values"
    assert reasons["q"] == "QuantizeLinear works on quantized integers"
    assert {each.key.site for each in network.sites} == {"x", "h", "dq", "y"}


def test_dropout_is_a_module_with_its_probability_and_training_mode_is_noted(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [
            node("Gemm", ["x", "w"], ["h"]),
            node("Dropout", ["h", "p"], ["d"]),
            node("Dropout", ["d", "p", "on"], ["e"]),
            node("Gemm", ["e", "w"], ["y"]),
        ],
        [("x", ["N", 4])],
        [("y", None)],
        {"w": normal(4, 4), "p": np.float32(0.3), "on": np.array(True)},
    )
    network = run(path, [batch(normal(3, 4))]).network
    assert module(network, "d").dropout == pytest.approx(0.3)
    assert any("training mode" in note for note in network.notes)
    assert module(network, "y").inputs == (SiteKey("h", "output"),)


def test_convolutions_without_batchnorm_are_noted(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [node("Conv", ["x", "k"], ["y"])],
        [("x", ["N", 3, 4, 4])],
        [("y", None)],
        {"k": normal(2, 3, 3, 3)},
        opset=11,
    )
    notes = run(path, [batch(normal(2, 3, 4, 4))]).network.notes
    assert len(notes) == 1
    assert "BatchNorm may have been folded" in notes[0]
    assert run(_convnet(tmp_path / "c.onnx"), [batch(normal(2, 3, 6, 6))]).network.notes == ()


def test_weights_in_constant_nodes_of_every_form_are_weights(tmp_path):
    def constant(name, **attribute):
        return node("Constant", [], [name], **attribute)

    path = save(
        tmp_path / "m.onnx",
        [
            constant("w", value=onnx.numpy_helper.from_array(normal(3, 2))),
            constant("b", value_floats=[1.0, 2.0]),
            constant("half", value_float=0.5),
            constant("shape", value_ints=[-1, 2]),
            constant("axis", value_int=1),
            constant("name", value_string=b"unused"),
            node("MatMul", ["x", "w"], ["raw"]),
            node("Add", ["raw", "b"], ["h"]),
            node("Mul", ["h", "half"], ["s"]),
            node("Reshape", ["s", "shape"], ["y"]),
        ],
        [("x", ["N", 3])],
        [("y", None)],
        {},
    )
    found = run(path, [batch(normal(4, 3, seed=5))])
    assert module(found.network, "h").parameters == ("w", "b")
    assert found.network.parameters == 8
    np.testing.assert_allclose(found.seen.values("h"), normal(4, 3, seed=5) @ normal(3, 2) + [1, 2], atol=1e-5)


def test_initializers_that_old_files_list_among_the_inputs_need_no_data(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [node("MatMul", ["x", "w"], ["y"])],
        [("x", ["N", 3]), ("w", [3, 2])],
        [("y", None)],
        {"w": normal(3, 2)},
        opset=9,
        ir=3,
    )
    assert [each.key.site for each in run(path, [batch(normal(2, 3))]).network.sites] == ["x", "y"]


def test_half_precision_becomes_single(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [node("MatMul", ["x", "w"], ["h"]), node("Relu", ["h"], ["y"])],
        [("x", ["N", 4], TensorProto.FLOAT16)],
        [("y", None, TensorProto.FLOAT16)],
        {"w": normal(4, 3).astype(np.float16)},
    )
    found = run(path, [batch(normal(5, 4, seed=2))])
    assert found.seen.values("h").dtype == np.float32
    np.testing.assert_allclose(found.seen.values("h"), normal(5, 4, seed=2) @ normal(4, 3), atol=2e-2)


def test_position_limits_choose_the_same_rows_as_reading_everything(tmp_path):
    from covscan.config import Settings

    path = _convnet(tmp_path / "m.onnx")
    x = normal(4, 3, 8, 8)
    few = run(path, [batch(x)], settings=Settings(positions=5))
    rows, _ = few.seen.parts[SiteKey("conv0", "output")][0]
    whole = oracle(path, ["conv0"], {"x": x})["conv0"].reshape(4, 5, -1)
    assert len(rows.values) == 20
    np.testing.assert_allclose(rows.values, whole[rows.sample, :, rows.position], atol=1e-4)


def test_outputs_of_value_infos_without_types_are_accepted_next_to_typed_ones():
    graph = onnx.helper.make_graph([node("Relu", ["x"], ["y"])], "g", [info("x", ["N"])], [info("y", ["N"])])
    model = tapped_model(onnx.helper.make_model(graph), ["y"])
    assert [each.name for each in model.graph.output] == ["y"]
