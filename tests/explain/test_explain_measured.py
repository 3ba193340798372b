"""Reports that were just measured: per-channel figures, two data sets, gates, gradients."""

import pytest
import torch
from msgspec import structs

import covscan
from covscan.explain import Request, explain
from covscan.report import from_json, to_json


def network(seed, scale=1.0):
    torch.manual_seed(seed)
    net = torch.nn.Sequential(torch.nn.Conv1d(3, 6, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(36, 4))
    with torch.no_grad():
        for weights in net.parameters():
            weights.mul_(scale)
    return net


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    for step, scale in ((0, 1.0), (5, 1.5), (9, 2.5)):
        torch.save(network(step, scale).state_dict(), folder / f"step-{step}.pt")
    return [str(folder / f"step-{step}.pt") for step in (0, 5, 9)]


def data(shift=0.0, spoil=False, still=1.0):
    """Random samples; ``still`` scales the spread of the last channel."""
    found = torch.randn(96, 3, 8, generator=torch.Generator().manual_seed(1))
    found[:, 2] *= still
    found += shift
    if spoil:
        found[3, 1, 2] = float("nan")
    return found.numpy()


def written(report):
    """As it is once it was written and read."""
    return from_json(to_json(report))


def everything(report):
    return [explain(report, Request(site.site, site.position), "r.json") for site in report.sites]


@pytest.mark.parametrize("spoil", [False, True])
def test_per_channel_figures_give_the_others(paths, spoil):
    report = written(
        covscan.analyze(paths, data=data(spoil=spoil), model=network_of_zero, per_channel=True, positions=4)
    )
    found = everything(report)
    assert [text for each in found for text in each.disagreeing] == []
    formulas = {check.formula for each in found for value in each.values for check in value.checks}
    assert {"mean of channel_means", "mean of |m_B - m_A| / sqrt((v_A + v_B) / 2)"} <= formulas
    spoiled = [site for site in report.sites if any(each.nonfinite_share for each in site.statistics.values())]
    assert bool(spoiled) is spoil
    for site in spoiled:
        values = explain(report, Request(site.site, site.position, names=("mean", "std")), "r.json").values
        assert not any(value.checks for value in values)


def network_of_zero():
    return network(0)


def test_a_changed_channel_is_found(paths):
    report = written(covscan.analyze(paths[:2], data=data(), model=network_of_zero, per_channel=True))
    site = next(each for each in report.sites if each.position == "output" and each.type == "Conv1d")
    found = site.statistics["step-5"]
    means = [mean + 0.01 for mean in found.channel_means]
    worse = structs.replace(site, statistics=site.statistics | {"step-5": structs.replace(found, channel_means=means)})
    report = structs.replace(report, sites=[worse if each is site else each for each in report.sites])
    named = {text.split()[0] for text in explain(report, Request(site.site), "r.json").disagreeing}
    assert {"mean", "channel_mean_square", "standardized_mean_difference"} <= named


def test_two_data_sets_travel_from_where_they_enter(paths):
    other, first = data(0.8, still=0.05), data(still=0.01)  # under a tenth of the median spread
    report = written(
        covscan.analyze(paths[2], data=other, reference_data=first, model=network_of_zero, per_channel=True)
    )
    found = everything(report)
    assert [text for each in found for text in each.disagreeing] == []
    checks = [check for each in found for value in each.values if value.name == "shift_amplification"
              for check in value.checks]  # fmt: skip
    assert any("where the data enter" in check.formula for check in checks)
    assert any("squares of two jackknives" in text for text in found[0].certainty)
