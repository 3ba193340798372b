"""Graphs that look like a layer, an activation or a norm and are none, and values that change on the way."""

import numpy as np
import pytest
from onnx_testing import Recorded, Source, batch, checkpoint, everything, module, node, normal, run, save, site

from covscan.capture.onnx_backend import OnnxBackend
from covscan.capture.onnx_feeding import Chunk
from covscan.capture.onnx_reading import read_rows
from covscan.capture.reading import Reader, UnreadableError
from covscan.capture.types import Layout, Site, SiteKey


def _net(path, nodes, tensors=None, *, inputs=(("x", ["N", 4]),), outputs=("y",), opset=17):
    known = {"w": normal(4, 4), "half": np.float32(0.5), "one": np.float32(1), "row": normal(4), "axes": np.array([-1])}
    return save(path, nodes, inputs, [(name, None) for name in outputs], known | (tensors or {}), opset=opset)


def _types(path, *data):
    return [(m.name, m.type) for m in run(path, [batch(*(data or (normal(3, 4),)))]).network.modules]


def test_a_gate_of_something_else_is_no_activation_of_its_own(tmp_path):
    path = _net(
        tmp_path / "m.onnx",
        [
            node("MatMul", ["x", "w"], ["a"]),
            node("MatMul", ["x", "row2"], ["b"]),
            node("Sigmoid", ["b"], ["gate"]),
            node("Mul", ["a", "gate"], ["y"]),
        ],
        {"row2": normal(4, 4, seed=1)},
    )
    assert _types(path) == [("a", "MatMul"), ("b", "MatMul"), ("gate", "Sigmoid")]


def test_a_tanh_gate_without_a_power_is_no_gelu(tmp_path):
    path = _net(
        tmp_path / "m.onnx",
        [node("Mul", ["x", "half"], ["s"]), node("Tanh", ["s"], ["t"]), node("Mul", ["x", "t"], ["y"])],
    )
    assert _types(path) == [("t", "Tanh")]


def test_a_tanh_of_something_else_is_no_gelu(tmp_path):
    path = _net(
        tmp_path / "m.onnx",
        [node("MatMul", ["x", "w"], ["s"]), node("Tanh", ["s"], ["t"]), node("Mul", ["x", "t"], ["y"])],
    )
    assert _types(path) == [("s", "MatMul"), ("t", "Tanh")]


def test_a_scale_per_channel_behind_a_gelu_is_no_part_of_it(tmp_path):
    path = _net(
        tmp_path / "m.onnx",
        [
            node("Div", ["x", "root"], ["s"]),
            node("Erf", ["s"], ["e"]),
            node("Add", ["one", "e"], ["u"]),
            node("Mul", ["u", "x"], ["p"]),
            node("Mul", ["p", "row"], ["y"]),
        ],
        {"root": np.float32(2**0.5)},
    )
    assert _types(path) == [("p", "Gelu")]


def test_a_softplus_gate_is_mish_only_of_its_own_argument(tmp_path):
    path = _net(
        tmp_path / "m.onnx",
        [
            node("MatMul", ["x", "w"], ["a"]),
            node("Softplus", ["a"], ["s"]),
            node("Tanh", ["s"], ["t"]),
            node("Mul", ["t", "x"], ["y"]),
        ],
    )
    assert _types(path) == [("a", "MatMul"), ("s", "Softplus"), ("t", "Tanh")]


def test_a_clip_with_moving_bounds_is_no_activation(tmp_path):
    path = _net(
        tmp_path / "m.onnx",
        [
            node("ReduceMax", ["x"], ["top"], keepdims=0),
            node("Clip", ["x", "", "top"], ["c"]),
            node("MatMul", ["c", "w"], ["y"]),
        ],
    )
    assert _types(path) == [("y", "MatMul")]


NOT_NORMS = {
    "no-power": [
        node("Abs", ["c"], ["s"]),
        node("ReduceMean", ["s"], ["v"], axes=[-1]),
        node("Add", ["v", "one"], ["e"]),
        node("Sqrt", ["e"], ["r"]),
        node("Div", ["c", "r"], ["y"]),
    ],
    "another-power": [
        node("Pow", ["c", "half"], ["s"]),
        node("ReduceMean", ["s"], ["v"], axes=[-1]),
        node("Add", ["v", "one"], ["e"]),
        node("Sqrt", ["e"], ["r"]),
        node("Div", ["c", "r"], ["y"]),
    ],
    "no-mean": [
        node("Mul", ["c", "c"], ["s"]),
        node("ReduceSum", ["s"], ["v"], keepdims=1),
        node("Sqrt", ["v"], ["r"]),
        node("Div", ["c", "r"], ["y"]),
    ],
    "two-terms": [
        node("Mul", ["c", "c"], ["s"]),
        node("ReduceMean", ["s"], ["v"], axes=[-1]),
        node("Add", ["v", "m"], ["e"]),
        node("Sqrt", ["e"], ["r"]),
        node("Div", ["c", "r"], ["y"]),
    ],
    "another-value": [
        node("Mul", ["c", "c"], ["s"]),
        node("ReduceMean", ["s"], ["v"], axes=[-1]),
        node("Sqrt", ["v"], ["r"]),
        node("Div", ["m", "r"], ["y"]),
    ],
    "no-root": [
        node("Mul", ["c", "c"], ["s"]),
        node("ReduceMean", ["s"], ["v"], axes=[-1]),
        node("Div", ["c", "v"], ["y"]),
    ],
}


@pytest.mark.parametrize("name", NOT_NORMS)
def test_arithmetic_that_is_no_norm(tmp_path, name):
    start = [node("ReduceMean", ["x"], ["m"], axes=[-1]), node("Sub", ["x", "m"], ["c"])]
    path = _net(tmp_path / "m.onnx", [*start, *NOT_NORMS[name]])
    assert "norm" not in {m.role for m in run(path, [batch(normal(3, 4))]).network.modules}


def _written(before, root, *, axes="attribute", after=()):
    reduce = {"attribute": {"axes": [-1]}, "none": {}}[axes]
    return [
        *before,
        node("Pow", ["c", "two"], ["s"]),
        node("ReduceMean", ["s"], ["v"], **reduce),
        node("Add", ["one", "v"], ["e"]),
        *root,
        *after,
    ]


def test_norms_in_their_less_common_spellings(tmp_path):
    two = {"two": np.float32(2), "minus": np.float32(-0.5), "up": np.float32(0.5)}
    minus = [node("Pow", ["e", "minus"], ["r"]), node("Mul", ["r", "c"], ["y"])]
    path = _net(tmp_path / "a.onnx", _written([node("Cast", ["x"], ["c"], to=1)], minus), two)
    assert _types(path) == [("y", "RMSNormalization")]
    up = [node("Pow", ["e", "up"], ["q"]), node("Div", ["one", "q"], ["r"]), node("Mul", ["c", "r"], ["y"])]
    path = _net(tmp_path / "b.onnx", _written([node("Identity", ["x"], ["c"])], up), two)
    assert _types(path) == [("y", "RMSNormalization")]
    doubled = [node("Sqrt", ["e"], ["r"]), node("Div", ["c", "r"], ["n"])]
    path = _net(
        tmp_path / "c.onnx",
        _written([node("Identity", ["x"], ["c"])], doubled, axes="none", after=[node("Mul", ["n", "n"], ["y"])]),
        two,
    )
    assert _types(path) == [("n", "RMSNormalization")]


def test_a_difference_from_another_mean_is_not_centred(tmp_path):
    path = _net(
        tmp_path / "m.onnx",
        _written(
            [node("ReduceMean", ["z"], ["m"], axes=[-1]), node("Sub", ["x", "m"], ["c"])],
            [node("Sqrt", ["e"], ["r"]), node("Div", ["c", "r"], ["y"])],
        ),
        {"two": np.float32(2)},
        inputs=[("x", ["N", 4]), ("z", ["N", 4])],
    )
    network = run(path, [batch(normal(3, 4), normal(3, 4, seed=1))]).network
    assert [(m.name, m.type) for m in network.modules] == [("y", "RMSNormalization")]
    assert module(network, "y").inputs == (SiteKey("c", "input"),)


def test_two_norms_that_share_their_arithmetic_are_told_once(tmp_path):
    root = [node("Sqrt", ["e"], ["r"]), node("Div", ["c", "r"], ["y"]), node("Div", ["c", "r"], ["z"])]
    path = _net(
        tmp_path / "m.onnx",
        _written([node("Identity", ["x"], ["c"])], root),
        {"two": np.float32(2)},
        outputs=("y", "z"),
    )
    assert _types(path) == [("y", "RMSNormalization")]


def test_layer_norms_over_several_axes_are_per_image(tmp_path):
    nodes = [
        node("ReduceMean", ["x", "all"], ["m"]),
        node("Sub", ["x", "m"], ["c"]),
        node("Mul", ["c", "c"], ["s"]),
        node("ReduceMean", ["s", "all"], ["v"]),
        node("Sqrt", ["v"], ["r"]),
        node("Div", ["c", "r"], ["y"]),
    ]
    path = _net(tmp_path / "m.onnx", nodes, {"all": np.array([1, 2, 3])}, inputs=[("x", ["N", 2, 3, 4])], opset=18)
    found = run(path, [batch(normal(3, 2, 3, 4))])
    assert site(found.network, "y").layout == Layout(1)
    norm = found.backend.norms(checkpoint(path), found.network)["y"]
    assert (norm.kind, norm.weight) == ("layer", None)
    spatial = _net(tmp_path / "s.onnx", nodes, {"all": np.array([2, 3])}, inputs=[("x", ["N", 2, 3, 4])], opset=18)
    found = run(spatial, [batch(normal(3, 2, 3, 4))])
    assert found.backend.norms(checkpoint(spatial), found.network)["y"].kind == "instance"


def test_a_transposed_input_is_read_with_the_samples_where_they_are(tmp_path):
    path = _net(tmp_path / "m.onnx", [node("Transpose", ["x"], ["t"]), node("Relu", ["t"], ["y"])])
    found = run(path, [batch(normal(5, 4))])
    assert site(found.network, "y").layout == Layout(0, 1)
    np.testing.assert_array_equal(found.seen.values("y"), np.maximum(normal(5, 4), 0))


def test_lookups_of_single_numbers_and_computed_weights_are_no_layers(tmp_path):
    path = _net(
        tmp_path / "m.onnx",
        [node("Gather", ["row", "ids"], ["scale"]), node("MatMul", ["scale2", "x2"], ["p"])],
        inputs=[("ids", ["N", "T"], 7), ("scale2", ["N", 2, 3]), ("x2", ["N", 3, 2])],
        outputs=("scale", "p"),
    )
    data = {"ids": np.zeros((2, 3), np.int64), "scale2": normal(2, 2, 3), "x2": normal(2, 3, 2)}
    network = run(path, [batch(**data)]).network
    assert network.modules == ()
    assert network.sites == ()


def test_a_layer_without_outputs_is_passed_over(tmp_path):
    path = _net(
        tmp_path / "m.onnx",
        [node("LSTM", ["seq", "lw", "lr"], [""], hidden_size=4), node("MatMul", ["x", "w"], ["y"])],
        {"lw": normal(1, 16, 4), "lr": normal(1, 16, 4)},
        inputs=[("x", ["N", 4]), ("seq", ["T", "N", 4])],
    )
    network = run(path, [batch(x=normal(2, 4), seq=normal(2, 3, 4))]).network
    assert [m.type for m in network.modules] == ["MatMul"]


def test_a_softmax_that_is_no_attention_has_no_logits(tmp_path):
    path = _net(
        tmp_path / "m.onnx",
        [
            node("MatMul", ["x", "w"], ["h"]),
            node("Mul", ["h", "half"], ["s"]),
            node("Softmax", ["s"], ["p"]),
            node("Softmax", ["x"], ["q"]),
            node("Exp", ["x"], ["e"]),
            node("Softmax", ["e"], ["r"]),
        ],
        outputs=("p", "q", "r"),
    )
    assert _types(path) == [("h", "MatMul")]


@pytest.mark.parametrize("heads", [1, 3])
def test_attention_with_heads_folded_into_the_batch(tmp_path, heads):
    path = save(
        tmp_path / "m.onnx",
        [
            node("Reshape", ["x", "split"], ["q"]),
            node("Transpose", ["q"], ["k"], perm=[0, 2, 1]),
            node("MatMul", ["q", "k"], ["product"]),
            node("Softmax", ["product"], ["p"]),
            node("MatMul", ["p", "q"], ["y"]),
        ],
        [("x", ["N", heads, 5, 4])],
        [("y", None)],
        {"split": np.array([-1, 5, 4])},
    )
    x = normal(3, heads, 5, 4)
    found = run(path, [batch(x)])
    assert site(found.network, "product").shape == ("N", heads, 5, 5)
    largest = np.abs(x @ x.swapaxes(-1, -2)).max(-1).transpose(0, 2, 1).reshape(-1, heads)
    np.testing.assert_allclose(found.seen.values("product"), largest, rtol=1e-5)


def test_logits_of_other_shapes_are_skipped(tmp_path):
    path = _net(
        tmp_path / "m.onnx",
        [
            node("Transpose", ["x"], ["t"]),
            node("MatMul", ["x", "t"], ["product"]),
            node("Softmax", ["product"], ["p"]),
            node("MatMul", ["p", "x"], ["y"]),
        ],
    )
    (skip,) = run(path, [batch(normal(3, 4))]).network.skipped
    assert (skip.site, skip.reason) == ("product", "attention logits of shape (2, 2) for 2 samples")


def test_axes_that_come_and_go_without_being_named(tmp_path):
    path = _net(
        tmp_path / "m.onnx",
        [
            node("Conv", ["x", "k"], ["c"]),
            node("Squeeze", ["c"], ["s"]),
            node("Relu", ["s"], ["a"]),
            node("Shape", ["a"], ["size"]),
            node("Slice", ["size", "zero", "first"], ["many"]),
            node("Sub", ["many", "many"], ["axis"]),
            node("Unsqueeze", ["a", "axis"], ["u"]),
            node("Sigmoid", ["u"], ["b"]),
            node("ReduceMax", ["c"], ["gone"], axes=[1], keepdims=0),
            node("Tanh", ["gone"], ["d"]),
        ],
        {"k": normal(6, 3, 4, 4), "zero": np.array([0]), "first": np.array([1])},
        inputs=[("x", ["N", 3, 4, 4])],
        outputs=("b", "d"),
    )
    network = run(path, [batch(normal(3, 3, 4, 4))]).network
    assert site(network, "a").layout == Layout(1)
    assert site(network, "b").layout == Layout(2, 1)
    assert site(network, "d").layout.sample_axis == 0


def test_types_that_numpy_does_not_have_are_skipped(tmp_path):
    path = _net(
        tmp_path / "m.onnx",
        [
            node("Cast", ["x"], ["b"], to=16),
            node("Identity", ["b"], ["c"]),
            node("Cast", ["c"], ["f"], to=1),
            node("MatMul", ["f", "w"], ["y"]),
        ],
    )
    network = run(path, [batch(normal(3, 4))]).network
    assert {each.key.site for each in network.sites} == {"f", "y"}


def test_values_that_hold_nothing_are_skipped(tmp_path):
    path = _net(
        tmp_path / "m.onnx",
        [
            node("Slice", ["x", "zero", "zero", "along"], ["e"]),
            node("Relu", ["e"], ["f"]),
            node("MatMul", ["x", "w"], ["y"]),
        ],
        {"zero": np.array([0]), "along": np.array([1])},
        outputs=("f", "y"),
    )
    (*_, skip) = run(path, [batch(normal(3, 4))]).network.skipped
    assert skip.reason == "shape (2, 0) holds no values"


def test_old_dropouts_carry_their_probability_as_an_attribute(tmp_path):
    path = _net(
        tmp_path / "m.onnx",
        [
            node("Gemm", ["x", "w", "row"], ["h"]),
            node("Dropout", ["h"], ["d"], ratio=0.25),
            node("Gemm", ["d", "w", "row"], ["y"]),
        ],
        opset=11,
    )
    assert module(run(path, [batch(normal(3, 4))]).network, "d").dropout == 0.25


def test_graphs_without_anything_to_tap_give_an_empty_network(tmp_path):
    path = _net(tmp_path / "m.onnx", [node("Exp", ["x"], ["y"])])
    found = run(path, [batch(normal(3, 4))])
    assert found.network.sites == ()
    assert found.seen.parts == {}


def test_an_input_alone_can_be_a_site_of_its_own(tmp_path):
    from dataclasses import replace

    path = _net(tmp_path / "m.onnx", [node("MatMul", ["x", "w"], ["y"])])
    backend, seen = OnnxBackend(Source(), everything()), Recorded()
    network = backend.plan(checkpoint(path), batch(normal(3, 4)))
    network = replace(network, sites=tuple(each for each in network.sites if each.key.site == "x"))
    backend.measure(checkpoint(path), network, [batch(normal(3, 4))], seen)
    np.testing.assert_array_equal(seen.values("x"), normal(3, 4))


def _site(position="output", layout=None):
    return Site(SiteKey("s", position), "MatMul", "layer", layout or Layout(1), 4, ("N", 4), 0)


@pytest.mark.parametrize(
    ("value", "which", "reason"),
    [
        ([1, 2], _site(), "no tensor with sample and channel axes"),
        (np.zeros(3, np.float32), _site(), "no tensor with sample and channel axes"),
        (np.zeros((3, 4), np.float32), _site(layout=Layout(2)), "shape (3, 4) in a later batch"),
        (np.zeros((3, 4), np.float32), _site("logits"), "attention logits of shape (3, 4) for 2 samples"),
        (np.zeros((3, 4), np.float32), _site(), "axis 0 holds 3 rows for 2 samples"),
    ],
)
def test_values_that_cannot_be_read_say_why(value, which, reason):
    chunk = Chunk(batch(normal(1, 4)), 0, 2, alone=True)
    with pytest.raises(UnreadableError) as caught:
        read_rows(value, which, chunk, Reader(chunk.batch, None, 0))
    assert str(caught.value).startswith(reason)


def test_arrays_that_cannot_be_written_to_are_read():
    value = normal(2, 4)
    value.flags.writeable = False
    chunk = Chunk(batch(normal(2, 4)), 0, 2, alone=True)
    np.testing.assert_array_equal(read_rows(value, _site(), chunk, Reader(chunk.batch, None, 0)).values, value)
