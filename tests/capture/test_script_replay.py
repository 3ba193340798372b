"""Replays with the weights of an earlier checkpoint, and frozen archives."""

import numpy as np
import pytest
import torch
from script_testing import NETWORKS, Notes, archive, backend, batch_of, hooked, inputs, make, save

from covscan.capture.types import Reference, SiteKey

torch.set_num_threads(1)


def run(paths, name, n=6):
    engine, (first, last) = backend(*paths, positions=None)
    batch = batch_of(x=inputs(name, n))
    network = engine.plan(last, batch)
    notes = Notes()
    engine.measure(last, network, [batch], notes, (Reference(first.id, first, engine),))
    return network, notes


@pytest.mark.parametrize("how", ["script", "trace"])
@pytest.mark.parametrize("name", ["conv", "recurrent", "branching"])
def test_a_replay_is_what_the_earlier_module_makes_of_the_same_input(name, how, tmp_path):
    paths = [archive(name, tmp_path / f"{seed}.pt", how, seed) for seed in (0, 1)]
    network, notes = run(paths, name)
    old = dict(make(name, 0).named_modules())
    seen = hooked(make(name, 1), torch.from_numpy(inputs(name, 6)))
    replayed = set()
    for (called, reference), (actual, counterfactual) in notes.replays.items():
        site = next(site for site in network.sites if site.key == SiteKey(called, "output"))
        with torch.no_grad():
            value = old[called.partition("#")[0]](seen[SiteKey(called, "input")])
        value = value[0] if isinstance(value, tuple) else value
        axes = (site.layout.sample_axis, *(a for a in range(value.ndim) if a not in
                (site.layout.sample_axis, site.layout.channel_axis)), site.layout.channel_axis)  # fmt: skip
        assert counterfactual.values == pytest.approx(value.permute(axes).reshape(-1, site.channels).numpy(), abs=2e-5)
        assert (actual.sample == counterfactual.sample).all()
        assert (actual.position == counterfactual.position).all()
        assert reference == "0"
        replayed.add(called)
    moved = {module.name for module in network.modules if module.has_parameters}
    assert replayed | {name for name, _ in notes.still} == moved
    assert not replayed & {name for name, _ in notes.still}


@pytest.mark.parametrize("how", ["script", "trace", "frozen"])
def test_a_planted_bias_is_all_that_a_replay_shows(how, tmp_path):
    net = make("perceptron")
    paths = [save(net, tmp_path / "0.pt", how, torch.zeros(4, 10))]
    with torch.no_grad():
        net.fc2.bias += 3.0
    paths.append(save(net, tmp_path / "1.pt", how, torch.zeros(4, 10)))
    _, notes = run(paths, "perceptron")
    ((called, _),) = notes.replays
    actual, counterfactual = notes.replays[(called, "0")]
    assert actual.values - counterfactual.values == pytest.approx(3.0, abs=1e-5)
    names = ("linear", "batch_norm", "linear_1") if how == "frozen" else ("fc1", "norm", "fc2")
    assert called == names[2]
    assert notes.still == {(names[0], "0"), (names[1], "0")}


def test_other_shapes_are_not_replayed(tmp_path):
    paths = []
    for width in (3, 4):
        net = torch.nn.Sequential(torch.nn.Linear(10, width), torch.nn.ReLU(), torch.nn.Linear(width, 2)).eval()
        paths.append(save(net, tmp_path / f"{width}.pt", "script"))
    _, notes = run(paths, "perceptron")
    assert notes.replays == {}
    assert notes.still == set()


def test_light_and_heavy_work_is_told_apart(tmp_path):
    paths = [archive("conv", tmp_path / f"{seed}.pt", "script", seed) for seed in (0, 1)]
    engine, (first, last) = backend(*paths)
    batch = batch_of(x=inputs("conv", 5))
    asked = []

    class Choosy(Notes):
        def wants_replay(self, batch, work=None):
            asked.append(work)
            return work < 1000

    notes = Choosy()
    engine.measure(last, engine.plan(last, batch), [batch], notes, (Reference(first.id, first, engine),))
    assert {name for name, _ in notes.replays} == {"head"}
    assert max(asked) == 81 * (8 * 8 * 9 + 8)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_frozen_archive_shows_what_its_graph_still_shows(name, tmp_path):
    paths = [archive(name, tmp_path / f"{seed}.pt", "frozen", seed) for seed in (0, 1)]
    network, notes = run(paths, name)
    assert any("frozen" in note for note in network.notes)
    seen = hooked(make(name, 1), torch.from_numpy(inputs(name, 6)))
    outputs = [value.numpy() for key, value in seen.items() if key.position == "output"]
    compared = 0
    for site in network.measured():
        if site.role in {"layer", "activation"} and site.key.position == "output":
            (rows,) = notes.rows[site.key]
            got = np.sort(rows.values, axis=None)
            compared += any(
                value.size == got.size and np.allclose(np.sort(value, axis=None), got, atol=1e-4) for value in outputs
            )
    assert (
        compared >= {"conv": 8, "perceptron": 3, "recurrent": 4, "transformer": 5, "branching": 5, "upsampler": 5}[name]
    )
    assert notes.replays
    assert network.parameters > 0


def test_interleaved_samples_are_refused_and_not_misread(tmp_path):
    paths = [archive("transformer", tmp_path / "0.pt", "frozen")]
    engine, (checkpoint,) = backend(*paths)
    skipped = engine.plan(checkpoint, batch_of(x=inputs("transformer", 5))).skipped
    assert [skip.site for skip in skipped] == ["linear_2", "linear_6", "linear_8"]
    assert {skip.reason for skip in skipped} == {"its input holds the samples interleaved along axis 0"}


def test_norms_of_a_frozen_archive(tmp_path):
    engine, (checkpoint,) = backend(archive("perceptron", tmp_path / "a.pt", "frozen"))
    network = engine.plan(checkpoint, batch_of(x=inputs("perceptron", 5)))
    norm = engine.norms(checkpoint, network)["batch_norm"]
    expected = make("perceptron").norm
    assert (norm.kind, norm.eps, norm.momentum, norm.uses_batch_statistics) == ("batch", expected.eps, 0.1, False)
    assert np.array_equal(norm.running_mean, expected.running_mean.numpy())
    site = next(site for site in network.sites if site.key == SiteKey("batch_norm", "output"))
    assert (site.type, site.role) == ("BatchNorm1d", "norm")
