"""Calls of a graph replayed at the places that are read give what they give as wholes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from onnx_testing import batch, checkpoint, everything, node, normal, run, save

from covscan.capture import onnx_replay


def _replays(folder, nodes, shape, weights, *, few=True, dtype=np.float32, positions=5):
    """(actual, counterfactual) by output, on inputs of ``shape``; ``weights`` makes those of a seed."""
    made = {seed: {name: each.astype(dtype) for name, each in weights(seed).items()} for seed in (0, 50)}
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    free = [("x", ["N", *shape[1:]], kind)]
    now, then = (save(folder / f"s{seed}.onnx", nodes, free, [("y", None, kind)], made[seed]) for seed in made)
    at_places = []

    def watched(*given):
        at_places.append(onnx_replay_at(*given))
        return at_places[-1]

    onnx_replay_at = onnx_replay.runs_at_places
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_replay, "runs_at_places", watched if few else lambda *given: None)
        seen = run(now, [batch(normal(*shape, seed=3).astype(dtype))], references=(checkpoint(then),),
                   settings=everything(positions=positions)).seen  # fmt: skip
    return {name: seen.replayed(name, then.stem) for name, _ in seen.replays}, at_places


def _same(folder, nodes, shape, weights, count, **settings):
    """That so many calls ran at places, and all of them gave what they give as wholes."""
    partly, at_places = _replays(folder, nodes, shape, weights, **settings)
    whole, _ = _replays(folder, nodes, shape, weights, few=False, **settings)
    assert sum(at is not None for at in at_places) == count
    assert partly.keys() == whole.keys()
    assert partly
    for name in partly:
        for mine, theirs in zip(partly[name], whole[name], strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=2e-5, atol=2e-5)
        assert not np.allclose(*partly[name])


@given(data=st.data())
def test_convolutions_of_any_shape(tmp_path_factory, data):
    spatial = data.draw(st.integers(1, 3))
    axes = {"min_size": spatial, "max_size": spatial}
    kernel = data.draw(st.lists(st.integers(1, 3), **axes))
    settings = {"strides": data.draw(st.lists(st.integers(1, 3), **axes)),
                "dilations": data.draw(st.lists(st.integers(1, 2), **axes)),
                "group": data.draw(st.sampled_from([1, 2, 4]))}  # fmt: skip
    if data.draw(st.booleans()):
        settings["pads"] = data.draw(st.lists(st.integers(0, 2), min_size=2 * spatial, max_size=2 * spatial))
    elif data.draw(st.booleans()):
        settings["auto_pad"] = "VALID"
    named = ["x", "w", "b"] if data.draw(st.booleans()) else ["x", "w"]
    sizes = [(size - 1) * step + 7 * stride for size, step, stride in
             zip(kernel, settings["dilations"], settings["strides"], strict=True)]  # fmt: skip

    def weights(seed):
        made = {"w": normal(8, 4 // settings["group"], *kernel, seed=seed), "b": normal(8, seed=seed + 1)}
        return {name: made[name] for name in named[1:]}

    nodes = [node("Conv", named, ["y"], kernel_shape=kernel, **settings)]
    _same(tmp_path_factory.mktemp("conv"), nodes, (3, 4, *sizes), weights, 1, positions=3)


def _dense(seed):
    return {"w": normal(4, 6, seed=seed), "b": normal(6, seed=seed + 1)}


@pytest.mark.parametrize(
    ("nodes", "shape", "weights", "count"),
    [
        ([node("MatMul", ["x", "w"], ["y"])], (3, 12, 4), lambda seed: {"w": _dense(seed)["w"]}, 1),
        ([node("MatMul", ["x", "w"], ["h"]), node("Add", ["b", "h"], ["y"])], (3, 4, 3, 4), _dense, 1),
        (
            [node("Transpose", ["w"], ["t"]), node("MatMul", ["x", "t"], ["y"])],
            (3, 12, 6), lambda seed: {"w": _dense(seed)["w"]}, 1,
        ),
        ([node("Conv", ["x", "w"], ["h"], kernel_shape=[3, 3]), node("Add", ["h", "b"], ["y"])],
         (3, 4, 9, 9), lambda seed: {"w": normal(5, 4, 3, 3, seed=seed), "b": normal(1, 5, 1, 1, seed=seed + 1)}, 1),
        # As wholes: few positions, weights on the left, other paddings, norms over positions.
        ([node("MatMul", ["x", "w"], ["y"])], (3, 6, 4), lambda seed: {"w": _dense(seed)["w"]}, 0),
        ([node("MatMul", ["w", "x"], ["y"])], (3, 4, 12), lambda seed: {"w": normal(5, 4, seed=seed)}, 0),
        ([node("Conv", ["x", "w"], ["y"], kernel_shape=[3], auto_pad="SAME_UPPER")],
         (3, 4, 12), lambda seed: {"w": normal(5, 4, 3, seed=seed)}, 0),
        ([node("InstanceNormalization", ["x", "w", "b"], ["y"])],
         (3, 4, 12), lambda seed: {"w": normal(4, seed=seed), "b": normal(4, seed=seed + 1)}, 0),
    ],
)  # fmt: skip
def test_calls(tmp_path, nodes, shape, weights, count):
    _same(tmp_path, nodes, shape, weights, count)


@pytest.mark.parametrize(("dtype", "count"), [(np.float64, 1), (np.float16, 0)])
def test_types(tmp_path, dtype, count):
    found, at_places = _replays(tmp_path, [node("MatMul", ["x", "w"], ["y"])], (3, 12, 4),
                                lambda seed: {"w": _dense(seed)["w"]}, dtype=dtype)  # fmt: skip
    assert sum(at is not None for at in at_places) == count
    (_, counterfactual) = found["y"]
    assert counterfactual.dtype == (np.float64 if dtype is np.float64 else np.float32)


def test_layers_at_places_and_layers_as_wholes_stand_side_by_side(tmp_path):
    nodes = [
        node("MatMul", ["x", "w"], ["h"]),
        node("LayerNormalization", ["h", "b", "b"], ["n"]),
        node("MatMul", ["n", "v"], ["y"]),
    ]
    _same(tmp_path, nodes, (9, 12, 4), lambda seed: _dense(seed) | {"v": normal(6, 3, seed=seed + 2)}, 2)
