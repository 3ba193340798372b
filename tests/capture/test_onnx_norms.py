"""What each normalization operator says about itself."""

import numpy as np
import pytest
from onnx_testing import batch, checkpoint, node, normal, run, save

CASES = {
    "LayerNormalization": (17, "", {"axis": -1, "epsilon": 1e-3}, (6,), "layer", 6, True),
    "InstanceNormalization": (17, "", {"epsilon": 1e-3}, (4,), "instance", 6, True),
    "GroupNormalization": (21, "", {"epsilon": 1e-3, "num_groups": 2}, (4,), "group", 12, True),
    "RMSNormalization": (23, "", {"axis": -1, "epsilon": 1e-3}, (6,), "rms", 6, False),
    "SimplifiedLayerNormalization": (17, "", {"axis": -1, "epsilon": 1e-3}, (6,), "rms", 6, False),
}


@pytest.mark.parametrize("kind", CASES)
def test_operators(tmp_path, kind):
    opset, domain, attributes, shape, family, elements, biased = CASES[kind]
    inputs = ["x", "g", "b"] if biased else ["x", "g"]
    tensors = {"g": normal(*shape), "b": normal(*shape, seed=1)}
    path = save(
        tmp_path / "m.onnx",
        [node(kind, inputs, ["y"], domain=domain, **attributes)],
        [("x", ["N", 4, 6])],
        [("y", None)],
        {name: tensors[name] for name in inputs[1:]},
        opset=opset,
        ir=10,
    )
    found = run(path, [batch(normal(3, 4, 6))])
    (norm,) = found.backend.norms(checkpoint(path), found.network).values()
    assert (norm.kind, norm.elements, norm.groups) == (family, elements, attributes.get("num_groups"))
    assert norm.eps == pytest.approx(1e-3)
    assert norm.weight.dtype == np.float64
    np.testing.assert_array_equal(norm.weight, tensors["g"])
    assert (norm.bias is not None) == biased
    assert [(m.type, m.role) for m in found.network.modules] == [(kind, "norm")]


def test_batch_normalization_in_training_mode_uses_the_batch(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [node("BatchNormalization", ["x", "g", "b", "m", "v"], ["y", "m2", "v2"], training_mode=1, momentum=0.7)],
        [("x", ["N", 4, 5])],
        [("y", None)],
        {"g": normal(4), "b": normal(4), "m": normal(4), "v": np.abs(normal(4))},
    )
    found = run(path, [batch(normal(3, 4, 5))])
    norm = found.backend.norms(checkpoint(path), found.network)["y"]
    assert norm.uses_batch_statistics
    assert norm.momentum == pytest.approx(0.3)
    assert norm.elements == 5
    assert any("training mode" in note for note in found.network.notes)


def test_skip_layer_norms_of_optimized_transformers(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [
            node("SkipLayerNormalization", ["x", "z", "g", "b"], ["n"], domain="com.microsoft", epsilon=1e-3),
            node("BiasGelu", ["n", "c"], ["a"], domain="com.microsoft"),
            node("FusedMatMul", ["a", "w"], ["y"], domain="com.microsoft"),
        ],
        [("x", ["N", 4, 6]), ("z", ["N", 4, 6])],
        [("y", None)],
        {"g": normal(6), "b": normal(6, seed=1), "c": normal(6), "w": normal(6, 2)},
        domains=["com.microsoft"],
    )
    x, z = normal(3, 4, 6), normal(3, 4, 6, seed=4)
    found = run(path, [batch(x=x, z=z)])
    assert [(m.type, m.role) for m in found.network.modules] == [
        ("SkipLayerNormalization", "norm"),
        ("BiasGelu", "activation"),
        ("FusedMatMul", "layer"),
    ]
    norm = found.backend.norms(checkpoint(path), found.network)["n"]
    assert (norm.kind, norm.elements) == ("layer", 6)
    np.testing.assert_array_equal(norm.bias, normal(6, seed=1))
    total = x + z
    unit = (total - total.mean(-1, keepdims=True)) / np.sqrt(total.var(-1, keepdims=True) + 1e-3)
    np.testing.assert_allclose(
        found.seen.values("n"), (unit * normal(6) + normal(6, seed=1)).reshape(-1, 6), rtol=1e-3, atol=1e-4
    )


def test_norms_can_be_asked_for_without_a_plan(tmp_path):
    from onnx_testing import Source, everything

    from covscan.capture.onnx_backend import OnnxBackend
    from covscan.capture.types import Network

    path = save(
        tmp_path / "m.onnx",
        [node("LayerNormalization", ["x", "g"], ["y"])],
        [("x", ["N", 6])],
        [("y", None)],
        {"g": normal(6)},
    )
    norms = OnnxBackend(Source(), everything()).norms(checkpoint(path), Network((), (), (), ()))
    assert norms["y"].elements is None
    assert norms["y"].bias is None
