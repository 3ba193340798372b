"""Layers of one checkpoint run with the weights of another, against numpy."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx_testing import (
    Recorded,
    Source,
    batch,
    checkpoint,
    everything,
    node,
    normal,
    oracle,
    rows_of,
    run,
    save,
)

from covscan.capture import onnx_replay
from covscan.capture.types import Reference, SiteKey


def _net(path, *, fc0=0, norm=5, fc1=9, nodes=None):
    return save(
        path,
        nodes
        or [
            node("Gemm", ["x", "w0", "b0"], ["fc0"], transB=1),
            node("LayerNormalization", ["fc0", "g", "b"], ["norm"]),
            node("Relu", ["norm"], ["act"]),
            node("Transpose", ["w1"], ["w1t"]),
            node("MatMul", ["act", "w1t"], ["raw"]),
            node("Add", ["raw", "b1"], ["y"]),
        ],
        [("x", ["N", 4])],
        [("y", None)],
        {
            "w0": normal(6, 4, seed=fc0),
            "b0": normal(6, seed=fc0 + 1),
            "g": normal(6, seed=norm),
            "b": normal(6, seed=norm + 1),
            "w1": normal(3, 6, seed=fc1),
            "b1": normal(3, seed=fc1 + 1),
        },
    )


def test_each_moved_layer_runs_on_this_checkpoints_input_with_the_references_weights(tmp_path):
    now, then = _net(tmp_path / "b.onnx"), _net(tmp_path / "a.onnx", fc0=20, fc1=40)
    x = normal(10, 4, seed=3)
    seen = run(now, [batch(x[:6]), batch(x[6:], start=6)], references=(checkpoint(then),)).seen
    assert set(seen.replays) == {("fc0", "a"), ("y", "a")}
    assert seen.unmoved_ == [("norm", "a")]
    actual, counterfactual = seen.replayed("fc0", "a")
    np.testing.assert_array_equal(actual, seen.values("fc0"))
    np.testing.assert_allclose(counterfactual, x @ normal(6, 4, seed=20).T + normal(6, seed=21), atol=1e-5)
    actual, counterfactual = seen.replayed("y", "a")
    np.testing.assert_array_equal(actual, seen.values("y"))
    entering = seen.values("act")
    np.testing.assert_allclose(
        counterfactual, entering @ normal(3, 6, seed=40).T + normal(3, seed=41), rtol=1e-4, atol=1e-5
    )


def test_a_bias_alone_that_moved_is_a_move(tmp_path):
    now, then = _net(tmp_path / "b.onnx"), _net(tmp_path / "a.onnx")
    model = onnx.load(then)
    (bias,) = [tensor for tensor in model.graph.initializer if tensor.name == "b1"]
    bias.CopyFrom(onnx.numpy_helper.from_array(normal(3, seed=10) + 1, "b1"))
    onnx.save(model, then)
    seen = run(now, [batch(normal(5, 4))], references=(checkpoint(then),)).seen
    actual, counterfactual = seen.replayed("y", "a")
    np.testing.assert_allclose(counterfactual - actual, 1.0, atol=1e-5)
    assert sorted(seen.unmoved_) == [("fc0", "a"), ("norm", "a")]


def test_replays_of_several_references_read_only_the_batches_that_are_wanted(tmp_path):
    now = _net(tmp_path / "c.onnx")
    others = tuple(checkpoint(_net(tmp_path / f"{name}.onnx", fc1=seed)) for name, seed in (("a", 50), ("b", 60)))
    x = normal(9, 4)
    batches = [batch(x[:3]), batch(x[3:6], start=3), batch(x[6:], start=6)]
    seen = run(now, batches, references=others, seen=Recorded(replay_batches=frozenset({3}))).seen
    assert set(seen.replays) == {("y", "a"), ("y", "b")}
    for name, seed in (("a", 50), ("b", 60)):
        ((actual, counterfactual, which),) = seen.replays[("y", name)]
        assert which.index.tolist() == [3, 4, 5]
        expected = seen.values("act")[3:6] @ normal(3, 6, seed=seed).T + normal(3, seed=seed + 1)
        np.testing.assert_allclose(counterfactual.values, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(actual.values, seen.values("y")[3:6])


def test_layers_that_the_reference_made_otherwise_are_not_replayed(tmp_path):
    now = _net(tmp_path / "b.onnx")
    then = _net(
        tmp_path / "a.onnx",
        fc0=70,
        nodes=[
            node("Gemm", ["x", "w0", "b0"], ["fc0"], transB=1),
            node("Relu", ["fc0"], ["norm"]),
            node("Gemm", ["norm", "w1", "b1"], ["y"], transB=1),
        ],
    )
    seen = run(now, [batch(normal(5, 4))], references=(checkpoint(then),)).seen
    assert set(seen.replays) == {("fc0", "a")}
    assert seen.unmoved_ == []


def test_convolutions_norms_and_recurrent_layers_with_states_are_replayed(tmp_path):
    def net(path, seed):
        return save(
            path,
            [
                node("Conv", ["x", "k", "c"], ["conv"], kernel_shape=[3], pads=[1, 1]),
                node("BatchNormalization", ["conv", "g", "b", "m", "v"], ["bn"]),
                node("Transpose", ["bn"], ["seq"], perm=[2, 0, 1]),
                node("LSTM", ["seq", "w", "r", "", "", "h0", "c0"], ["out"], hidden_size=2),
            ],
            [("x", ["N", 3, 5]), ("h0", [1, "N", 2]), ("c0", [1, "N", 2])],
            [("out", None)],
            {
                "k": normal(4, 3, 3, seed=seed),
                "c": normal(4, seed=seed),
                "g": normal(4, seed=seed),
                "b": normal(4, seed=seed),
                "m": normal(4, seed=seed),
                "v": np.abs(normal(4, seed=seed)),
                "w": normal(1, 8, 4, seed=seed),
                "r": normal(1, 8, 2, seed=seed),
            },
        )

    now, then = net(tmp_path / "b.onnx", 0), net(tmp_path / "a.onnx", 1)
    x = normal(4, 3, 5)
    seen = run(now, [batch(x=x)], references=(checkpoint(then),)).seen
    states = dict.fromkeys(("h0", "c0"), np.zeros((1, 4, 2), np.float32))
    _, conv = seen.replayed("conv", "a")
    np.testing.assert_allclose(conv, rows_of(oracle(then, ["conv"], {"x": x, **states})["conv"], 1), atol=1e-5)
    _, bn = seen.replayed("bn", "a")
    scale, mean, variance = normal(4, seed=1), normal(4, seed=1), np.abs(normal(4, seed=1))
    expected = (seen.values("conv") - mean) / np.sqrt(variance + 1e-5) * scale + scale
    np.testing.assert_allclose(bn, expected, rtol=1e-3, atol=1e-4)
    actual, other = seen.replayed("out", "a")
    assert actual.shape == other.shape == (20, 2)
    assert np.abs(actual - other).max() > 0.01
    assert np.abs(other).max() <= 1.0


def test_embeddings_are_replayed_on_the_ids_they_saw(tmp_path):
    def net(path, seed):
        return save(
            path,
            [node("Gather", ["table", "ids"], ["tokens"])],
            [("ids", ["N", "T"], 7)],
            [("tokens", None)],
            {"table": normal(9, 4, seed=seed)},
        )

    now, then = net(tmp_path / "b.onnx", 0), net(tmp_path / "a.onnx", 1)
    ids = np.arange(6).reshape(2, 3)
    seen = run(now, [batch(ids)], references=(checkpoint(then),)).seen
    _, counterfactual = seen.replayed("tokens", "a")
    np.testing.assert_array_equal(counterfactual, normal(9, 4, seed=1)[ids].reshape(-1, 4))


@pytest.mark.parametrize("opset", [12, 17])
def test_a_norm_written_as_arithmetic_is_replayed_whole(tmp_path, opset):
    def net(path, seed):
        return save(
            path,
            [
                node("ReduceMean", ["x"], ["mean"], axes=[-1]),
                node("Sub", ["x", "mean"], ["centred"]),
                node("Mul", ["centred", "centred"], ["squares"]),
                node("ReduceMean", ["squares"], ["variance"], axes=[-1]),
                node("Add", ["variance", "eps"], ["safe"]),
                node("Sqrt", ["safe"], ["deviation"]),
                node("Reciprocal", ["deviation"], ["inverse"]),
                node("Mul", ["centred", "inverse"], ["unit"]),
                node("Cast", ["unit"], ["cast"], to=1),
                node("Mul", ["g", "cast"], ["scaled"]),
                node("Add", ["scaled", "b"], ["y"]),
            ],
            [("x", ["N", 3, 6])],
            [("y", None)],
            {"eps": np.float32(1e-5), "g": normal(6, seed=seed), "b": normal(6, seed=seed + 1)},
            opset=opset,
        )

    now, then = net(tmp_path / "b.onnx", 0), net(tmp_path / "a.onnx", 5)
    x = normal(4, 3, 6)
    found = run(now, [batch(x)], references=(checkpoint(then),))
    assert [(m.type, m.role, m.parameters) for m in found.network.modules] == [
        ("LayerNormalization", "norm", ("g", "b"))
    ]
    unit = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    _, counterfactual = found.seen.replayed("y", "a")
    np.testing.assert_allclose(
        counterfactual, (unit * normal(6, seed=5) + normal(6, seed=6)).reshape(-1, 6), rtol=1e-4, atol=1e-5
    )


def test_identical_checkpoints_are_unmoved_everywhere(tmp_path):
    now, then = _net(tmp_path / "b.onnx"), _net(tmp_path / "a.onnx")
    seen = run(now, [batch(normal(5, 4))], references=(checkpoint(then),)).seen
    assert seen.replays == {}
    assert sorted(seen.unmoved_) == [("fc0", "a"), ("norm", "a"), ("y", "a")]


def test_sites_that_are_not_measured_are_not_replayed(tmp_path):
    from dataclasses import replace

    from onnx_testing import Source, everything

    from covscan.capture.onnx_backend import OnnxBackend

    now, then = _net(tmp_path / "b.onnx"), _net(tmp_path / "a.onnx", fc0=1, fc1=2)
    backend = OnnxBackend(Source(), everything())
    network = backend.plan(checkpoint(now), batch(normal(5, 4)))
    network = replace(network, sites=tuple(each for each in network.sites if each.key.site == "y"))
    seen = Recorded()
    backend.measure(
        checkpoint(now), network, [batch(normal(5, 4))], seen, (Reference(then.stem, checkpoint(then), backend),)
    )
    assert set(seen.parts) == {SiteKey("y", "output")}
    assert set(seen.replays) == {("y", "a")}


def test_a_graph_is_probed_once_for_all_checkpoints_that_have_it(tmp_path, monkeypatch):
    from covscan.capture import onnx_study
    from covscan.capture.onnx_backend import OnnxBackend

    opened = []
    session = onnx_study.open_session

    def counted(*given, **named):
        opened.append(given[1].stem)
        return session(*given, **named)

    monkeypatch.setattr(onnx_study, "open_session", counted)
    paths = [_net(tmp_path / f"step{number}.onnx", fc0=10 * number, norm=number) for number in range(3)]
    other = _net(tmp_path / "other.onnx", nodes=[node("Gemm", ["x", "w0", "b0"], ["y"], transB=1)])
    backend = OnnxBackend(Source(), everything())
    for path in (*paths, other, paths[1]):
        network = backend.plan(checkpoint(path), batch(normal(6, 4)))
        fresh = OnnxBackend(Source(), everything()).plan(checkpoint(path), batch(normal(6, 4)))
        assert network == fresh
    # Each fresh back end probes once, the one for all three graphs of one structure and for the other one: a session
    # for types and one for shapes.
    assert [opened.count(path.stem) for path in (*paths, other)] == [4, 4, 2, 4]
    backend.plan(checkpoint(paths[1]), batch(normal(7, 4, seed=8)))
    assert opened[-1] == "step1"  # other samples may have other shapes


@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize("place", [0, 40, 95, None])
def test_a_difference_is_found_wherever_it_stands(tmp_path, monkeypatch, external, place):
    monkeypatch.setattr(onnx_replay, "_PIECE", 64)
    weights = [normal(8, 12), normal(8, 12)]
    if place is not None:
        weights[1].reshape(-1)[place] += 1
    tensors = []
    for name, weight in zip("ab", weights, strict=True):
        tensor = numpy_helper.from_array(weight, "w")
        if external:
            (tmp_path / name).write_bytes(b"." + tensor.raw_data)  # between two numbers' places
            tensor = onnx.TensorProto(name="w", data_type=tensor.data_type, dims=tensor.dims, data_location=1)
            for key, value in {"location": name, "offset": 1, "length": weight.nbytes}.items():
                tensor.external_data.add(key=key, value=str(value))
        tensors.append(tensor)
    assert onnx_replay._same(tensors[0], tmp_path, tensors[1], tmp_path) is (place is None)
