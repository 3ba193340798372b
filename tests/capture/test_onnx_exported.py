"""Networks that both exporters of torch write, read like hooks read them in torch."""

import warnings

import numpy as np
import pytest
import torch
from onnx_testing import batch, checkpoint, run
from torch import nn

pytestmark = pytest.mark.filterwarnings("ignore")


class Block(nn.Module):
    """A transformer block with pre-norms and attention written out."""

    def __init__(self, width=12, heads=3, activation=None):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width, bias=False)
        self.fc1, self.fc2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.act = activation or nn.GELU()
        self.logits = nn.Identity()

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        places = torch.arange(t)
        mask = torch.where(places[:, None] >= places[None], 0.0, float("-inf"))
        logits = self.logits(q @ k.transpose(-1, -2) / (d // self.heads) ** 0.5 + mask)
        mixed = (torch.softmax(logits, -1) @ v).transpose(1, 2).reshape(n, t, d)
        x = x + self.out(mixed)
        return x + self.fc2(self.act(self.fc1(self.norm2(x))))


class Residual(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.stem, self.norm0 = nn.Conv2d(3, 8, 3, padding=1, bias=False), norm(8)
        self.conv, self.norm1 = nn.Conv2d(8, 8, 3, padding=1), norm(8)
        self.act, self.head = nn.SiLU(), nn.Linear(8, 4)

    def forward(self, x):
        x = self.act(self.norm0(self.stem(x)))
        x = x + self.norm1(self.conv(x))
        return self.head(x.mean((2, 3)))


class WrittenRms(nn.Module):
    """An RMS norm as language models write it."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(width))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5))


class Mixed(nn.Module):
    """A group norm over an image, then an RMS norm over its pixels' channels."""

    def __init__(self, rms):
        super().__init__()
        self.conv, self.group, self.norm, self.fc = nn.Conv2d(3, 6, 1), nn.GroupNorm(3, 6), rms, nn.Linear(6, 5)

    def forward(self, x):
        return self.fc(self.norm(self.group(self.conv(x)).permute(0, 2, 3, 1)))


class ChannelsFirstNorm(nn.Module):
    """ConvNeXt's norm over the channels of an image."""

    def __init__(self, width):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.rand(width)), nn.Parameter(torch.rand(width))

    def forward(self, x):
        mean = x.mean(1, keepdim=True)
        centred = x - mean
        variance = centred.pow(2).mean(1, keepdim=True)
        return self.weight[:, None, None] * (centred / torch.sqrt(variance + 1e-6)) + self.bias[:, None, None]


def export(model, x, path, *, dynamo, opset):
    axes = {"dynamic_shapes": ({0: torch.export.Dim("n")},)} if dynamo else {"dynamic_axes": {"x": {0: "n"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (x,),
            path,
            dynamo=dynamo,
            opset_version=opset,
            input_names=["x"],
            do_constant_folding=True,
            **axes,
            **({"verbose": False} if dynamo else {}),
        )
    return path


def hooked(model, x):
    """Output of every leaf module: name → tensor."""
    outputs = {}
    handles = [
        module.register_forward_hook(lambda _m, _a, out, name=name: outputs.__setitem__(name, out.detach().clone()))
        for name, module in model.named_modules()
        if name and not list(module.children())
    ]
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return outputs


def flat(value, channel):
    moved = value.movedim(channel, -1)
    return moved.reshape(-1, moved.shape[-1]).numpy()


def find(found, expected, role):
    """The one site of that role whose rows are those expected."""
    matches = [
        each
        for each in found.network.sites
        if each.role == role
        and each.key.position == "output"
        and each.channels == expected.shape[1]
        and (rows := found.seen.values(each.key.site)).shape == expected.shape
        and np.allclose(rows, expected, rtol=1e-4, atol=1e-5)
    ]
    assert len(matches) == 1, [each.key for each in matches]
    return matches[0]


def initialized(model):
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        nn.init.normal_(parameter, std=0.4, mean=1.0 if "norm" in name and "weight" in name else 0.1)
    for buffer_name, buffer in model.named_buffers():
        if buffer.is_floating_point():
            nn.init.uniform_(buffer, 0.5, 1.5) if "var" in buffer_name else nn.init.normal_(buffer)
    return model.eval()


OPSETS = [pytest.param(13, id="opset13"), pytest.param(17, id="opset17")]
ACTIVATIONS = {
    "gelu": nn.GELU(),
    "gelu-tanh": nn.GELU("tanh"),
    "silu": nn.SiLU(),
    "mish": nn.Mish(),
    "relu": nn.ReLU(),
    "hardswish": nn.Hardswish(),
}


@pytest.mark.parametrize(
    ("activation", "dynamo", "opset"),
    [*((name, False, opset) for name in ACTIVATIONS for opset in (13, 17)), ("gelu-tanh", True, 18)],
)
def test_a_transformer_block_is_read_like_hooks_do(tmp_path, dynamo, opset, activation):
    model = initialized(Block(activation=ACTIVATIONS[activation]))
    x = torch.randn(5, 7, 12)
    expected = hooked(model, x)
    path = export(model, torch.randn(2, 7, 12), tmp_path / "m.onnx", dynamo=dynamo, opset=opset)
    found = run(path, [batch(x[:3].numpy()), batch(x[3:].numpy(), start=3)])
    for name, role in (
        ("norm1", "norm"),
        ("norm2", "norm"),
        ("qkv", "layer"),
        ("out", "layer"),
        ("fc1", "layer"),
        ("act", "activation"),
        ("fc2", "layer"),
    ):
        where = find(found, flat(expected[name], -1), role)
        assert where.layout.channel_axis == 2, name
    assert [m.role for m in found.network.modules] == [
        "norm",
        "layer",
        "attention",
        "layer",
        "block",
        "norm",
        "layer",
        "activation",
        "layer",
        "block",
    ]
    (logits,) = [each for each in found.network.sites if each.key.position == "logits"]
    assert logits.shape == ("N", 3, 7, 7)
    largest = expected["logits"].abs().where(expected["logits"] > -1e4, torch.zeros(())).amax(-1)
    np.testing.assert_allclose(found.seen.values(logits.key.site), flat(largest, 1), rtol=1e-4)
    assert not found.seen.skipped


NORMS = {
    "group": lambda width: nn.GroupNorm(2, width),
    "instance": lambda width: nn.InstanceNorm2d(width, affine=True),
    "layer": ChannelsFirstNorm,
}


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("kind", ["group", "instance", "layer"])
def test_norms_of_a_conv_net_are_recognized(tmp_path, opset, kind):
    model = initialized(Residual(NORMS[kind]))
    x = torch.randn(4, 3, 6, 6)
    expected = hooked(model, x)
    path = export(model, torch.randn(2, 3, 6, 6), tmp_path / "m.onnx", dynamo=False, opset=opset)
    found = run(path, [batch(x.numpy())])
    norms = found.backend.norms(checkpoint(path), found.network)
    for name in ("norm0", "norm1"):
        where = find(found, flat(expected[name], 1), "norm")
        assert where.layout.channel_axis == 1
        norm = norms[where.key.site]
        assert norm.kind == kind
        own = dict(model.named_parameters())
        np.testing.assert_allclose(norm.weight, own[f"{name}.weight"].detach().numpy(), rtol=1e-6)
        np.testing.assert_allclose(norm.bias, own[f"{name}.bias"].detach().numpy(), rtol=1e-6)
        assert norm.elements == {"group": 36 * 4, "instance": 36, "layer": 8}[kind]
        assert norm.groups == (2 if kind == "group" else None)
        assert norm.eps == pytest.approx(1e-6 if kind == "layer" else 1e-5)
    assert len(norms) == 2


@pytest.mark.parametrize(
    ("rms", "dynamo", "opset"),
    [(WrittenRms(6), False, 13), (WrittenRms(6), False, 17), (nn.RMSNorm(6, eps=1e-5), True, 18)],
    ids=["written-13", "written-17", "dynamo"],
)
def test_group_and_rms_norms_of_one_net(tmp_path, rms, dynamo, opset):
    model = initialized(Mixed(rms))
    x = torch.randn(4, 3, 5, 4)
    expected = hooked(model, x)
    path = export(model, torch.randn(2, 3, 5, 4), tmp_path / "m.onnx", dynamo=dynamo, opset=opset)
    found = run(path, [batch(x.numpy())])
    norms = found.backend.norms(checkpoint(path), found.network)
    norm = norms[find(found, flat(expected["norm"], -1), "norm").key.site]
    assert (norm.kind, norm.elements, norm.bias) == ("rms", 6, None)
    assert norm.eps == pytest.approx(1e-5)
    np.testing.assert_allclose(norm.weight, model.norm.weight.detach().numpy())
    group = norms[find(found, flat(expected["group"], 1), "norm").key.site]
    assert (group.kind, group.groups, group.elements) == ("group", 3, 40)
    np.testing.assert_allclose(group.weight, model.group.weight.detach().numpy())
    assert len(norms) == 2
    assert find(found, flat(expected["fc"], -1), "layer").layout.channel_axis == 3


def test_batchnorm_that_survived_the_export_keeps_its_statistics(tmp_path):
    model = initialized(nn.Sequential(nn.BatchNorm1d(5, momentum=0.2, eps=1e-3), nn.Linear(5, 3)))
    x = torch.randn(6, 5)
    path = export(model, x[:2], tmp_path / "m.onnx", dynamo=False, opset=17)
    found = run(path, [batch(x.numpy())])
    where = find(found, model[0](x).detach().numpy(), "norm")
    norm = found.backend.norms(checkpoint(path), found.network)[where.key.site]
    assert norm.kind == "batch"
    assert norm.eps == pytest.approx(1e-3)
    assert norm.elements == 1
    assert norm.momentum == pytest.approx(0.2)
    np.testing.assert_allclose(norm.running_mean, model[0].running_mean.numpy())
    np.testing.assert_allclose(norm.running_var, model[0].running_var.numpy())
    assert not norm.uses_batch_statistics
    assert find(found, model(x).detach().numpy(), "layer").type in ("Gemm", "MatMul")


def test_torchs_own_attention_shows_its_logits(tmp_path):
    torch.manual_seed(1)
    model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0, activation="gelu").eval()
    x = torch.randn(4, 5, 8)
    path = export(model, torch.randn(2, 5, 8), tmp_path / "m.onnx", dynamo=True, opset=18)
    found = run(path, [batch(x.numpy())])
    (logits,) = [each for each in found.network.sites if each.key.position == "logits"]
    assert logits.shape == ("N", 2, 5, 5)
    weight, bias = model.self_attn.in_proj_weight, model.self_attn.in_proj_bias
    q, k, _ = (x @ weight.T + bias).detach().reshape(4, 5, 3, 2, 4).permute(2, 0, 3, 1, 4)
    largest = (q @ k.transpose(-1, -2) / 2).abs().amax(-1)
    np.testing.assert_allclose(found.seen.values(logits.key.site), flat(largest, 1), rtol=1e-4)
    roles = [m.role for m in found.network.modules]
    assert roles.count("norm") == 2
    assert roles.count("block") == 2
    assert roles.count("activation") == 1


@pytest.mark.parametrize("batch_first", [False, True])
def test_an_exported_lstm_classifier(tmp_path, batch_first):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.LSTM(4, 6, bidirectional=True, batch_first=batch_first), nn.Linear(12, 3)

        def forward(self, x):
            seq, _ = self.rnn(x if batch_first else x.transpose(0, 1))
            return self.head(seq if batch_first else seq.transpose(0, 1))

    torch.manual_seed(0)
    model = Net().eval()
    x = torch.randn(5, 7, 4)
    path = export(model, torch.randn(2, 7, 4), tmp_path / "m.onnx", dynamo=False, opset=17)
    found = run(path, [batch(x.numpy())])
    (rnn,) = [m for m in found.network.modules if m.type == "LSTM"]
    assert rnn.has_bias
    where = next(each for each in found.network.sites if each.key == rnn.output)
    assert (where.shape, where.layout.channel_axis, where.layout.sample_axis) == ((7, 2, "N", 6), 3, 2)
    sequence = model.rnn(x if batch_first else x.transpose(0, 1))[0].detach()
    sequence = (sequence if batch_first else sequence.transpose(0, 1)).reshape(5, 7, 2, 6)
    np.testing.assert_allclose(found.seen.values(where.key.site), sequence.reshape(-1, 6).numpy(), atol=1e-5)
    find(found, model(x).detach().numpy().reshape(-1, 3), "layer")
