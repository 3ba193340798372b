"""Existing normalizations, against PyTorch's own train mode, numpy and closed forms."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from norm_reading import evidence_of, read
from torch import nn

from covscan.capture.types import Norm, SiteKey
from covscan.measures.norm_batch import discrepancy, effective_per_sample, staleness
from covscan.measures.norm_dropout import _weight_power
from covscan.measures.norm_samples import outlier_dominance, sample_variances
from covscan.measures.norms import norm_evidence
from covscan.stats import SiteSummary
from covscan.stats.origin import Origin

SAMPLES = 512


@pytest.fixture(autouse=True)
def one_thread():
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.fixture
def data():
    return np.random.default_rng(0).normal(0.5, 2.0, (SAMPLES, 12)).astype(np.float32)


def net(*modules, **named):
    made = nn.Sequential()
    for name, module in named.items():
        made.add_module(name, module)
    for number, module in enumerate(modules):
        made.add_module(str(number), module)
    return made


def settle(module, data, passes=1):
    """Let BatchNorm take the statistics of all the data at once."""
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.momentum = None
    module.train()
    with torch.no_grad():
        for _ in range(passes):
            module(torch.from_numpy(data))
    return module.eval()


def summary_of(values, blocks=16, samples=None):
    """A summary of (rows, channels), each row a sample unless ``samples`` numbers them."""
    sample = np.arange(len(values)) if samples is None else np.asarray(samples)
    made = SiteSummary(values.shape[1], blocks, 0)
    position = np.zeros(len(values), np.int64)
    for number in range(len(position)):
        position[number] = np.sum(sample[:number] == sample[number])
    made.update(values, Origin(sample, position, sample % blocks))
    return made


def test_statistics_of_the_data_are_not_stale(data):
    made = settle(net(fc=nn.Linear(12, 8, bias=False), bn=nn.BatchNorm1d(8), act=nn.ReLU()), data)
    found = evidence_of(made, data, "bn")
    assert found.kind == "batch"
    assert (found.site, found.position) == ("fc", "output")
    assert found.samples == SAMPLES
    assert found.stale_mean == pytest.approx(0, abs=1e-5)
    assert found.stale_variance == pytest.approx(0, abs=1e-5)
    assert found.stale_distance == pytest.approx(0, abs=1e-4)
    assert found.stale_mean_share == found.stale_variance_share == 0
    assert not found.never_updated


def test_stored_statistics_off_by_a_known_amount_are_measured_as_that(data):
    made = settle(net(fc=nn.Linear(12, 8), bn=nn.BatchNorm1d(8)), data)
    bn = made.bn
    bn.running_mean += 0.7 * bn.running_var.sqrt()
    bn.running_var *= 3.0
    found = evidence_of(made, data, "bn")
    assert found.stale_mean == pytest.approx(0.7, rel=1e-4)
    assert found.stale_variance == pytest.approx(np.log(3), rel=1e-4)
    assert found.stale_mean_share == found.stale_variance_share == 1
    expected = np.sqrt((0.7**2 + (np.sqrt(3) - 1) ** 2) / 3)
    assert found.stale_distance == pytest.approx(expected, rel=1e-4)


def test_the_noise_of_staleness_is_that_of_the_mean():
    """95 % of the medians between fresh draws and the truth lie below the noise."""
    generator = np.random.default_rng(1)
    norm = Norm("batch", 1e-5, running_mean=np.zeros(32), running_var=np.ones(32))
    found = [staleness(norm, summary_of(generator.normal(size=(256, 32))).moments) for _ in range(40)]
    assert np.mean([one.mean < one.mean_noise for one in found]) >= 0.9
    assert np.mean([one.variance < one.variance_noise for one in found]) >= 0.9
    assert np.median([one.mean_noise for one in found]) == pytest.approx(1.96 / 16, rel=0.15)


def test_with_few_samples_the_variance_is_compared_without_its_bias():
    generator = np.random.default_rng(2)
    norm = Norm("batch", 1e-5, running_mean=np.zeros(4000), running_var=np.ones(4000))
    made = summary_of(generator.normal(size=(8, 4000)), blocks=8)
    biased = np.log(1 / made.moments.pooled().variance)
    unbiased = np.log(1 / (made.moments.pooled().variance * 8 / 7))
    assert staleness(norm, made.moments).variance == pytest.approx(np.median(np.abs(unbiased)), rel=1e-6)
    assert np.mean(unbiased) == pytest.approx(np.mean(biased) - np.log(8 / 7))


def test_what_cannot_be_compared_gives_nothing():
    values = np.random.default_rng(3).normal(size=(64, 4))
    bare = Norm("batch", 1e-5)
    other = Norm("batch", 1e-5, running_mean=np.zeros(5), running_var=np.ones(5))
    fitting = Norm("batch", 1e-5, running_mean=np.zeros(4), running_var=np.ones(4))
    made, constant = summary_of(values), summary_of(np.ones((64, 4)))
    assert staleness(bare, made.moments) is staleness(other, made.moments) is None
    assert staleness(fitting, constant.moments) is None
    assert discrepancy(bare, made) is discrepancy(other, made) is discrepancy(fitting, constant) is None
    assert effective_per_sample(constant) is None
    assert effective_per_sample(summary_of(values, blocks=2)) is None
    few = staleness(fitting, summary_of(values, blocks=2).moments)
    assert few.mean_noise is None
    assert few.variance_noise is None
    assert few.mean_share == np.mean(np.abs(values.mean(axis=0)) / values.std(axis=0, ddof=1) > 0.5)


def test_dead_channels_do_not_count_as_stale():
    values = np.random.default_rng(4).normal(size=(256, 4))
    values[:, 0] = 0.0
    norm = Norm("batch", 1e-5, running_mean=np.zeros(4), running_var=np.array([100.0, 1, 1, 1]))
    assert staleness(norm, summary_of(values).moments).variance_share == 0


def test_discrepancy_is_that_of_the_authors_formula():
    generator = np.random.default_rng(5)
    values = generator.normal(1.0, 2.0, (256, 6))
    norm = Norm("batch", 1e-5, running_mean=np.zeros(6), running_var=np.ones(6))
    found = discrepancy(norm, summary_of(values, blocks=8))
    batches = [values[np.arange(256) % 8 == number] for number in range(8)]
    mean = np.mean([np.abs(0 - batch.mean(0)) / batch.std(0) for batch in batches])
    spread = np.mean([np.abs(1 / batch.std(0) - 1) for batch in batches])
    null = np.mean([np.abs(values.mean(0) - batch.mean(0)) / batch.std(0) for batch in batches])
    assert found.mean == pytest.approx(mean)
    assert found.variance == pytest.approx(spread)
    assert found.mean_null == pytest.approx(null)
    assert found.samples == 32


def test_batches_are_joined_until_they_hold_enough():
    norm = Norm("batch", 1e-5, running_mean=np.zeros(3), running_var=np.ones(3))
    values = np.random.default_rng(6).normal(size=(128, 3))
    assert discrepancy(norm, summary_of(values, blocks=32)).samples == 32
    assert discrepancy(norm, summary_of(values[:10], blocks=10)).samples == 10


@pytest.mark.parametrize(("independent", "expected"), [(True, 8.0), (False, 1.0)])
def test_independent_values_per_sample(independent, expected):
    generator = np.random.default_rng(7)
    rows = generator.normal(size=(400, 8, 40)) if independent else np.repeat(generator.normal(size=(400, 1, 40)), 8, 1)
    made = summary_of(rows.reshape(-1, 40), blocks=32, samples=np.repeat(np.arange(400), 8))
    assert effective_per_sample(made) == pytest.approx(expected, rel=0.25)


def test_never_updated_by_values_or_by_count(data):
    fresh = evidence_of(net(fc=nn.Linear(12, 8), bn=nn.BatchNorm1d(8)), data, "bn")
    assert fresh.never_updated
    assert fresh.initial_affine
    assert fresh.stale_mean is None
    assert fresh.coverage == 0
    made = net(fc=nn.Linear(12, 8), bn=nn.BatchNorm1d(8))
    made.bn.running_mean += 1
    assert evidence_of(made, data, "bn").never_updated
    made.bn.num_batches_tracked += 20
    counted = evidence_of(made, data, "bn")
    assert not counted.never_updated
    assert counted.coverage == pytest.approx(1 - 0.9**20)


def test_gains_and_what_a_rectifier_never_lets_through(data):
    made = settle(net(fc=nn.Linear(12, 8), bn=nn.BatchNorm1d(8), act=nn.ReLU()), data)
    with torch.no_grad():
        made.bn.weight[:2] = 1e-5
        made.bn.bias[0] = -1.0
        made.bn.bias[3] = -4.0
    found = evidence_of(made, data, "bn")
    assert found.gamma_collapsed_share == 2 / 8
    assert found.dead_after_relu_share == 2 / 8
    assert not found.initial_affine
    with torch.no_grad():
        output = made(torch.from_numpy(data)).numpy()
    assert (output == 0).all(axis=0).sum() == 2
    without = settle(net(fc=nn.Linear(12, 8), bn=nn.BatchNorm1d(8), act=nn.Sigmoid()), data)
    assert evidence_of(without, data, "bn").dead_after_relu_share is None


def test_gains_that_are_all_zero_are_not_collapsed_ones(data):
    made = settle(net(fc=nn.Linear(12, 8), bn=nn.BatchNorm1d(8)), data)
    nn.init.zeros_(made.bn.weight)
    found = evidence_of(made, data, "bn")
    assert found.gamma_all_zero
    assert found.gamma_collapsed_share is None


def test_eps_against_the_variance_of_the_input(data):
    made = settle(net(fc=nn.Linear(12, 8), bn=nn.BatchNorm1d(8)), data)
    with torch.no_grad():
        made.fc.weight *= 1e-4
        values = made.fc(torch.from_numpy(data)).numpy()
    found = evidence_of(made, data, "bn")
    assert found.eps_share == pytest.approx(np.median(1e-5 / (values.var(axis=0) + 1e-5)), rel=1e-3)
    assert found.eps_dominated_share == 1
    healthy = evidence_of(settle(net(fc=nn.Linear(12, 8), bn=nn.BatchNorm1d(8)), data), data, "bn")
    assert healthy.eps_share < 1e-3


@pytest.mark.parametrize("kind", ["layer", "rms"])
def test_eps_per_row(kind):
    values = np.random.default_rng(8).normal(0.01, 0.001, (200, 32)).astype(np.float32)
    made = nn.LayerNorm(32) if kind == "layer" else nn.RMSNorm(32, eps=1e-5)
    found = evidence_of(net(norm=made), values, "norm")
    size = values.var(axis=1) if kind == "layer" else np.square(values).mean(axis=1)
    assert found.kind == kind
    assert found.eps_share == pytest.approx(np.median(1e-5 / (size + 1e-5)), rel=1e-3)
    assert found.tiny_variance_share is None


def test_one_channel_that_dominates_a_layernorm():
    values = np.random.default_rng(9).normal(size=(200, 64)).astype(np.float32)
    quiet = evidence_of(net(norm=nn.LayerNorm(64)), values, "norm").outlier_dominance
    assert quiet == pytest.approx(np.median(np.square(values).max(1) / np.square(values).sum(1)), rel=1e-4)
    values[:, 5] = 50.0
    assert evidence_of(net(norm=nn.LayerNorm(64)), values, "norm").outlier_dominance > 0.9
    assert evidence_of(net(norm=nn.LayerNorm(8)), values[:, :8], "norm").outlier_dominance is None


def test_rows_of_zeros_and_odd_rows_say_nothing_about_outliers():
    norm = Norm("layer", 1e-5)
    assert outlier_dominance(norm, summary_of(np.zeros((8, 32))).rows) is None
    assert sample_variances(norm, summary_of(np.full((8, 32), np.nan)).rows) is None
    assert sample_variances(norm, summary_of(np.ones((8, 1))).rows) is None


def test_instance_and_group_statistics_within_samples():
    images = np.random.default_rng(10).normal(size=(64, 8, 4, 4)).astype(np.float32)
    images[:32] *= 1e-4
    made = evidence_of(net(norm=nn.InstanceNorm2d(8)), images, "norm")
    assert made.elements == 16
    assert made.tiny_variance_share == pytest.approx(0.5)
    grouped = evidence_of(net(norm=nn.GroupNorm(2, 8)), images, "norm")
    assert grouped.elements == 64
    assert grouped.tiny_variance_share == pytest.approx(0.5)
    lone = evidence_of(net(norm=nn.GroupNorm(8, 8)), images[:, :, :1, :1], "norm")
    assert lone.elements == 1
    assert lone.tiny_variance_share is None


def test_group_statistics_are_unbiased_against_numpy():
    values = np.random.default_rng(11).normal(size=(30, 12))
    rows = summary_of(values, samples=np.repeat(np.arange(10), 3)).rows
    found = np.sort(sample_variances(Norm("group", 1e-5, groups=3), rows))
    expected = [values[3 * s : 3 * s + 3, 4 * g : 4 * g + 4].var(ddof=1) for s in range(10) for g in range(3)]
    assert found == pytest.approx(np.sort(expected), rel=1e-5)
    assert sample_variances(Norm("group", 1e-5, groups=5), rows) is None


@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_dropout_directly_in_front_of_a_batchnorm(keep):
    """Li et al. 2019: v / ((c^2 + v) / p - c^2), against PyTorch's own dropout."""
    data = np.random.default_rng(12).normal(1.0, 1.0, (20000, 4)).astype(np.float32)
    made = settle(net(drop=nn.Dropout(1 - keep), bn=nn.BatchNorm1d(4)), data)
    found = evidence_of(made, data, "bn", samples=20000)
    assert found.dropout_source == "drop"
    assert found.dropout_variance_ratio == pytest.approx(1 / (2 / keep - 1), rel=0.03)
    assert np.exp(-np.log(made.bn.running_var.numpy() / data.var(axis=0))).mean() == pytest.approx(
        found.dropout_variance_ratio, rel=0.05
    )


@pytest.mark.parametrize("kind", ["linear", "conv"])
def test_dropout_then_a_layer_then_a_batchnorm(kind):
    """Var_train = Var_eval + sum_j w_j^2 E[x_j^2] (1 - p) / p, against a simulation by PyTorch."""
    generator = np.random.default_rng(13)
    if kind == "linear":
        data = generator.normal(0.7, 1.3, (4000, 6)).astype(np.float32)
        made = net(drop=nn.Dropout(0.3), fc=nn.Linear(6, 5), bn=nn.BatchNorm1d(5))
    else:
        data = generator.normal(0.7, 1.3, (800, 3, 6, 6)).astype(np.float32)
        made = net(drop=nn.Dropout(0.3), fc=nn.Conv2d(3, 5, 3), bn=nn.BatchNorm2d(5))
    made = settle(made, data, passes=20)
    found = evidence_of(made, data, "bn", samples=4000)
    with torch.no_grad():
        before = made.fc(torch.from_numpy(data)).numpy()
    axes = tuple(axis for axis in range(before.ndim) if axis != 1)
    simulated = np.median(before.var(axis=axes) / made.bn.running_var.numpy())
    assert found.dropout_source == "drop"
    assert found.dropout_variance_ratio == pytest.approx(simulated, rel=0.02)


def test_dropout_elsewhere_is_not_blamed(data):
    behind = settle(net(fc=nn.Linear(12, 8), bn=nn.BatchNorm1d(8), drop=nn.Dropout(0.5)), data)
    assert evidence_of(behind, data, "bn").dropout_source is None
    earlier = settle(
        net(drop=nn.Dropout(0.5), a=nn.Linear(12, 8), act=nn.ReLU(), b=nn.Linear(8, 8), bn=nn.BatchNorm1d(8)), data
    )
    assert evidence_of(earlier, data, "bn").dropout_source is None
    off = settle(net(drop=nn.Dropout(0.0), fc=nn.Linear(12, 8), bn=nn.BatchNorm1d(8)), data)
    assert evidence_of(off, data, "bn").dropout_source is None
    whole = settle(net(drop=nn.Dropout1d(0.5), fc=nn.Linear(12, 8), bn=nn.BatchNorm1d(8)), data)
    assert evidence_of(whole, data, "bn").dropout_source is None


def test_weights_of_another_shape_give_no_closed_form():
    weights = {"a": np.ones((3, 4)), "t": np.ones((4, 3)), "bias": np.ones(3), "odd": torch.ones(7, 7)}
    assert _weight_power(("missing", "bias", "a"), weights, 3, 4) == pytest.approx(np.ones((3, 4)))
    assert _weight_power(("t",), weights, 3, 4) == pytest.approx(np.ones((3, 4)))
    assert _weight_power(("odd",), weights, 3, 4) is None


def test_a_bias_that_the_norm_subtracts_again(data):
    assert evidence_of(net(fc=nn.Linear(12, 8), bn=nn.BatchNorm1d(8)), data, "bn").redundant_bias == "fc"
    assert evidence_of(net(fc=nn.Linear(12, 8, bias=False), bn=nn.BatchNorm1d(8)), data, "bn").redundant_bias is None
    assert evidence_of(net(fc=nn.Linear(12, 8), ln=nn.LayerNorm(8)), data, "ln").redundant_bias is None

    class Skip(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.bn, self.other = nn.Linear(12, 8), nn.BatchNorm1d(8), nn.Linear(8, 8)

        def forward(self, x):
            h = self.fc(x)
            return self.bn(h) + self.other(h)

    assert evidence_of(Skip(), data, "bn").redundant_bias is None


def test_norms_in_a_row_and_between_linear_layers(data):
    row = net(fc=nn.Linear(12, 8), a=nn.BatchNorm1d(8), b=nn.LayerNorm(8))
    assert evidence_of(row, data, "b").follows_norm == "a"
    assert evidence_of(row, data, "a").follows_norm is None
    between = net(a=nn.Linear(12, 8), bn=nn.BatchNorm1d(8), b=nn.Linear(8, 8))
    assert evidence_of(between, data, "bn").between_linear == ("a", "b")
    active = net(a=nn.Linear(12, 8), bn=nn.BatchNorm1d(8), act=nn.ReLU(), b=nn.Linear(8, 8))
    assert evidence_of(active, data, "bn").between_linear is None


def test_norms_that_read_parts_of_one_tensor_do_not_follow_one_another(data):
    class Parts(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.a, self.b = nn.Linear(12, 8), nn.LayerNorm(4), nn.LayerNorm(4)

        def forward(self, x):
            one, other = self.fc(x).chunk(2, -1)
            return self.a(one) + self.b(other)

    assert evidence_of(Parts(), data, "b").follows_norm is None


def test_a_norm_that_activates_itself_is_no_linear_map(data):
    class NormAndRelu(nn.BatchNorm1d):
        def __init__(self, channels):
            super().__init__(channels)
            self.act = nn.ReLU()

        def forward(self, x):
            return self.act(super().forward(x))

    made = net(a=nn.Linear(12, 8), bn=NormAndRelu(8), b=nn.Linear(8, 8))
    with torch.no_grad():
        made.bn.bias[0] = -9
    found = evidence_of(made, data, "bn")
    assert found.between_linear is None
    assert found.dead_after_relu_share == pytest.approx(1 / 8)


def test_a_gain_of_one_more_than_the_weight_is_no_gain_of_zero(data):
    class Own(nn.Module):
        def __init__(self, offset):
            super().__init__()
            self.offset, self.weight = offset, nn.Parameter(torch.linspace(-0.1, 0.1, 8) + 1 - offset)

        def forward(self, x):
            return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * (self.offset + self.weight)

    class ShiftedNorm(Own):
        pass

    for offset in (0.0, 1.0):
        made = net(fc=nn.Linear(12, 8), norm=ShiftedNorm(offset))
        assert not evidence_of(made, data, "norm").gamma_all_zero
        zero = net(fc=nn.Linear(12, 8), norm=ShiftedNorm(offset))
        nn.init.zeros_(zero.norm.weight)
        found = evidence_of(zero, data, "norm")
        assert found.gamma_all_zero is (offset == 0.0)
        assert found.initial_affine is (offset == 1.0)


def test_batch_statistics_in_evaluation_and_frozen_gains(data):
    made = net(fc=nn.Linear(12, 8), bn=nn.BatchNorm1d(8, track_running_stats=False))
    found = evidence_of(made, data, "bn")
    assert found.uses_batch_statistics
    assert not found.has_statistics
    assert found.stale_mean is None
    made.bn.weight.requires_grad_(False)
    assert evidence_of(made, data, "bn").frozen


def test_a_norm_without_summary_or_without_place_keeps_its_own_figures(data):
    network, _ = read(net(fc=nn.Linear(12, 8), bn=nn.BatchNorm1d(8)), data)
    norm = Norm("batch", 1e-5, weight=np.ones(8), bias=np.zeros(8), running_mean=np.zeros(8), running_var=np.ones(8))
    found = norm_evidence(network, {"bn": norm, "elsewhere": norm}, {}, {})
    assert found["bn"].site is None
    assert found["bn"].redundant_bias == "fc"
    assert found["elsewhere"] == replace(found["bn"], redundant_bias=None)


def test_a_norm_called_twice_is_judged_by_its_first_call(data):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.bn = nn.Linear(12, 12), nn.BatchNorm1d(12)

        def forward(self, x):
            return self.bn(torch.relu(self.bn(self.fc(x))))

    network, found = read(Twice(), data)
    assert found["bn"].site == "fc"
    assert SiteKey("bn#2", "output") in {site.key for site in network.sites}
