"""The parts of the TorchScript back end one by one."""

import inspect
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from script_testing import Notes, archive, backend, batch_of, inputs, save
from torch import nn

from covscan.capture.channel_flow import INTERLEAVED, ChannelFlow
from covscan.capture.exported_types import module_constants, module_types
from covscan.capture.script_arguments import Constant, Data, Group, Unknown, Weight, is_known, resolve, weight_names
from covscan.capture.script_calls import flat_parts
from covscan.capture.script_graph import Call
from covscan.capture.script_inputs import signature_of
from covscan.capture.script_program import ScriptProgram
from covscan.capture.tensors import Origin, Provenance
from covscan.capture.types import Layout, SiteKey

torch.set_num_threads(1)


def followed(shape, layout, change):
    """The layout of what ``change`` makes of a tensor with a known one."""
    known = Provenance()
    tensor = torch.randn(shape)
    known.remember(tensor, Origin(None, layout))
    with ChannelFlow(known), torch.no_grad():
        made = change(tensor)
    return known.layout(made)


@pytest.mark.parametrize(
    ("shape", "layout", "change", "expected"),
    [
        ((4, 6, 5), Layout(1), lambda x: x.transpose(1, 2), Layout(2)),
        ((4, 6, 5), Layout(1), lambda x: x.transpose(-1, -2).relu_(), Layout(2)),
        ((4, 6, 5, 7), Layout(1), lambda x: x.permute(0, 2, 3, 1), Layout(3)),
        ((4, 6, 5, 7), Layout(1), lambda x: x.flatten(2), Layout(1)),
        ((4, 6, 5, 7), Layout(1), lambda x: x.mean((2, 3)), Layout(1)),
        ((4, 6, 5, 7), Layout(1), lambda x: nn.functional.max_pool2d(x, 2), Layout(1)),
        ((4, 6, 5, 7), Layout(1), lambda x: torch.cat([x, x], 1), Layout(1)),
        ((4, 6, 5, 7), Layout(1), lambda x: x[:, :3], Layout(1)),
        ((4, 6, 5, 7), Layout(1), lambda x: x.chunk(2, 1)[1], Layout(1)),
        ((4, 6, 5, 7), Layout(1), lambda x: x.flatten(1), None),
        ((4, 5, 6), Layout(2), lambda x: x + torch.ones(6), Layout(2)),
        ((4, 5, 6), Layout(2), lambda x: x.mean(1), Layout(1)),
        ((4, 5, 6), Layout(2), lambda x: x[:, -1], Layout(1)),
        ((4, 5, 6), Layout(2), lambda x: x[..., 0], None),
        ((4, 5, 6), Layout(2), lambda x: x.reshape(20, 6), Layout(1)),
        ((4, 5, 6), Layout(2), lambda x: x.reshape(4, 5, 2, 3), Layout(3)),
        ((4, 6), Layout(1), lambda x: x.unsqueeze(-1), Layout(1)),
        ((4, 6), Layout(1), lambda x: x.unsqueeze(1), Layout(2)),
        ((4, 6), Layout(1), lambda x: x.t(), Layout(0, 1)),
        ((5, 4, 6), Layout(2, 1), lambda x: x.transpose(0, 1), Layout(2)),
        ((5, 4, 6), Layout(2, 1), lambda x: x[-1], Layout(1)),
        ((5, 4, 6), Layout(2, 1), lambda x: x.mean(0), Layout(1)),
        ((5, 4, 6), Layout(2, 1), lambda x: x.reshape(20, 6), Layout(1, 0, INTERLEAVED)),
        ((5, 4, 6), Layout(2, 1), lambda x: x.reshape(20, 6).relu(), Layout(1, 0, INTERLEAVED)),
        ((5, 4, 6), Layout(2, 1), lambda x: (x.reshape(20, 6) @ torch.ones(6, 3)).view(5, 4, 3), Layout(2, 1)),
        ((4, 3), Layout(1), lambda x: x @ torch.ones(3, 7), Layout(1)),
        ((4, 3, 8), Layout(1), lambda x: nn.functional.conv1d(x, torch.ones(2, 3, 1)), Layout(1)),
        ((4, 3, 8), Layout(1), lambda x: x.sum((0, 1)), None),
        ((2, 4, 6), Layout(2, 1), lambda x: x.unbind(0)[1], Layout(1)),
        ((2, 4, 6), Layout(0, 1), lambda x: x.unbind()[1], None),
    ],
)
def test_channels_are_followed(shape, layout, change, expected):
    assert followed(shape, layout, change) == expected


def test_arguments_resolve():
    one, two = torch.ones(1), torch.zeros(2)
    argument = Group((Data(0), Weight("w"), Group((Constant(3),), is_list=False)), is_list=True)
    assert resolve(argument, [one], {"w": two}) == [one, two, (3,)]
    assert weight_names([argument, Weight("v")]) == ("w", "v")
    assert is_known(argument)
    assert not is_known(Group((Unknown(),), is_list=True))
    with pytest.raises(ValueError, match="unknown"):
        resolve(Unknown(), [], {})


def test_a_clipping_without_known_limits_is_flat_nowhere():
    settings = SimpleNamespace()
    assert flat_parts(Call(0, "module", "clip", "Hardtanh", "forward"), settings) == (None, None)


def test_the_signature_leaves_self_out(tmp_path):
    class Scaled(nn.Module):
        def forward(self, x, scale: int, shift: float = 0.5):
            return x * scale + shift

    _, (checkpoint,) = backend(save(Scaled(), tmp_path / "a.pt", "script"))
    with pytest.warns(DeprecationWarning, match="deprecated"):
        module = torch.jit.load(str(checkpoint.path))
    signature = signature_of(ScriptProgram(module).schema)
    assert list(signature.parameters) == ["x", "scale", "shift"]
    assert signature.parameters["shift"].default == 0.5
    assert signature.parameters["scale"].default is inspect.Parameter.empty


class ChannelNorm(nn.Module):
    """A LayerNorm over axis 1, as ConvNeXt has it."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(6))
        self.eps = 1e-6

    def forward(self, x):
        mean = x.mean(1, keepdim=True)
        return (x - mean) * ((x - mean).pow(2).mean(1, keepdim=True) + self.eps).rsqrt() * self.weight[:, None, None]


class Assorted(nn.Module):
    """Norms and attention that need a second look."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 1)
        self.channel_norm = ChannelNorm()
        self.plane_norm = nn.LayerNorm([6, 4, 5])
        self.batch = nn.BatchNorm2d(6, track_running_stats=False)
        self.up = nn.ConvTranspose2d(6, 4, 2)

    def forward(self, x):
        x = self.batch(self.plane_norm(self.channel_norm(self.conv(x))))
        tokens = x.flatten(2)
        attended = nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)
        return nn.functional.softmax(tokens.mean(1), 1), self.up(x), attended, x.mean()


def test_norms_by_class_name_and_by_size(tmp_path):
    engine, (checkpoint,) = backend(save(Assorted().eval(), tmp_path / "a.pt", "script"))
    network = engine.plan(checkpoint, batch_of(x=np.random.default_rng(0).normal(size=(7, 3, 4, 5)).astype("f4")))
    sites = {site.key: site for site in network.sites}
    assert sites[SiteKey("channel_norm", "output")].layout == Layout(1)
    assert sites[SiteKey("plane_norm", "output")].layout == Layout(1)
    assert sites[SiteKey("up", "output")].channels == 4
    norms = engine.norms(checkpoint, network)
    assert (norms["channel_norm"].kind, norms["channel_norm"].eps, norms["channel_norm"].bias) == ("layer", 1e-6, None)
    assert norms["batch"].uses_batch_statistics
    assert norms["batch"].running_mean is None
    assert norms["batch"].elements == 20
    reasons = {skip.site: skip.reason for skip in network.skipped}
    assert reasons == {"scaled_dot_product_attention": "its attention logits: samples and heads cannot be told apart"}


def test_a_transposed_convolution_of_a_trace_is_known_as_one(tmp_path):
    net = nn.Sequential(nn.ConvTranspose2d(3, 4, 2)).eval()

    class Wrapper(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = net

        def forward(self, x):
            return nn.functional.conv_transpose2d(x, self.inner[0].weight)

    engine, (checkpoint,) = backend(save(Wrapper().eval(), tmp_path / "a.pt", "trace", torch.zeros(2, 3, 4, 4)))
    network = engine.plan(checkpoint, batch_of(x=np.ones((6, 3, 4, 4), np.float32)))
    assert [(site.key.site, site.type) for site in network.sites] == [("convolution", "ConvTranspose2d")] * 2
    (module,) = network.modules
    assert (module.parameters, module.has_bias) == (("inner.0.weight",), False)


class Summary(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()
        self.gate = Gate()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        y = self.act(self.fc(x).mean(0))
        return self.gate(x), y


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x) -> dict[str, torch.Tensor]:
        return {"x": x * self.weight}


def test_what_no_axis_of_samples_has_is_skipped(tmp_path):
    engine, (checkpoint,) = backend(save(Summary().eval(), tmp_path / "a.pt", "script"))
    network = engine.plan(checkpoint, batch_of(x=np.ones((7, 3), np.float32)))
    assert {skip.site: skip.reason for skip in network.skipped} == {
        "gate": "its output holds no tensor",
        "act": "its input of shape (3,) has no separate sample and channel axes",
    }


class Indexed(nn.Module):
    """Whose softmax goes over something that no product made, and one over a projection by a weight."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 3))

    def forward(self, x, masked: bool = False):
        scores = x @ self.weight.t()
        tokens = x.unsqueeze(-1)
        products = torch.matmul(tokens, tokens.transpose(-1, -2))
        weights = products.masked_fill(products > 1.0, float("-inf")) if masked else products * 0.5
        return scores.softmax(-1), x.exp().softmax(-1), weights.softmax(-1)


def test_attention_is_a_product_of_two_computed_tensors(tmp_path):
    engine, (checkpoint,) = backend(save(Indexed().eval(), tmp_path / "a.pt", "script"))
    batch = batch_of(x=np.random.default_rng(0).normal(size=(7, 3)).astype("f4"))
    network = engine.plan(checkpoint, batch)
    assert [site.key for site in network.sites if site.key.position == "logits"] == [SiteKey("softmax", "logits")]
    notes = Notes()
    engine.measure(checkpoint, network, [batch], notes)
    (rows,) = notes.rows[SiteKey("softmax", "logits")]
    x = batch.named["x"]
    assert np.allclose(rows.values[:, 0], np.abs(x[:, :, None] * x[:, None] / 2).max(-1).ravel(), atol=1e-6)


def test_logits_that_change_their_shape_are_skipped(tmp_path):
    class Variable(nn.Module):
        def forward(self, x):
            if x.dim() == 3:
                return (x @ x.transpose(-1, -2)).softmax(-1)
            return (x @ x.transpose(-1, -2)).softmax(-1).sum(1)

    engine, (checkpoint,) = backend(save(Variable(), tmp_path / "a.pt", "script"))
    first = batch_of(x=np.ones((7, 3, 2), np.float32))
    network = engine.plan(checkpoint, first)
    notes = Notes()
    engine.measure(checkpoint, network, [first, batch_of(x=np.ones((5, 2, 2, 3, 2), np.float32))], notes)
    assert notes.skipped == {}
    assert {key.site for key in notes.rows} == {"softmax"}


def test_a_streaming_cell_with_a_device_of_its_own_stays_on_the_cpu(tmp_path):
    class Streaming(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(3, 2)

        def forward(self, x):
            return self.lstm(x)[0]

    engine, (checkpoint,) = backend(save(Streaming().eval(), tmp_path / "a.pt", "trace", torch.zeros(4, 2, 3)))
    assert ScriptProgram(engine._source.module(checkpoint)).needs_cpu()


def test_the_device_is_the_cpu_for_programs_that_need_it(tmp_path):
    from covscan.capture.script_backend import ScriptBackend
    from covscan.config.settings import Settings

    engine, (checkpoint,) = backend(archive("perceptron", tmp_path / "a.pt", "frozen"))
    automatic = ScriptBackend(engine._source, Settings(device="auto"))
    automatic.plan(checkpoint, batch_of(x=inputs("perceptron", 5)))
    assert automatic.device == "cpu"


class Stage(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.GroupNorm(3, 3, eps=1e-3)
        self.act = nn.Hardtanh(-2.0, 2.0)

    def forward(self, x):
        return self.act(self.norm(self.conv(x))) + x


class Exported(nn.Module):
    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList([Stage(), Stage()])
        self.drop = nn.Dropout(0.25)
        self.fc = nn.Linear(3, 2)

    def forward(self, x):
        for stage in self.stages:
            x = stage(x)
        return self.fc(self.drop(x).mean((2, 3)))


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_exported_modules_say_what_they_were(tmp_path):
    net = Exported().eval()
    batches = torch.export.Dim("n")
    program = torch.export.export(net, (torch.randn(4, 3, 5, 5),), dynamic_shapes=({0: batches},))
    torch.export.save(program, tmp_path / "a.pt2")
    unflattened = torch.export.unflatten(torch.export.load(tmp_path / "a.pt2"))
    types = module_types(unflattened)
    assert types.items() >= {name: type(m).__name__ for name, m in net.named_modules() if name and "." in name}.items()
    assert types[""] == "Exported"
    assert types["fc"] == "Linear"
    constants = module_constants(unflattened)
    assert constants["stages.0.norm"] == {"num_groups": 3, "eps": 1e-3}
    assert constants["stages.1.act"] == {"min_val": -2.0, "max_val": 2.0}
    fired = []
    for name, module in unflattened.named_modules():
        module.register_forward_hook(lambda module, args, output, name=name: fired.append(name))
    unflattened(torch.randn(2, 3, 5, 5))
    assert [name for name in fired if name.startswith("stages.0")] == [
        "stages.0.conv", "stages.0.norm", "stages.0.act", "stages.0",
    ]  # fmt: skip


def test_other_modules_have_no_types_to_recover():
    assert module_types(Exported()) == {}
    assert module_constants(Exported()) == {}
