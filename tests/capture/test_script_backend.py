"""Archives against Python hooks on the same networks."""

import numpy as np
import pytest
import torch
from script_testing import NETWORKS, Notes, archive, backend, batch_of, hooked, inputs, make

from covscan.capture.reading import Reader
from covscan.capture.types import Layout, SiteKey

torch.set_num_threads(1)


@pytest.fixture(params=["script", "trace"])
def how(request):
    return request.param


@pytest.mark.parametrize("name", NETWORKS)
def test_every_site_holds_what_a_hook_sees(name, how, tmp_path):
    engine, (checkpoint,) = backend(archive(name, tmp_path / "a.pt", how), positions=None)
    batch = batch_of(x=inputs(name, 7))
    network = engine.plan(checkpoint, batch)
    notes = Notes()
    engine.measure(checkpoint, network, [batch], notes)
    truth = hooked(make(name), torch.from_numpy(inputs(name, 7)))
    by_module = [site for site in network.sites if site.key in truth]
    assert {site.key.site for site in by_module} >= layers_that_ran(name)
    assert notes.skipped == {}
    for site in by_module:
        expected = Reader(batch, None, 0).rows(truth[site.key], site.layout)
        (rows,) = notes.rows[site.same_as or site.key]
        assert rows.values == pytest.approx(expected.values, abs=2e-5), site
        assert (rows.sample == expected.sample).all()


def layers_that_ran(name):
    called = {key.site.partition("#")[0] for key in hooked(make(name), torch.from_numpy(inputs(name, 2)))}
    return {
        path
        for path, module in make(name).named_modules()
        if path in called and not list(module.children()) and list(module.parameters())
    }


def test_only_functional_parts_have_names_of_their_own(how, tmp_path):
    engine, (checkpoint,) = backend(archive("perceptron", tmp_path / "a.pt", how))
    network = engine.plan(checkpoint, batch_of(x=inputs("perceptron", 7)))
    assert [(site.key.site, site.key.position) for site in network.sites] == [
        ("fc1", "input"), ("fc1", "output"), ("act", "input"), ("act", "output"), ("norm", "input"), ("norm", "output"),
        ("fc2", "input"), ("fc2", "output"), ("relu", "input"), ("relu", "output"),
    ]  # fmt: skip
    assert [site.type for site in network.measured()] == [
        "Linear",
        "Linear",
        "Sigmoid",
        "BatchNorm1d",
        "Linear",
        "ReLU",
    ]
    assert network.parameters == sum(p.numel() for p in make("perceptron").parameters())
    assert network.never_fired == network.skipped == network.notes == network.nondeterministic == ()


def test_a_tensor_that_is_changed_in_place_is_read_before(tmp_path, how):
    engine, (checkpoint,) = backend(archive("conv", tmp_path / "a.pt", how))
    batch = batch_of(x=inputs("conv", 5))
    network = engine.plan(checkpoint, batch)
    notes = Notes()
    engine.measure(checkpoint, network, [batch], notes)
    (before,), (after,) = notes.rows[SiteKey("stem.1", "output")], notes.rows[SiteKey("stem.2", "output")]
    assert (before.values < 0).any()
    assert np.array_equal(np.maximum(before.values, 0), after.values)


def test_the_second_call_of_a_module_is_a_site_of_its_own(tmp_path, how):
    engine, (checkpoint,) = backend(archive("branching", tmp_path / "a.pt", how))
    network = engine.plan(checkpoint, batch_of(x=inputs("branching", 5)))
    assert [module.name for module in network.modules] == [
        "first", "act", "conv", "again", "again#2", "again#3", "act#2",
    ]  # fmt: skip
    assert network.never_fired == ("second",)


def test_residual_sums_are_sites_and_their_readers_know_it(tmp_path, how):
    engine, (checkpoint,) = backend(archive("conv", tmp_path / "a.pt", how))
    sites = {site.key: site for site in engine.plan(checkpoint, batch_of(x=inputs("conv", 5))).sites}
    sum_of = SiteKey("body.0.add", "output")
    assert (sites[sum_of].role, sites[sum_of].layout) == ("block", Layout(1))
    assert sites[SiteKey("body.0.act#2", "input")].same_as == sum_of


def test_modules_say_what_they_are(tmp_path, how):
    engine, (checkpoint,) = backend(archive("conv", tmp_path / "a.pt", how))
    modules = {m.name: m for m in engine.plan(checkpoint, batch_of(x=inputs("conv", 5))).modules}
    assert modules["body.0.conv"].parameters == ("body.0.conv.weight", "body.0.conv.bias")
    assert modules["body.0.conv"].has_bias
    assert not modules["body.0.conv2"].has_bias
    assert modules["body.0.conv2"].has_parameters
    assert (modules["drop"].role, modules["drop"].dropout) == ("other", 0.2)
    assert modules["pool"].inputs == (SiteKey("body.1.act#2", "output"),)
    assert "stem" not in modules


def test_saturation_is_known_of_scripted_and_traced_activations(tmp_path, how):
    engine, (checkpoint,) = backend(archive("upsampler", tmp_path / "a.pt", how))
    sites = {site.key: site for site in engine.plan(checkpoint, batch_of(x=inputs("upsampler", 5))).sites}
    clipped = sites[SiteKey("down", "output")].saturation
    assert (clipped.low, clipped.high) == (-0.5, 0.5)
    assert sites[SiteKey("fc", "output")].saturation is None


def test_channels_are_followed_through_a_transposition(tmp_path, how):
    engine, (checkpoint,) = backend(archive("upsampler", tmp_path / "a.pt", how))
    sites = {site.key: site for site in engine.plan(checkpoint, batch_of(x=inputs("upsampler", 5))).sites}
    assert (sites[SiteKey("act", "input")].channels, sites[SiteKey("act", "output")].channels) == (4, 4)
    assert sites[SiteKey("fc", "input")].layout == Layout(2)


def test_attention_logits_are_the_largest_per_query_and_head(tmp_path, how):
    engine, (checkpoint,) = backend(archive("transformer", tmp_path / "a.pt", how), positions=None)
    batch = batch_of(x=inputs("transformer", 7))
    network = engine.plan(checkpoint, batch)
    notes = Notes()
    engine.measure(checkpoint, network, [batch], notes)
    qkv = hooked(make("transformer"), torch.from_numpy(batch.named["x"]))[SiteKey("attn.qkv", "output")].numpy()
    query, key, _ = qkv.reshape(7, 4, 3, 4, 4).transpose(2, 0, 3, 1, 4)
    logits = np.abs(query @ key.swapaxes(-1, -2) / 2).max(-1)  # (samples, heads, queries)
    (rows,) = notes.rows[SiteKey("attn", "logits")]
    assert rows.values == pytest.approx(logits.transpose(0, 2, 1).reshape(-1, 4), abs=1e-5)
    logits = {site.key.site: site.shape for site in network.sites if site.key.position == "logits"}
    assert logits == {
        "encoder.self_attn": ("N", 4, 4, 4),
        "mha": ("N", 2, 4, 4),
        "mha#2": ("N", 2, 4, 4),
        "attn": ("N", 4, 4, 4),
    }


@pytest.mark.parametrize("name", ["conv", "perceptron", "recurrent"])
def test_norms_are_those_of_the_network(name, tmp_path, how):
    engine, (checkpoint,) = backend(archive(name, tmp_path / "a.pt", how))
    network = engine.plan(checkpoint, batch_of(x=inputs(name, 5)))
    found = engine.norms(checkpoint, network)
    modules = {path: m for path, m in make(name).named_modules() if "Norm" in type(m).__name__}
    assert found.keys() == modules.keys()
    for path, module in modules.items():
        norm = found[path]
        assert norm.eps == module.eps
        assert np.array_equal(norm.weight, module.weight.detach().numpy())
        assert np.array_equal(norm.bias, module.bias.detach().numpy())
        assert norm.groups == getattr(module, "num_groups", None)
        assert norm.momentum == getattr(module, "momentum", None)
        if norm.kind == "batch":
            assert np.array_equal(norm.running_var, module.running_var.numpy())
            assert norm.batches_tracked == 0
    assert {norm.kind: norm.elements for norm in found.values()} == {
        "conv": {"batch": 81, "group": 4 * 81, "instance": 81},
        "perceptron": {"batch": 1},
        "recurrent": {"layer": 6},
    }[name]


def test_weights_are_the_state_dict(tmp_path, how):
    engine, (checkpoint,) = backend(archive("conv", tmp_path / "a.pt", how))
    state = make("conv").state_dict()
    weights = engine.weights(checkpoint)
    assert weights.keys() == state.keys()
    assert all(torch.equal(weights[name], state[name]) for name in state)


def test_a_traced_batch_size_is_asked_for_when_fewer_samples_are_refused(tmp_path):
    class Fixed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = torch.nn.Linear(6, 2)

        def forward(self, x):
            return self.fc(x.reshape(8, 6))

    from script_testing import save

    path = save(Fixed().eval(), tmp_path / "a.pt", "trace", torch.zeros(8, 2, 3))
    engine, (checkpoint,) = backend(path)
    network = engine.plan(checkpoint, batch_of(x=np.zeros((8, 2, 3), np.float32)))
    assert [site.shape for site in network.sites] == [("N", 6), ("N", 2)]
