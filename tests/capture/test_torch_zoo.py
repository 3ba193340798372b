"""Networks that break tools of this kind, each against the truth."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch_testing import agrees, capture

torch.manual_seed(0)
IMAGES = torch.randn(10, 3, 8, 8)
ROWS = torch.randn(20, 6)
TOKENS = torch.randn(12, 7, 16)


def seen(module, name, *args, position="output", **kwargs):
    """What one submodule gives or takes, by a hook that copies."""
    found = []

    def keep(_, inputs, output):
        value = inputs[0] if position == "input" else output
        value = value[0] if isinstance(value, tuple) else value
        found.append(value.detach().clone())

    handle = dict(module.named_modules())[name].register_forward_hook(keep)
    with torch.no_grad():
        module.eval()(*args, **kwargs)
    handle.remove()
    return found


def test_inplace_activation_does_not_change_what_the_conv_gave():
    net = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(inplace=True), nn.Conv2d(5, 4, 3))
    run = capture(net, IMAGES.numpy())
    conv = functional.conv2d(IMAGES, net[0].weight, net[0].bias)
    agrees(run.moments("0"), conv, 1)
    agrees(run.moments("1"), conv.relu(), 1)
    same = {site.key: site.same_as for site in run.network.sites}
    names = {(key.site, key.position): (as_.site, as_.position) if as_ else None for key, as_ in same.items()}
    assert names["1", "input"] == ("0", "output")
    assert names["2", "input"] == ("1", "output")
    assert names["0", "input"] is None


@pytest.mark.parametrize("batch_size", [1, 3, 10, 64])
def test_any_cut_into_batches_gives_the_same(batch_size):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    run = capture(net, IMAGES.numpy(), batch_size=batch_size)
    agrees(run.moments("0"), functional.conv2d(IMAGES, net[0].weight, net[0].bias), 1)
    assert run.summary.sites[next(iter(run.summary.sites))].samples == 10


def test_sampled_positions_are_unbiased_and_the_same_for_any_batch_size():
    images = torch.randn(200, 2, 16, 16) + torch.linspace(-3, 3, 16)  # the mean depends on the column
    net = nn.Sequential(nn.Conv2d(2, 3, 1))
    one = capture(net, images.numpy(), positions=32, batch_size=7)
    other = capture(net, images.numpy(), positions=32, batch_size=64)
    np.testing.assert_allclose(one.moments("0").mean, other.moments("0").mean, rtol=1e-4, atol=1e-6)
    whole = net(images).detach().movedim(1, -1).reshape(-1, 3).numpy()
    error = 4 * whole.std(axis=0) / np.sqrt(200 * 32)
    assert (np.abs(one.moments("0").mean - whole.mean(axis=0)) < error).all()
    assert one.moments("0").count[0] == 200 * 32


def test_calls_of_a_reused_module_are_apart():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 6)

        def forward(self, x):
            return self.fc(self.fc(x).tanh())

    net = Twice()
    run = capture(net, ROWS.numpy())
    first, second = seen(net, "fc", ROWS)
    agrees(run.moments("fc"), first, 1)
    agrees(run.moments("fc#2"), second, 1)
    agrees(run.moments("fc#2", "input"), first.tanh(), 1)


@dataclasses.dataclass
class Answer:
    logits: torch.Tensor
    extra: object = None


class Odd(nn.Module):
    """Modules that give tuples, lists, dicts, dataclasses, None, numbers."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.inner, self.last = kind, nn.Linear(6, 4), nn.Linear(4, 2)
        self.wrap = Wrap(kind)

    def forward(self, x):
        value = self.wrap(self.inner(x))
        if isinstance(value, Answer):
            value = value.logits
        elif isinstance(value, dict):
            value = value["y"]
        elif isinstance(value, tuple | list):
            value = value[0]
        elif value is None or isinstance(value, int):
            value = self.inner(x)
        return self.last(value)


class Wrap(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def forward(self, x):
        y = x * 2
        return {"tuple": (y, 3), "list": [y], "dict": {"y": y}, "dataclass": Answer(y), "none": None, "number": 7}[
            self.kind
        ]


@pytest.mark.parametrize("kind", ["tuple", "list", "dict", "dataclass", "none", "number"])
def test_outputs_of_every_kind(kind):
    net = Odd(kind)
    run = capture(net, ROWS.numpy())
    inner = functional.linear(ROWS, net.inner.weight, net.inner.bias)
    agrees(run.moments("inner"), inner, 1)
    last = net.last(inner if kind in ("none", "number") else inner * 2)
    agrees(run.moments("last"), last, 1)


def test_what_never_fires_is_said():
    class Partly(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(6, 2), nn.Linear(6, 2)
            self.blocks = nn.ModuleList([nn.Linear(2, 2)])

        def forward(self, x):
            return self.blocks[0](self.used(x))

    run = capture(Partly(), ROWS.numpy())
    assert run.network.never_fired == ("unused",)


def test_a_site_that_stops_firing_is_skipped_with_its_reason():
    class Moody(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(6, 2), nn.Linear(6, 2)

        def forward(self, x):
            return self.a(x) if len(x) == len(ROWS) else self.b(x)  # the plan runs a few samples

    run = capture(Moody(), ROWS.numpy())
    assert "did not run" in run.skipped()["b"]


def test_token_ids_are_skipped_and_embeddings_read():
    net = nn.Sequential(nn.Embedding(50, 8), nn.Linear(8, 4))
    ids = torch.randint(50, (12, 5))
    run = capture(net, ids.numpy())
    agrees(run.moments("0"), net[0](ids), 2)
    assert run.sites() == {("0", "output"), ("1", "input"), ("1", "output")}


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_know_their_sample_axis(kind, batch_first):
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = kind(16, 6, batch_first=batch_first), nn.Linear(6, 2)

        def forward(self, x):
            y, _ = self.rnn(x if batch_first else x.transpose(0, 1))
            return self.head(y if batch_first else y.transpose(0, 1))

    net = Recurrent()
    run = capture(net, TOKENS.numpy())
    [output] = seen(net, "rnn", TOKENS)
    agrees(run.moments("rnn"), output, 2)
    site = next(site for site in run.network.sites if site.key.site == "rnn" and site.key.position == "output")
    assert site.layout.sample_axis == (0 if batch_first else 1)
    assert run.summary.sites[site.key].samples == 12


def test_packed_sequences_leave_padding_out():
    lengths = torch.tensor([7, 3, 5, 1] * 3)

    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(16, 6, batch_first=True)

        def forward(self, x, lengths):
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
            return self.rnn(packed)[1]

    net = Packed()
    run = capture(net, {"x": TOKENS.numpy(), "lengths": lengths.numpy()})
    packed = nn.utils.rnn.pack_padded_sequence(TOKENS, lengths, batch_first=True, enforce_sorted=False)
    output, _ = net.rnn(packed)
    agrees(run.moments("rnn"), output.data, 1)
    agrees(run.moments("rnn", "input"), packed.data, 1)
    assert run.moments("rnn").count[0] == lengths.sum()


class Encoder(nn.Module):
    def __init__(self, **options):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 24, batch_first=True, **options)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=options.get("norm_first") is None)

    def forward(self, x, src_key_padding_mask=None):
        return self.encoder(x, src_key_padding_mask=src_key_padding_mask)


def test_transformer_encoder_with_a_padding_mask_leaves_padding_out():
    net = Encoder()
    lengths = np.array([7, 3, 5, 2] * 3)
    padded = np.arange(7)[None] >= lengths[:, None]
    run = capture(net, {"x": TOKENS.numpy(), "src_key_padding_mask": padded})
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    [linear] = seen(net, "encoder.layers.0.linear1", TOKENS, torch.from_numpy(padded))
    torch.backends.mha.set_fastpath_enabled(fast)
    kept = linear[torch.from_numpy(~padded)]
    agrees(run.moments("encoder.layers.0.linear1"), kept, 1)
    assert run.moments("encoder.layers.0.linear1").count[0] == lengths.sum()
    assert fast == torch.backends.mha.get_fastpath_enabled()


def test_nested_tensors_are_read_without_padding():
    class Nested(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(16, 4)

        def forward(self, x):
            parts = [part[: 2 + number % 3] for number, part in enumerate(x)]
            return self.fc(torch.nested.nested_tensor(parts, layout=torch.strided))

    net = Nested()
    run = capture(net, TOKENS.numpy())
    rows = torch.cat([part[: 2 + number % 3] for number, part in enumerate(TOKENS)])
    agrees(run.moments("fc"), net.fc(rows), 1)


def test_attention_logits_are_seen_and_exact():
    net = nn.MultiheadAttention(16, 4, batch_first=True)

    class Self(nn.Module):
        def __init__(self, weights):
            super().__init__()
            self.attn, self.weights = net, weights

        def forward(self, x):
            return self.attn(x, x, x, need_weights=self.weights)[0]

    q, k, _ = functional.linear(TOKENS, net.in_proj_weight, net.in_proj_bias).chunk(3, -1)
    q, k = (part.view(12, 7, 4, 4).transpose(1, 2) for part in (q, k))
    logits = (q @ k.transpose(-1, -2) / 2).abs().amax(-1)  # (samples, heads, queries)
    for weights in (True, False):
        run = capture(Self(weights), TOKENS.numpy())
        agrees(run.moments("attn", "logits"), logits, 1)


@pytest.mark.parametrize("mask", ["causal", "bool", "float", None])
def test_attention_logits_leave_out_what_is_masked(mask):
    class Causal(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = Inner()

        def forward(self, x):
            return self.attention(x)

    class Inner(nn.Module):
        def __init__(self):
            super().__init__()
            self.qk = nn.Linear(16, 32)

        def forward(self, x):
            q, k = (t.view(len(x), 7, 2, 8).transpose(1, 2) for t in self.qk(x).chunk(2, -1))
            lower = torch.ones(7, 7, dtype=torch.bool).tril()
            given = {"bool": lower, "float": torch.zeros(7, 7).masked_fill(~lower, -torch.inf)}.get(mask)
            return functional.scaled_dot_product_attention(q, k, q, attn_mask=given, is_causal=mask == "causal")

    net = Causal()
    run = capture(net, TOKENS.numpy())
    q, k = (t.view(12, 7, 2, 8).transpose(1, 2) for t in net.attention.qk(TOKENS).chunk(2, -1))
    logits = (q @ k.transpose(-1, -2) / 8**0.5).abs()
    if mask:
        logits = logits * torch.ones(7, 7).tril()
    agrees(run.moments("attention", "logits"), logits.amax(-1), 1)


def test_a_softmax_over_classes_is_not_attention():
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(16, 5)

        def forward(self, x):
            return functional.softmax(self.fc(x), dim=-1)

    assert all(position != "logits" for _, position in capture(Tagger(), TOKENS.numpy()).sites())


class Windows(nn.Module):
    """Folds 2x2 windows into the batch, as windowed attention does."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 5)

    def forward(self, x):
        n = len(x)
        windows = x.view(n, 3, 2, 4, 2, 4).permute(0, 2, 4, 3, 5, 1).reshape(n * 4, 16, 3)
        return self.fc(windows)


@pytest.mark.parametrize("positions", [None, 8])
def test_windows_folded_into_the_batch_belong_to_their_sample(positions):
    net = Windows()
    run = capture(net, IMAGES.numpy(), positions=positions)
    if positions is None:
        agrees(run.moments("fc"), net(IMAGES), 2)
        assert run.moments("fc").count[0] == 10 * 64
    else:
        assert run.moments("fc").count[0] == 10 * 8
    site = next(site for site in run.network.sites if site.key.position == "output")
    assert site.layout.folded == 4
    assert run.summary.sites[site.key].samples == 10


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_half_and_double_precision(dtype):
    net = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)).to(dtype)
    run = capture(net, ROWS.numpy())
    agrees(run.moments("0"), functional.linear(ROWS.to(dtype), net[0].weight, net[0].bias), 1)


def test_complex_values_are_skipped_with_a_reason():
    class Fourier(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 4)
            self.transform = Transform()

        def forward(self, x):
            return self.transform(self.fc(x)).abs()

    class Transform(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(4))

        def forward(self, x):
            return torch.fft.fft(x * self.scale)

    run = capture(Fourier(), ROWS.numpy())
    assert "complex64 values" in run.skipped()["transform"]
    assert ("fc", "output") in run.sites()


def test_nan_activations_are_counted_and_do_not_poison():
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.act = nn.Linear(6, 4), nn.ReLU()

        def forward(self, x):
            y = self.fc(x)
            return self.act(torch.where(x[:, :1] > 1, torch.nan, y))

    run = capture(Broken(), ROWS.numpy())
    share = (ROWS[:, 0] > 1).float().mean().item()
    key = next(key for key in run.summary.sites if key.site == "act" and key.position == "input")
    counts = run.summary.sites[key].counts
    assert counts.nonfinite.sum() / counts.total.sum() == pytest.approx(share)
    assert np.isfinite(run.moments("act", "input").mean).all()


def test_channels_last_and_transposed_convolutions():
    net = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ConvTranspose2d(5, 4, 2), nn.Conv2d(4, 2, 1)).to(
        memory_format=torch.channels_last
    )
    run = capture(net, IMAGES.numpy(), positions=16)
    assert {site.channels for site in run.network.sites if site.key.position == "output"} == {5, 4, 2}
    exact = capture(net, IMAGES.numpy())
    agrees(exact.moments("1"), net[1](net[0](IMAGES)), 1)


def test_weight_norm_and_spectral_norm_are_layers_still():
    net = nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(6, 5)), nn.utils.parametrizations.spectral_norm(nn.Linear(5, 3))
    )
    net.eval()
    run = capture(net, ROWS.numpy())
    assert run.sites() == {("0", "input"), ("0", "output"), ("1", "input"), ("1", "output")}
    agrees(run.moments("1"), net(ROWS), 1)


def test_residual_sums_show_where_modules_show_them():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 6)

        def forward(self, x):
            return x + self.fc(x)

    net = nn.Sequential(Block(), Block())
    run = capture(net, ROWS.numpy())
    agrees(run.moments("0"), net[0](ROWS), 1)
    block = next(site for site in run.network.sites if site.key.site == "0" and site.key.position == "output")
    assert block.role == "block"
    alone = capture(nn.Sequential(nn.Sequential(nn.Linear(6, 6))), ROWS.numpy())
    assert ("0", "output") not in alone.sites()  # a container that only passes on shows nothing new


@pytest.mark.parametrize(("norm", "axis"), [("channels last", -1), ("channels first", 1)])
def test_layernorm_over_either_axis(norm, axis):
    class ChannelsFirst(nn.LayerNorm):
        def forward(self, x):
            return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 6, 1)
            self.norm = nn.LayerNorm(6) if axis == -1 else ChannelsFirst(6)

        def forward(self, x):
            y = self.conv(x)
            return self.norm(y.permute(0, 2, 3, 1) if axis == -1 else y)

    site = next(
        s for s in capture(Net(), IMAGES.numpy()).network.sites if s.key.site == "norm" and s.key.position == "output"
    )
    assert (site.channels, site.layout.channel_axis) == (6, axis % 4)


def test_custom_layers_and_norms_are_found_by_their_parameters():
    class RootNorm(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(6))

        def forward(self, x):
            return x / x.square().mean(-1, keepdim=True).sqrt() * self.weight

    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.randn(6, 4))

        def forward(self, x):
            return x @ self.w

    run = capture(nn.Sequential(RootNorm(), Mine()), ROWS.numpy())
    roles = {site.key.site: site.role for site in run.network.sites}
    assert roles == {"0": "norm", "1": "layer"}


def test_channels_are_followed_through_a_transposition():
    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.act, self.fc = nn.Conv1d(7, 9, 3, padding=1), nn.GELU(), nn.Linear(9, 4)

        def forward(self, x):
            return self.fc(self.act(self.conv(x).transpose(1, 2)))

    net = Turned()
    run = capture(net, TOKENS.numpy())  # (12, 7, 16): 16 positions
    turned = net.conv(TOKENS).transpose(1, 2)
    agrees(run.moments("act"), functional.gelu(turned), 2)
    agrees(run.moments("act", "input"), turned, 2)
    assert next(s for s in run.network.sites if s.key.site == "act").channels == 9


def test_an_axis_of_three_is_not_taken_for_the_sample():
    class Split(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.act = nn.Linear(16, 24), nn.ReLU()

        def forward(self, x):
            q, _, _ = self.qkv(x).view(len(x), 7, 3, 8).permute(2, 0, 1, 3)
            return self.act(q)

    net = Split()
    run = capture(net, TOKENS.numpy())
    agrees(run.moments("act"), net(TOKENS), 2)


def test_a_functional_inplace_activation_makes_another_tensor():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(6, 5), nn.Linear(5, 2)

        def forward(self, x):
            y = self.first(x)
            functional.relu_(y)
            return self.second(y)

    net = Functional()
    run = capture(net, ROWS.numpy())
    agrees(run.moments("first"), net.first(ROWS), 1)
    agrees(run.moments("second", "input"), net.first(ROWS).relu(), 1)
