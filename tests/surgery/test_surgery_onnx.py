import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional

from covscan.config import Settings
from covscan.errors import UsageError
from covscan.insertion import Request, insert, onnx_files

RNG = np.random.default_rng(11)
SHAPES = {"dense": (6,), "conv2d": (3, 8, 8), "conv1d": (5, 9), "tokens": (7, 6)}
KINDS = ["BatchNorm", "LayerNorm", "RMSNorm", "GroupNorm", "InstanceNorm"]


def weight(name, *shape):
    return numpy_helper.from_array(RNG.normal(0, 0.5, shape).astype(np.float32), name)


def network(kind, opset=17, dtype=TensorProto.FLOAT, ir=8):
    """x → layer → 'hidden' → Relu → 'active' → layer → 'y'."""
    node = helper.make_node
    if kind in ("dense", "tokens"):
        weights = [weight("w1", 6, 12), weight("b1", 12), weight("w2", 12, 4)]
        first = [node("MatMul", ["x", "w1"], ["product"]), node("Add", ["product", "b1"], ["hidden"], name="bias")]
        last = node("MatMul", ["active", "w2"], ["y"], name="head")
        out = ["N", 4] if kind == "dense" else ["N", 7, 4]
    else:
        kernel = (3, 3) if kind == "conv2d" else (3,)
        weights = [weight("w1", 12, SHAPES[kind][0], *kernel), weight("b1", 12), weight("w2", 4, 12, *kernel)]
        first = [node("Conv", ["x", "w1", "b1"], ["hidden"], name="first")]
        last = node("Conv", ["active", "w2"], ["y"], name="head")
        out = ["N", 4, *[size - 4 for size in SHAPES[kind][1:]]]
    if dtype != TensorProto.FLOAT:
        kept = helper.tensor_dtype_to_np_dtype(dtype)
        weights = [numpy_helper.from_array(numpy_helper.to_array(w).astype(kept), w.name) for w in weights]
    values = [helper.make_tensor_value_info("x", dtype, ["N", *SHAPES[kind]])]
    if ir < 4:
        values += [helper.make_tensor_value_info(w.name, w.data_type, list(w.dims)) for w in weights]
    graph = helper.make_graph(
        [*first, node("Relu", ["hidden"], ["active"], name="relu"), last],
        "net",
        values,
        [helper.make_tensor_value_info("y", dtype, out)],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


class Case:
    def __init__(self, folder, model, kind, samples=70, **saved):
        self.path, self.output = folder / "model.onnx", folder / "out.onnx"
        onnx.save_model(model, str(self.path), **saved)
        self.x = RNG.normal(1, 2, (samples, *SHAPES[kind])).astype(np.float32)

    def insert(self, site, norm, position="after", **changes):
        settings = Settings(checkpoints=(str(self.path),), data={"x": self.x}, **changes)
        return insert(settings, Request(site, position, norm, self.output))

    def run(self, model=None, name="y"):
        model = model or self.output
        content = str(model) if not isinstance(model, onnx.ModelProto) else model.SerializeToString()
        session = onnxruntime.InferenceSession(content)
        feed = session.get_inputs()[0]
        kept = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}[feed.type]
        return session.run([name], {feed.name: self.x.astype(kept)})[0]


def opened(path):
    """The written model with its gate wide open."""
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.name.endswith("/gate"):
            tensor.CopyFrom(numpy_helper.from_array(np.ones_like(numpy_helper.to_array(tensor)), tensor.name))
    return model


def tapped(model, name):
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.output.append(onnx.ValueInfoProto(name=name))
    return copy


def torch_norm(norm, x, axis):
    x = torch.from_numpy(x.astype(np.float32))
    if norm in ("LayerNorm", "RMSNorm"):
        function = functional.layer_norm if norm == "LayerNorm" else functional.rms_norm
        return function(x.movedim(axis, -1), (x.shape[axis],), eps=1e-5).movedim(-1, axis).numpy()
    moved = x.movedim(axis, 1)
    out = functional.group_norm(moved, 4) if norm == "GroupNorm" else functional.instance_norm(moved)
    return out.movedim(1, axis).numpy()


@pytest.mark.parametrize("opset", [11, 17, 21])
@pytest.mark.parametrize(("site", "position"), [("hidden", "after"), ("y", "before")])
@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("norm", KINDS)
def test_function_is_preserved(tmp_path, norm, kind, site, position, opset):
    if norm == "InstanceNorm" and kind == "dense":
        pytest.skip("refused")
    case = Case(tmp_path, network(kind, opset), kind)
    outcome = case.insert(site, norm, position)
    assert outcome.difference.relative < 1e-5
    before, after = case.run(case.path), case.run()
    assert np.abs(before - after).max() < 1e-5 * before.std()
    onnx.checker.check_model(str(case.output), full_check=True)
    if norm != "BatchNorm":
        assert outcome.difference.largest == 0  # nothing is fused, so a gate of zeros changes no bit
        axis = 2 if kind == "tokens" else 1
        value = "active" if position == "before" else f"hidden/{outcome.insertion.norm}/input"
        target = f"y/{outcome.insertion.norm}/output" if position == "before" else "hidden"
        model = opened(case.output)
        given, found = (case.run(tapped(model, name), name) for name in (value, target))
        assert np.allclose(found, torch_norm(norm, given, axis), atol=2e-4)


def test_batchnorm_holds_the_statistics_of_all_samples_and_positions(tmp_path):
    case = Case(tmp_path, network("tokens"), "tokens")
    outcome = case.insert("hidden", "BatchNorm1d", positions=2, batch_size=9)
    values = case.run(tapped(onnx.load(case.path), "hidden"), "hidden").astype(float).reshape(-1, 12)
    kept = {t.name: numpy_helper.to_array(t) for t in onnx.load(case.output).graph.initializer}
    assert np.allclose(kept["hidden/BatchNorm1d/mean"], values.mean(axis=0), atol=1e-5)
    assert np.allclose(kept["hidden/BatchNorm1d/variance"], values.var(axis=0), rtol=1e-5)
    assert outcome.calibrated_on == len(values)
    assert outcome.training is None


@pytest.mark.parametrize("norm", KINDS[:4])
@pytest.mark.parametrize("dtype", [TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_other_types(tmp_path, norm, dtype):
    case = Case(tmp_path, network("dense", dtype=dtype), "dense")
    assert case.insert("hidden", norm).difference.relative < 1e-5
    onnx.checker.check_model(str(case.output), full_check=True)


def test_nodes_may_be_named_as_well(tmp_path):
    case = Case(tmp_path, network("conv1d"), "conv1d")
    assert case.insert("first", "LayerNorm").insertion.site == "hidden"
    assert case.insert("head", "LayerNorm", "before").insertion.site == "y"


def test_in_front_of_a_layer_made_of_several_nodes(tmp_path):
    case = Case(tmp_path, network("dense"), "dense")
    outcome = case.insert("hidden", "BatchNorm", "before")
    nodes = onnx.load(case.output).graph.node
    assert nodes[0].op_type == "BatchNormalization"
    assert nodes[1].input[0] == nodes[0].output[0]
    assert outcome.difference.relative < 1e-5


def test_initializers_of_old_files_are_inputs_too(tmp_path):
    case = Case(tmp_path, network("dense", opset=8, ir=3), "dense")
    case.insert("hidden", "LayerNorm")
    model = onnx.load(case.output)
    assert {t.name for t in model.graph.initializer} <= {value.name for value in model.graph.input}
    onnx.checker.check_model(model, full_check=True)


def test_names_that_are_taken_are_not_used_again(tmp_path):
    case = Case(tmp_path, network("dense"), "dense")
    case.insert("hidden", "LayerNorm")
    shutil.copy(case.output, case.path)
    case.insert("hidden", "LayerNorm")
    onnx.checker.check_model(str(case.output), full_check=True)
    assert sum(node.op_type == "LayerNormalization" for node in onnx.load(case.output).graph.node) == 2
    assert np.array_equal(case.run(case.path), case.run())


def test_a_fixed_batch_size(tmp_path):
    model = network("dense")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 4
    case = Case(tmp_path, model, "dense")
    assert case.insert("hidden", "BatchNorm").difference.unchanged


class TestExternalData:
    @pytest.fixture
    def case(self, tmp_path):
        (tmp_path / "in").mkdir()
        data = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
        return Case(tmp_path / "in", network("dense"), "dense", **data)

    def test_is_shared_in_the_same_folder(self, case):
        outcome = case.insert("hidden", "BatchNorm")
        assert outcome.written == (case.output,)
        assert outcome.notes == ("The weights stay in weights.bin, which model.onnx and out.onnx now share.",)
        assert np.allclose(case.run(), case.run(case.path), atol=1e-5)

    def test_is_copied_to_another(self, case, tmp_path):
        (tmp_path / "out").mkdir()
        case.output = tmp_path / "out" / "out.onnx"
        outcome = case.insert("hidden", "BatchNorm")
        copy = tmp_path / "out" / "weights.bin"
        assert outcome.written == (case.output, copy)
        expected = case.run(case.path)
        shutil.rmtree(tmp_path / "in")
        assert np.allclose(case.run(), expected, atol=1e-5)

    def test_never_takes_the_place_of_something_else(self, case, tmp_path):
        (tmp_path / "out").mkdir()
        case.output = tmp_path / "out" / "out.onnx"
        (tmp_path / "out" / "weights.bin").write_text("something else")
        with pytest.raises(UsageError, match="where another file is"):
            case.insert("hidden", "BatchNorm")
        shutil.copy(tmp_path / "in" / "weights.bin", tmp_path / "out" / "weights.bin")
        assert case.insert("hidden", "BatchNorm").written == (case.output,)

    def test_leaves_nothing_where_the_verification_cannot_run(self, case, tmp_path, monkeypatch):
        (tmp_path / "out").mkdir()
        case.output = tmp_path / "out" / "out.onnx"

        def fails(*arguments):
            raise UsageError("model-failed", "no")

        monkeypatch.setattr(onnx_files, "_compared", fails)
        with pytest.raises(UsageError, match="no"):
            case.insert("hidden", "BatchNorm")
        assert list((tmp_path / "out").iterdir()) == []


def branching():
    """A condition on the data decides between two branches, each with a layer."""
    inner = [
        helper.make_graph(
            [helper.make_node("MatMul", ["hidden", "w2"], [f"inside_{name}"], name=f"mm_{name}")],
            name,
            [],
            [helper.make_tensor_value_info(f"inside_{name}", TensorProto.FLOAT, ["N", 4])],
        )
        for name in ("then", "else")
    ]
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w1"], ["hidden"]),
            helper.make_node("ReduceMax", ["x"], ["top"], keepdims=0),
            helper.make_node("Greater", ["top", "limit"], ["large"]),
            helper.make_node("If", ["large"], ["y"], name="choice", then_branch=inner[0], else_branch=inner[1]),
        ],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])],
        [weight("w1", 6, 12), weight("w2", 12, 4), numpy_helper.from_array(np.float32(3), "limit")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_values_inside_subgraphs_are_refused_and_their_readers_follow(tmp_path):
    case = Case(tmp_path, branching(), "dense")
    with pytest.raises(UsageError, match="lies inside a subgraph of 'choice'"):
        case.insert("inside_then", "LayerNorm")
    assert case.insert("hidden", "BatchNorm").difference.relative < 1e-5
    assert np.allclose(case.run(), case.run(case.path), atol=1e-5)


REFUSED = {
    "no such value": ("hiden", "LayerNorm", "after", "no value 'hiden'", "did you mean 'hidden'?"),
    "an input": ("x", "LayerNorm", "after", "'x' is an input of the graph", "--position before"),
    "no layer": ("x", "LayerNorm", "before", "'x' is no layer", "choose one of"),
    "inside a layer": ("product", "LayerNorm", "after", "'product' is none that", "did you mean"),
    "no positions": ("hidden", "InstanceNorm", "after", "would become 0", "LayerNorm or BatchNorm1d"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(tmp_path, name):
    site, norm, position, message, hint = REFUSED[name]
    case = Case(tmp_path, network("dense"), "dense")
    with pytest.raises(UsageError) as error:
        case.insert(site, norm, position)
    assert message in error.value.message
    assert hint in error.value.hint or hint == "did you mean"
    assert not case.output.exists()


def test_old_opsets_are_refused(tmp_path):
    case = Case(tmp_path, network("conv1d", opset=6, ir=3), "conv1d")
    with pytest.raises(UsageError, match="opset 6") as error:
        case.insert("hidden", "BatchNorm")
    assert "version_converter" in error.value.hint


def test_local_functions_are_written_out(tmp_path):
    model = network("dense")
    function = helper.make_function(
        "local", "Act", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("local", 1))
    model.graph.node[2].op_type, model.graph.node[2].domain = "Act", "local"
    case = Case(tmp_path, model, "dense")
    outcome = case.insert("y", "BatchNorm", "before")
    assert outcome.difference.relative < 1e-5
    assert outcome.notes == ("The model's local functions were written out.",)
    assert not onnx.load(case.output).functions


def test_what_the_checker_thinks_of_the_original_already_is_no_reason(tmp_path, monkeypatch):
    case = Case(tmp_path, network("dense"), "dense")
    check = onnx.checker.check_model

    def refuses(model, *arguments, **keywords):
        raise onnx.checker.ValidationError(f"bad {model}")

    monkeypatch.setattr(onnx.checker, "check_model", refuses)
    assert case.insert("hidden", "BatchNorm").difference.unchanged
    case.output.unlink()
    monkeypatch.setattr(
        onnx.checker, "check_model", lambda path: check(path) if path == str(case.path) else refuses(path)
    )
    with pytest.raises(UsageError, match="checker does not accept"):
        case.insert("hidden", "BatchNorm")
    assert not case.output.exists()


def recurrent():
    """(samples, time, 5) → LSTM with the time in front → the last step's hidden values."""
    node = helper.make_node
    graph = helper.make_graph(
        [
            node("Transpose", ["x"], ["steps"], perm=[1, 0, 2]),
            node("LSTM", ["steps", "w", "r", "b"], ["all", "last"], hidden_size=8),
            node("Squeeze", ["all", "axis"], ["flat"]),
            node("MatMul", ["flat", "head"], ["y"]),
        ],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 9, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [9, "N", 3])],
        [
            weight("w", 1, 32, 5),
            weight("r", 1, 32, 8),
            weight("b", 1, 64),
            weight("head", 8, 3),
            numpy_helper.from_array(np.array([1]), "axis"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("norm", KINDS)
def test_behind_a_recurrent_layer(tmp_path, norm):
    SHAPES["steps"] = (9, 5)
    case = Case(tmp_path, recurrent(), "steps")
    if norm in ("GroupNorm", "InstanceNorm"):
        with pytest.raises(UsageError, match="axis 0 is not the sample"):
            case.insert("all", norm)
        return
    outcome = case.insert("all", norm)
    assert outcome.insertion.channels == 8
    assert outcome.difference.relative < 1e-5
    assert np.allclose(case.run(), case.run(case.path), atol=1e-5)
