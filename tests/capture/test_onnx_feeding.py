"""How samples get into a graph: fixed batch sizes, ragged ends, several inputs, states, and what does not fit."""

import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from onnx_testing import Recorded, Source, batch, checkpoint, everything, node, normal, run, save, site

from covscan.capture import onnx_measure, onnx_session
from covscan.capture.onnx_backend import OnnxBackend
from covscan.capture.onnx_feeding import cut, fill, pick
from covscan.capture.recorder import SummaryRecorder
from covscan.capture.types import Layout, Reference, SiteKey
from covscan.data.types import Batch
from covscan.errors import UsageError


def _linear(path, dims, seed=0):
    return save(
        path,
        [node("MatMul", ["x", "w"], ["h"]), node("Relu", ["h"], ["y"])],
        [("x", [*dims, 4])],
        [("y", None)],
        {"w": normal(4, 3, seed=seed)},
    )


@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_fixed_batch_size_is_fed_in_such_pieces_and_recorded_whole(tmp_path, size):
    x, then = normal(7, 5, 4), checkpoint(_linear(tmp_path / "a.onnx", [size, 5], seed=8))
    path = _linear(tmp_path / "m.onnx", [size, 5])
    found = run(path, [batch(x[:5]), batch(x[5:], start=5)], references=(then,))
    parts = found.seen.parts[SiteKey("h", "output")]
    assert [rows.sample.max() + 1 for rows, _ in parts] == [5, 2]
    np.testing.assert_allclose(found.seen.values("h"), (x @ normal(4, 3)).reshape(-1, 3), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.seen.values("x"), x.reshape(-1, 4))
    _, other = found.seen.replayed("h", "a")
    np.testing.assert_allclose(other, (x @ normal(4, 3, seed=8)).reshape(-1, 3), rtol=1e-4, atol=1e-5)


def test_the_cut_of_batches_does_not_change_what_is_read(tmp_path, monkeypatch):
    path = _linear(tmp_path / "m.onnx", ["N", 40])
    x = normal(9, 40, 4)
    settings = everything(positions=6)
    whole = run(path, [batch(x)], settings=settings).seen
    ragged = run(path, [batch(x[:4]), batch(x[4:5], start=4), batch(x[5:], start=5)], settings=settings).seen
    monkeypatch.setattr(onnx_measure, "MEMORY", 2 * 4 * 40 * (4 + 3 + 3))
    small = run(path, [batch(x)], settings=settings).seen
    for name in ("x", "h", "y"):
        assert len(whole.values(name)) == 54
        np.testing.assert_array_equal(whole.values(name), ragged.values(name))
        np.testing.assert_allclose(whole.values(name), small.values(name), rtol=1e-6, atol=1e-6)
    rows, _ = small.parts[SiteKey("h", "output")][0]
    assert rows.sample.tolist() == sorted(list(range(9)) * 6)


@pytest.mark.parametrize("positions", [None, 6])
@pytest.mark.parametrize("many", [1, 60, 200, 10**6])
def test_parts_of_which_some_are_large_hold_what_one_run_holds(tmp_path, monkeypatch, positions, many):
    """Parts of five and of three samples, of which the first alone may be large enough to be recorded by itself."""
    path, then = _linear(tmp_path / "m.onnx", ["N", 40]), checkpoint(_linear(tmp_path / "a.onnx", ["N", 40], seed=8))
    x, blocks = normal(8, 40, 4), np.arange(8) % 3
    batches = [Batch(index=np.arange(8), block=blocks, positional=(x,))]
    summaries = []
    for memory in (onnx_measure.MEMORY, 2 * 5 * 4 * 40 * (4 + 3 + 3)):
        monkeypatch.setattr(onnx_measure, "MEMORY", memory)
        backend = OnnxBackend(Source(), everything(positions=positions))
        network = backend.plan(checkpoint(path), batches[0])
        recorder = SummaryRecorder(network, SimpleNamespace(blocks=3, count=8), seed=0)
        backend.measure(checkpoint(path), network, iter(batches), recorder, (Reference("a", then, backend),))
        summaries.append(recorder.summary())
        monkeypatch.setattr(onnx_measure, "_MANY", many)
    whole, parts = summaries
    assert whole.sites.keys() == parts.sites.keys()
    assert len(whole.replays) == 1
    for key, expected in whole.sites.items():
        found = parts.sites[key]
        np.testing.assert_array_equal(found.rows.key, expected.rows.key)
        np.testing.assert_array_equal(found.rows.sample, expected.rows.sample)
        np.testing.assert_allclose(found.rows.values, expected.rows.values, rtol=1e-5, atol=1e-6)
        assert found.samples == expected.samples == 8
        for name, state in expected.moments.state().items():
            np.testing.assert_allclose(found.moments.state()[name], state, rtol=1e-5, atol=1e-5)
    for place, expected in whole.replays.items():
        for side in ("actual", "counterfactual"):
            mine, theirs = getattr(parts.replays[place], side).state(), getattr(expected, side).state()
            assert all(np.allclose(mine[name], theirs[name], rtol=1e-5, atol=1e-5) for name in theirs)


def test_the_values_of_one_part_are_gone_before_the_next_part_runs(tmp_path, monkeypatch):
    """ONNX Runtime lets go of what a run gave together, so that one value which somebody still reads keeps all."""
    path, then = _linear(tmp_path / "m.onnx", ["N"]), checkpoint(_linear(tmp_path / "a.onnx", ["N"], seed=8))
    runs, alive = [], []
    ran = onnx_session._run

    def watched(*given):
        alive.append(sum(each() is not None for each in runs))
        values = ran(*given)
        runs.extend(weakref.ref(value.base) for value in values)
        return values

    monkeypatch.setattr(onnx_session, "_run", watched)
    monkeypatch.setattr(onnx_measure, "MEMORY", 3 * 4 * (4 + 3 + 3))
    found = run(path, [batch(normal(12, 4))], references=(then,))
    # Two probing runs, then parts of one sample, where without a replay there would be three: each begins with
    # nothing alive, and its replay with what it has just given.
    here, replays = alive[2::2], alive[3::2]
    assert len(here) == len(replays) == 12
    assert not any(here)
    assert all(replays)
    assert len(found.seen.values("h")) == 12


def test_a_graph_that_only_says_it_takes_any_batch_is_run_as_it_can(tmp_path):
    for size in (1, 6):
        path = save(
            tmp_path / f"m{size}.onnx",
            [node("Reshape", ["x", "shape"], ["r"]), node("MatMul", ["r", "w"], ["y"])],
            [("x", ["N", 6])],
            [("y", None)],
            {"shape": np.array([size, 2, 3]), "w": normal(3, 2)},
        )
        x = normal(6, 6)
        found = run(path, [batch(x)])
        assert site(found.network, "y").layout == Layout(2)
        expected = x.reshape(6, 2, 3) @ normal(3, 2)
        np.testing.assert_allclose(found.seen.values("y"), expected.reshape(-1, 2), rtol=1e-4, atol=1e-5)


def test_one_sample_is_enough(tmp_path):
    found = run(_linear(tmp_path / "m.onnx", ["N"]), [batch(normal(1, 4))])
    np.testing.assert_allclose(found.seen.values("h"), normal(1, 4) @ normal(4, 3), atol=1e-6)


def test_a_fixed_batch_of_one_keeps_the_sample_axis_of_recurrent_layers(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [node("Transpose", ["x"], ["seq"], perm=[1, 0, 2]), node("LSTM", ["seq", "w", "r"], ["out"], hidden_size=3)],
        [("x", [1, 6, 4])],
        [("out", None)],
        {"w": normal(1, 12, 4), "r": normal(1, 12, 3)},
    )
    free = save(
        tmp_path / "f.onnx",
        [node("Transpose", ["x"], ["seq"], perm=[1, 0, 2]), node("LSTM", ["seq", "w", "r"], ["out"], hidden_size=3)],
        [("x", ["N", 6, 4])],
        [("out", None)],
        {"w": normal(1, 12, 4), "r": normal(1, 12, 3)},
    )
    x = normal(3, 6, 4)
    found = run(path, [batch(x)])
    assert site(found.network, "out").shape == (6, 1, "N", 3)
    np.testing.assert_allclose(found.seen.values("out"), run(free, [batch(x)]).seen.values("out"), atol=1e-6)
    np.testing.assert_array_equal(found.seen.values("seq"), x.reshape(-1, 4))


def test_several_inputs_states_and_constants_are_bound_by_name(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [
            node("MatMul", ["left", "w"], ["a"]),
            node("Mul", ["a", "gain"], ["b"]),
            node("Add", ["b", "right"], ["c"]),
            node("Concat", ["c", "memory"], ["d"], axis=1),
            node("Relu", ["d"], ["y"]),
        ],
        [("left", ["N", 4]), ("right", ["N", 3]), ("gain", []), ("memory", ["N", 2])],
        [("y", None)],
        {"w": normal(4, 3)},
    )
    left, right = normal(5, 4), normal(5, 3, seed=1)
    found = run(path, [batch(right=right, left=left, gain=np.array(2.0))])
    expected = np.concatenate([left @ normal(4, 3) * 2 + right, np.zeros((5, 2))], axis=1)
    np.testing.assert_allclose(found.seen.values("d"), expected, atol=1e-5)
    assert found.network.modules[1].role == "block"


def _refused(path, data) -> UsageError:
    with pytest.raises(UsageError) as caught:
        run(path, [data])
    return caught.value


def test_wrong_shapes_name_the_input_and_both_shapes(tmp_path):
    error = _refused(_linear(tmp_path / "m.onnx", ["N"]), batch(normal(5, 7)))
    assert error.code == "input-mismatch"
    assert "'x'" in error.message
    assert str(tmp_path / "m.onnx") in error.message
    assert error.found == "float32[2, 7]; the model takes float32[N, 4]"
    assert error.hint == "the model's inputs are x"


def test_missing_inputs_are_an_error_of_the_binding(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [node("Gather", ["t", "ids"], ["a"]), node("Add", ["a", "x"], ["y"])],
        [("x", ["N", 4]), ("ids", ["N"], 7)],
        [("y", None)],
        {"t": normal(9, 4)},
    )
    assert "ids" in str(_refused(path, batch(x=normal(5, 4))))


def test_a_failure_in_the_third_batch_says_which_one_it_was(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [node("Gather", ["table", "ids"], ["y"])],
        [("ids", ["N", "T"], 7)],
        [("y", None)],
        {"table": normal(9, 4)},
    )
    good, bad = np.zeros((2, 3), np.int64), np.full((2, 3), 99)
    seen = Recorded()
    with pytest.raises(UsageError) as caught:
        run(path, [batch(good), batch(good, start=2), batch(bad, start=4)], seen=seen)
    assert caught.value.code == "model-failed"
    assert "batch 3 (samples 4 to 5)" in caught.value.message
    assert "out of data bounds" in caught.value.found
    assert "'ids' int64[2, 3]" in caught.value.found
    assert len(seen.parts[SiteKey("y", "output")]) == 2


def test_a_model_that_fails_whatever_is_tried_is_reported_once(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [node("Reshape", ["x", "shape"], ["r"]), node("MatMul", ["r", "w"], ["y"])],
        [("x", ["N", 4])],
        [("y", None)],
        {"shape": np.array([-1, 7]), "w": normal(7, 2)},
    )
    error = _refused(path, batch(normal(5, 4)))
    assert error.code == "model-failed"
    assert "the first samples" in error.message


def test_no_batches_measure_nothing(tmp_path):
    path = _linear(tmp_path / "m.onnx", ["N"])
    backend, seen = OnnxBackend(Source(), everything()), Recorded()
    network = backend.plan(checkpoint(path), batch(normal(3, 4)))
    backend.measure(checkpoint(path), network, iter(()), seen)
    assert seen.parts == {}


def test_measuring_needs_no_plan_in_the_same_process(tmp_path):
    path = _linear(tmp_path / "m.onnx", [2])
    network = OnnxBackend(Source(), everything()).plan(checkpoint(path), batch(normal(3, 4)))
    seen = Recorded()
    OnnxBackend(Source(), everything()).measure(checkpoint(path), network, iter([batch(normal(3, 4))]), seen)
    np.testing.assert_allclose(seen.values("h"), normal(3, 4) @ normal(4, 3), atol=1e-6)


def test_sites_that_a_later_checkpoint_lacks_are_skipped_there(tmp_path):
    path = _linear(tmp_path / "m.onnx", ["N"])
    other = save(
        tmp_path / "o.onnx",
        [node("MatMul", ["x", "w"], ["h"]), node("Tanh", ["h"], ["z"])],
        [("x", ["N", 4])],
        [("z", None)],
        {"w": normal(4, 3)},
    )
    backend, seen = OnnxBackend(Source(), everything()), Recorded()
    network = backend.plan(checkpoint(path), batch(normal(3, 4)))
    backend.measure(checkpoint(other), network, [batch(normal(3, 4))], seen)
    assert seen.skipped == {"y": "the graph of this checkpoint has no value of that name"}
    assert {key.site for key in seen.parts} == {"x", "h"}


def test_a_value_that_turns_unreadable_in_a_later_batch_is_skipped_from_there(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [node("Reshape", ["x", "shape"], ["r"]), node("MatMul", ["r", "w"], ["y"])],
        [("x", ["N", "T"])],
        [("y", None)],
        {"shape": np.array([-1, 2]), "w": normal(2, 3)},
    )
    seen = run(path, [batch(normal(4, 4)), batch(normal(2, 3), start=4)]).seen
    assert seen.skipped == {"r": "axis 0 holds 3 rows for 2 samples", "y": "axis 0 holds 3 rows for 2 samples"}


def test_chunks_cover_the_batch_and_are_filled_with_the_last_sample():
    data = Batch(
        index=np.arange(5),
        block=np.arange(5),
        named={"x": np.arange(5.0), "rate": np.array(8)},
        positional=((np.arange(10).reshape(5, 2), "text"),),
        target={"y": np.arange(5)},
        mask=np.ones((5, 3), bool),
    )
    chunks = list(cut(data, 3, fixed=True))
    assert [(chunk.start, chunk.batch.n, chunk.rows) for chunk in chunks] == [(0, 3, 3), (3, 2, 3)]
    filled = fill(chunks[1])
    assert filled.named["x"].tolist() == [3, 4, 4]
    assert filled.named["rate"] == 8
    assert filled.positional[0][0].tolist() == [[6, 7], [8, 9], [8, 9]]
    assert filled.positional[0][1] == "text"
    assert filled.target["y"].tolist() == [3, 4, 4]
    assert filled.mask is not None
    assert filled.mask.shape == (3, 3)
    assert [chunk.rows for chunk in cut(data, None, fixed=False)] == [5]
    assert [chunk.rows for chunk in cut(data, 2, fixed=False, least=2)] == [2, 2, 2]
    assert pick(data, np.arange(5)) is data
