"""Archives of other shapes: state, numbers as arguments, failures, unusual outputs."""

import importlib.util
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from script_testing import Notes, archive, backend, batch_of, inputs, save
from torch import nn

from covscan.capture.types import SiteKey
from covscan.errors import UsageError

torch.set_num_threads(1)


def silero():
    folder = importlib.util.find_spec("silero_vad").submodule_search_locations[0]
    return Path(folder) / "data" / "silero_vad.jit"


def speech(n):
    return np.random.default_rng(3).normal(size=(n, 512)).astype(np.float32) * 0.1


@pytest.mark.skipif(importlib.util.find_spec("silero_vad") is None, reason="silero-vad is not installed")
class TestSilero:
    """A streaming model that keeps its state in attributes and chooses a network by the sampling rate."""

    def test_every_batch_starts_from_the_state_of_the_file(self):
        engine, (checkpoint,) = backend(silero(), positions=None)
        batch = batch_of(x=speech(6), sr=np.array(16000))
        network = engine.plan(checkpoint, batch)
        notes = Notes()
        engine.measure(checkpoint, network, [batch, batch, batch_of(x=speech(2), sr=np.array(16000))], notes)
        assert notes.skipped == {}
        for first, second, third in notes.rows.values():
            assert np.array_equal(first.values, second.values)
            assert np.allclose(first.values[: len(third.values)], third.values, atol=1e-5)
        module = engine._source.opened[-1]
        assert (module._last_sr, module._last_batch_size, module._state.numel()) == (0, 0, 0)

    def test_values_are_those_of_the_untouched_model(self):
        engine, (checkpoint,) = backend(silero(), positions=None)
        batch = batch_of(x=speech(6), sr=np.array(16000))
        network = engine.plan(checkpoint, batch)
        notes = Notes()
        engine.measure(checkpoint, network, [batch], notes)
        with torch.no_grad():
            expected = engine._source.module(checkpoint)(torch.from_numpy(speech(6)), 16000)
        (rows,) = notes.rows[SiteKey("_model.decoder.decoder.3", "output")]
        assert np.allclose(rows.values, expected.numpy(), atol=1e-6)

    def test_the_network_that_was_not_chosen_never_fired(self):
        engine, (checkpoint,) = backend(silero())
        network = engine.plan(checkpoint, batch_of(x=speech(4), sr=np.full(4, 16000)))
        assert {name.partition(".")[0] for name in network.never_fired} == {"_model_8k"}
        assert "_model_8k.decoder.rnn" in network.never_fired
        types = {site.key.site: site.type for site in network.sites}
        assert types["_model.decoder.rnn"] == "LSTMCell"
        assert types["_model.stft.conv1d"] == "Conv1d"

    def test_what_the_model_raises_is_told_with_its_own_words(self):
        engine, (checkpoint,) = backend(silero())
        with pytest.raises(UsageError) as caught:
            engine.plan(checkpoint, batch_of(x=np.tile(speech(4), 2)[:, :600], sr=np.array(16000)))
        assert caught.value.code == "model-failed"
        assert "silero_vad.jit" in caught.value.message
        assert "Provided number of samples is 600" in caught.value.message
        assert caught.value.found == "inputs x: (4, 600) float32; sr: 16000"

    def test_different_numbers_for_one_argument_are_refused(self):
        engine, (checkpoint,) = backend(silero())
        with pytest.raises(UsageError, match="one int as 'sr'"):
            engine.plan(checkpoint, batch_of(x=speech(4), sr=np.array([8000, 16000, 16000, 16000])))


class Counting(nn.Module):
    """Changes a buffer in place, a list and a number."""

    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.zeros(3))
        self.history: list[int] = [1]
        self.calls = 0
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        self.total += x.sum(0)
        self.calls += 1
        self.history.append(self.calls)
        return self.fc(x + self.total + len(self.history))


def test_buffers_lists_and_numbers_are_put_back(tmp_path):
    engine, (checkpoint,) = backend(save(Counting().eval(), tmp_path / "a.pt", "script"), positions=None)
    batch = batch_of(x=np.ones((5, 3), np.float32))
    network = engine.plan(checkpoint, batch)
    notes = Notes()
    engine.measure(checkpoint, network, [batch, batch], notes)
    first, second = notes.rows[SiteKey("fc", "input")]
    assert (first.values == 1 + 5 + 2).all()
    assert np.array_equal(first.values, second.values)
    module = engine._source.opened[-1]
    assert (module.total.sum(), module.calls, list(module.history)) == (0, 0, [1])
    assert network.nondeterministic == ()


class Noisy(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        return self.fc(x + torch.randn_like(x))


def test_random_numbers_are_the_same_in_each_run_and_said_to_matter(tmp_path):
    engine, (checkpoint,) = backend(save(Noisy().eval(), tmp_path / "a.pt", "script"))
    batch = batch_of(x=np.ones((5, 3), np.float32))
    before = torch.get_rng_state()
    network = engine.plan(checkpoint, batch)
    notes = Notes()
    engine.measure(checkpoint, network, [batch, batch], notes)
    first, second = notes.rows[SiteKey("add", "output")]
    assert network.nondeterministic == ("output",)
    assert np.array_equal(first.values, second.values)
    assert torch.equal(torch.get_rng_state(), before)


class Pair(NamedTuple):
    scores: torch.Tensor
    count: int


class Odd(nn.Module):
    """Integers, vectors without samples, tuples, lists, optional arguments, own weights used by functions."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3))
        self.scale = nn.Parameter(torch.ones(4))
        self.pick = Pick()
        self.split = Split()
        self.fc = nn.Linear(2, 2)

    def forward(self, x, shift: torch.Tensor | None = None, gain: float = 2.0):
        y = torch.relu(x @ self.weight.t()) * self.scale * gain
        if shift is not None:
            y = y + shift
        picked, count = self.pick(y)
        return self.fc(self.split(y)[0]), picked, count


class Pick(nn.Module):
    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(4))

    def forward(self, x):
        return (x + self.bias).argmax(1), 3


class Split(nn.Module):
    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(4))

    def forward(self, x) -> list[torch.Tensor]:
        return list((x + self.bias).split(2, 1))


def test_unusual_outputs_are_skipped_with_a_reason_or_read(tmp_path):
    engine, (checkpoint,) = backend(save(Odd().eval(), tmp_path / "a.pt", "script"))
    network = engine.plan(checkpoint, batch_of(x=np.ones((5, 3), np.float32), gain=np.array(3)))
    assert [(skip.site, skip.reason) for skip in network.skipped] == [("pick", "its output holds int64 values")]
    sites = {site.key: site for site in network.sites}
    assert sites[SiteKey("split", "output")].shape == ("N", 2)
    assert sites[SiteKey("fc", "input")].same_as == SiteKey("split", "output")
    assert (sites[SiteKey("matmul", "output")].type, sites[SiteKey("matmul", "output")].channels) == ("Linear", 4)
    assert sites[SiteKey("relu", "input")].same_as == SiteKey("matmul", "output")


def test_a_sum_that_never_ran_is_told_from_one_that_did(tmp_path):
    path = save(Odd().eval(), tmp_path / "a.pt", "script")
    engine, (checkpoint,) = backend(path)
    without = engine.plan(checkpoint, batch_of(x=np.ones((5, 3), np.float32)))
    shifted = engine.plan(checkpoint, batch_of(x=np.ones((5, 3), np.float32), shift=np.ones((5, 4), np.float32)))
    assert without.never_fired == ("add",)
    assert shifted.never_fired == ()
    assert SiteKey("add", "output") in {site.key for site in shifted.sites}


def test_an_archive_without_forward_is_refused(tmp_path):
    class Exporting(nn.Module):
        @torch.jit.export
        def encode(self, x):
            return x

    engine, (checkpoint,) = backend(save(Exporting(), tmp_path / "a.pt", "script"))
    with pytest.raises(UsageError) as caught:
        engine.plan(checkpoint, batch_of(x=np.ones((5, 3), np.float32)))
    assert (caught.value.code, caught.value.found) == ("no-forward", "encode")


def test_wrong_shapes_name_the_file_the_samples_and_what_was_given(tmp_path):
    engine, (checkpoint,) = backend(archive("perceptron", tmp_path / "net.pt", "trace"))
    with pytest.raises(UsageError) as caught:
        engine.plan(checkpoint, batch_of(x=np.ones((5, 3), np.float32)))
    assert "net.pt' raised on samples 0 to 4" in caught.value.message
    assert "mat1 and mat2 shapes cannot be multiplied" in caught.value.message
    assert caught.value.found == "inputs x: (5, 3) float32"


@pytest.mark.parametrize("error", [KeyError("mine"), KeyboardInterrupt()])
def test_what_the_recorder_raises_comes_out_as_it_was(error, tmp_path):
    engine, (checkpoint,) = backend(archive("perceptron", tmp_path / "a.pt", "script"))
    batch = batch_of(x=inputs("perceptron", 5))

    class Broken(Notes):
        def record(self, key, rows, batch):
            raise error

    with pytest.raises(type(error)) as caught:
        engine.measure(checkpoint, engine.plan(checkpoint, batch), [batch], Broken())
    assert caught.value is error


def test_sites_that_another_checkpoint_lacks_are_named(tmp_path):
    long = nn.Sequential(nn.Linear(10, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    short = nn.Sequential(nn.Linear(10, 4)).eval()
    paths = [save(net, tmp_path / f"{n}.pt", "script") for n, net in enumerate((long, short))]
    engine, (first, second) = backend(*paths)
    batch = batch_of(x=inputs("perceptron", 5))
    notes = Notes()
    engine.measure(second, engine.plan(first, batch), [batch], notes)
    assert notes.skipped == dict.fromkeys(["1", "2"], "it did not run at this checkpoint")
    assert {key.site for key in notes.rows} == {"0"}


class Growing(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        y = self.fc(x)
        if x.dim() == 2:
            return y
        return y.sum(1)


def test_a_later_batch_of_another_shape_is_skipped(tmp_path):
    engine, (checkpoint,) = backend(save(Growing().eval(), tmp_path / "a.pt", "script"))
    flat = batch_of(x=np.ones((5, 3), np.float32))
    notes = Notes()
    engine.measure(checkpoint, engine.plan(checkpoint, flat), [flat, batch_of(x=np.ones((5, 2, 3), np.float32))], notes)
    assert notes.skipped == {"fc": "its input: 3 axes, 2 in the first batch"}


def test_the_result_of_a_tapped_program_is_that_of_the_untouched_one(tmp_path):
    from covscan.capture.script_program import ScriptProgram

    engine, (checkpoint,) = backend(archive("transformer", tmp_path / "a.pt", "script"))
    module = engine._source.module(checkpoint)
    x = torch.from_numpy(inputs("transformer", 5))
    before = str(module.graph)
    with torch.no_grad():
        program = ScriptProgram(module)
        got = program.run([x], lambda place, values: None)
        assert torch.allclose(got, module(x), atol=1e-5)
    assert str(module.graph) == before


def test_an_archive_that_names_the_cpu_stays_on_it(tmp_path):
    from covscan.capture.script_program import ScriptProgram

    engine, (plain, frozen) = backend(
        archive("perceptron", tmp_path / "a.pt", "script"), archive("perceptron", tmp_path / "b.pt", "frozen")
    )
    assert not ScriptProgram(engine._source.module(plain)).needs_cpu()
    assert ScriptProgram(engine._source.module(frozen)).needs_cpu()
    assert engine.device == "cpu"
