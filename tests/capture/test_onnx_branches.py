"""Control flow and local functions: what is followed, what is left alone, and what is said about it."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_testing import batch, checkpoint, info, module, node, normal, run, save, site

from covscan.capture.onnx_branches import inline_functions
from covscan.capture.types import SiteKey
from covscan.errors import UsageError


def _branch(name, weight, *, extra=()):
    """A layer and what it gives, reading ``x`` from outside."""
    tensors = [numpy_helper.from_array(weight, "bw")]
    nodes = [
        node("MatMul", ["x", "bw"], ["inner"], name=f"{name}/fc"),
        *extra,
        node("Relu", ["inner"], [f"{name}_out"]),
    ]
    return helper.make_graph(nodes, name, [], [info(f"{name}_out")], tensors)


def _choice(path, condition_nodes, *, inputs=(), extra=(), tensors=None):
    return save(
        path,
        [
            *condition_nodes,
            node(
                "If",
                ["go"],
                ["h"],
                name="choice",
                then_branch=_branch("yes", normal(4, 3), extra=extra),
                else_branch=_branch("no", normal(4, 3, seed=1)),
            ),
            node("MatMul", ["h", "w"], ["y"]),
        ],
        [("x", ["N", 4]), *inputs],
        [("y", None)],
        {"w": normal(3, 2), "zero": np.float32(0), "sixteen": np.int64(16000), **(tensors or {})},
    )


@pytest.mark.parametrize(("rate", "weight"), [(16000, normal(4, 3)), (8000, normal(4, 3, seed=1))])
def test_a_branch_that_a_constant_input_decides_is_followed(tmp_path, rate, weight):
    path = _choice(tmp_path / "m.onnx", [node("Equal", ["sr", "sixteen"], ["go"])], inputs=[("sr", [], 7)])
    before = path.read_bytes()
    x = normal(5, 4, seed=7)
    found = run(path, [batch(x=x, sr=np.array(rate))])
    np.testing.assert_allclose(found.seen.values("inner"), x @ weight, atol=1e-5)
    assert module(found.network, "inner").parameters == ("bw",)
    np.testing.assert_array_equal(found.backend.weights(checkpoint(path))["bw"], weight)
    (skip,) = found.network.skipped
    assert skip.site == "inner (other branch)"
    other = "else" if rate == 16000 else "then"
    assert skip.reason == f"inside the {other}_branch subgraph of If 'choice', which this data does not take"
    assert path.read_bytes() == before


def test_branches_are_replayed_with_the_weights_of_the_same_branch(tmp_path):
    decide = [node("Equal", ["sr", "sixteen"], ["go"])]
    now = _choice(tmp_path / "b.onnx", decide, inputs=[("sr", [], 7)])
    then = tmp_path / "a.onnx"
    model = onnx.load(now)
    branch = next(a.g for each in model.graph.node for a in each.attribute if a.name == "then_branch")
    branch.initializer[0].CopyFrom(numpy_helper.from_array(normal(4, 3, seed=5), "bw"))
    onnx.save(model, then)
    x = normal(5, 4, seed=7)
    seen = run(now, [batch(x=x, sr=np.array(16000))], references=(checkpoint(then),)).seen
    _, counterfactual = seen.replayed("inner", "a")
    np.testing.assert_allclose(counterfactual, x @ normal(4, 3, seed=5), atol=1e-5)
    assert seen.unmoved_ == [("y", "a")]


def test_a_branch_that_shapes_decide_is_followed_and_a_change_of_it_is_an_error(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [
            node("Shape", ["x"], ["sizes"]),
            node("Gather", ["sizes", "one"], ["steps"]),
            node("Greater", ["steps", "five"], ["go"]),
            node(
                "If",
                ["go"],
                ["h"],
                then_branch=_branch("yes", normal(4, 3)),
                else_branch=_branch("no", normal(4, 3, seed=1)),
            ),
        ],
        [("x", ["N", "T", 4])],
        [("h", None)],
        {"one": np.int64(1), "five": np.int64(5)},
    )
    x = normal(4, 6, 4)
    found = run(path, [batch(x)])
    np.testing.assert_allclose(found.seen.values("inner"), (x @ normal(4, 3)).reshape(-1, 3), atol=1e-5)
    with pytest.raises(UsageError) as caught:
        run(path, [batch(x), batch(normal(2, 3, 4), start=4)])
    assert caught.value.code == "branch-changed"
    assert "batch 2" in caught.value.message
    assert "'go' is False, it was True" in caught.value.found


def test_a_lone_last_sample_does_not_change_a_branch_on_the_batch_size(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [
            node("Shape", ["x"], ["sizes"]),
            node("Gather", ["sizes", "zero"], ["n"]),
            node("Equal", ["n", "one"], ["go"]),
            node(
                "If",
                ["go"],
                ["h"],
                then_branch=_branch("yes", normal(4, 3)),
                else_branch=_branch("no", normal(4, 3, seed=1)),
            ),
        ],
        [("x", ["N", 4])],
        [("h", None)],
        {"one": np.int64(1), "zero": np.int64(0)},
    )
    x = normal(4, 4)
    found = run(path, [batch(x[:3]), batch(x[3:], start=3)])
    np.testing.assert_allclose(found.seen.values("inner"), x @ normal(4, 3, seed=1), atol=1e-5)


def test_a_branch_that_the_samples_decide_is_left_alone_and_its_layers_are_listed(tmp_path):
    path = _choice(
        tmp_path / "m.onnx",
        [node("ReduceSum", ["x"], ["total"], keepdims=0), node("Greater", ["total", "zero"], ["go"])],
        extra=[node("Gather", ["bw", "axis0"], ["row"])],
        tensors={"axis0": np.int64(0)},
    )
    network = run(path, [batch(normal(5, 4))]).network
    assert [(skip.site, skip.reason) for skip in network.skipped] == [
        ("inner", "inside the then_branch subgraph of If 'choice', which is left alone")
    ]
    assert [each.key for each in network.sites] == [SiteKey("h", "output"), SiteKey("y", "output")]
    assert (site(network, "h").role, site(network, "h").type) == ("block", "If")


def test_a_loop_is_left_alone(tmp_path):
    body = helper.make_graph(
        [node("Identity", ["keep"], ["again"]), node("MatMul", ["carry", "w"], ["next"])],
        "body",
        [info("i", [], 7), info("keep", [], 9), info("carry", ["N", 4])],
        [info("again", [], 9), info("next", ["N", 4])],
    )
    path = save(
        tmp_path / "m.onnx",
        [node("Loop", ["three", "", "x"], ["out"], body=body, name="loop"), node("Relu", ["out"], ["y"])],
        [("x", ["N", 4])],
        [("y", None)],
        {"three": np.int64(3), "w": normal(4, 4)},
    )
    found = run(path, [batch(normal(5, 4))])
    assert [(skip.site, skip.reason) for skip in found.network.skipped] == [
        ("next", "inside the body subgraph of Loop 'loop', which is left alone")
    ]
    weight = normal(4, 4)
    np.testing.assert_allclose(found.seen.values("out"), normal(5, 4) @ weight @ weight @ weight, rtol=1e-3, atol=1e-4)


def test_nested_branches_and_names_that_clash_are_followed(tmp_path):
    deepest = _branch("deep", normal(4, 3))
    other = helper.make_graph([node("MatMul", ["x", "w0"], ["no_out"])], "no", [], [info("no_out")])
    outer = helper.make_graph(
        [
            node("Not", ["go"], ["stop"]),
            node("Not", ["stop"], ["again"]),
            node("If", ["again"], ["inner"], then_branch=deepest, else_branch=other),
            node("Neg", ["inner"], ["outer"]),
        ],
        "yes",
        [],
        [info("outer")],
    )
    # ``inner`` and ``bw`` are names of the main graph as well as of branches that do not see each other.
    first = helper.make_graph(
        [node("MatMul", ["x", "bw"], ["inner"])],
        "a",
        [],
        [info("inner")],
        [numpy_helper.from_array(normal(4, 3, seed=3), "bw")],
    )
    path = save(
        tmp_path / "m.onnx",
        [
            node("If", ["go"], ["h1"], then_branch=first, else_branch=other),
            node("If", ["go"], ["h2"], then_branch=outer, else_branch=other),
            node("Add", ["h1", "h2"], ["y"]),
        ],
        [("x", ["N", 4]), ("go", [], TensorProto.BOOL)],
        [("y", None)],
        {"w0": normal(4, 3, seed=2)},
    )
    x = normal(5, 4, seed=9)
    found = run(path, [batch(x=x, go=np.array(True))])
    layers = [m for m in found.network.modules if m.type == "MatMul"]
    np.testing.assert_allclose(found.seen.values(layers[0].name), x @ normal(4, 3, seed=3), atol=1e-5)
    np.testing.assert_allclose(found.seen.values(layers[1].name), x @ normal(4, 3), atol=1e-5)
    weights = found.backend.weights(checkpoint(path))
    np.testing.assert_array_equal(weights[layers[1].parameters[0]], normal(4, 3))
    assert {skip.site for skip in found.network.skipped} == {"no_out"}


def test_a_condition_that_is_written_in_the_file_needs_no_run(tmp_path):
    path = _choice(tmp_path / "m.onnx", [node("Not", ["off"], ["go"])], tensors={"off": np.array(False)})
    found = run(path, [batch(normal(5, 4))])
    assert module(found.network, "inner").type == "MatMul"


def test_random_conditions_are_not_decided(tmp_path):
    path = _choice(
        tmp_path / "m.onnx", [node("RandomUniform", [], ["r"], shape=[1]), node("Greater", ["r", "zero"], ["go"])]
    )
    network = run(path, [batch(normal(5, 4))]).network
    assert {each.key.site for each in network.sites} == {"h", "y"}


def _with_function(path, nodes=None):
    body = helper.make_function(
        "mine",
        "Layer",
        ["a", "b"],
        ["c"],
        nodes or [node("MatMul", ["a", "b"], ["t"]), node("Relu", ["t"], ["c"])],
        [helper.make_opsetid("", 17)],
    )
    return save(
        path,
        [node("Layer", ["x", "w"], ["h"], domain="mine"), node("MatMul", ["h", "v"], ["y"])],
        [("x", ["N", 4])],
        [("y", None)],
        {"w": normal(4, 3), "v": normal(3, 2)},
        functions=[body],
        domains=["mine"],
    )


def test_local_functions_are_written_out(tmp_path):
    path = _with_function(tmp_path / "m.onnx")
    found = run(path, [batch(normal(5, 4, seed=1))])
    assert [m.type for m in found.network.modules] == ["MatMul", "Relu", "MatMul"]
    layer = found.network.modules[0]
    assert layer.parameters == ("w",)
    np.testing.assert_allclose(found.seen.values(layer.name), normal(5, 4, seed=1) @ normal(4, 3), atol=1e-5)


def test_functions_that_cannot_be_written_out_are_an_error(tmp_path, monkeypatch):
    def fail(model):
        raise RuntimeError("no such schema\nand more")

    monkeypatch.setattr(onnx.inliner, "inline_local_functions", fail)
    path = _with_function(tmp_path / "m.onnx")
    with pytest.raises(UsageError) as caught:
        inline_functions(onnx.load(path), path)
    assert caught.value.found == "no such schema"
