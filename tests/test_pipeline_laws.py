"""What holds of every report, whatever the network: identity, invariance, order, and figures that numpy gives too."""

import json
import os
import subprocess
import sys

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

import covscan
from covscan.report import to_json

SAMPLES = 100


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network():
    return nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(96, 8), nn.Dropout(), nn.Linear(8, 3)
    )


def images(count=SAMPLES):
    return np.random.default_rng(1).normal(size=(count, 2, 6, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Checkpoints of steps 2 and 10 whose every weight differs, and data."""
    folder = tmp_path_factory.mktemp("laws")
    for step in (2, 10):
        torch.manual_seed(step)
        torch.save(network().state_dict(), folder / f"step-{step}.pt")
    np.savez(folder / "x.npz", x=images(), label=np.arange(SAMPLES) % 3)
    return folder


def analyze(project, **settings):
    paths = settings.pop("checkpoints", [project / "step-2.pt", project / "step-10.pt"])
    settings = {"data": project / "x.npz", "target": "label", "model": network} | settings
    return covscan.analyze(paths, **settings)


def plain(report):
    """The report as JSON's own values, without what may differ between runs."""
    values = json.loads(to_json(report))
    del values["run"]
    return values


@pytest.fixture(scope="module")
def usual(project):
    return analyze(project)


@pytest.mark.parametrize("times", [2, 3])
def test_identical_checkpoints_shift_by_exactly_nothing(project, tmp_path, times):
    content = (project / "step-2.pt").read_bytes()
    for step in range(times):
        (tmp_path / f"step-{step}.pt").write_bytes(content)
    report = analyze(project, checkpoints=sorted(tmp_path.iterdir()))
    assert report.shifts
    for shift in report.shifts:
        for name, measure in shift.measures.items():
            assert measure.value == 0.0 or (measure.value is None and measure.status), (shift.site, name)
            assert not measure.significant
        assert shift.channels_shifted in {0.0, None}
    moving = {f"COV20{number}" for number in range(1, 8)}
    assert [finding for finding in report.findings if finding.code in moving] == []


def test_one_checkpoint_alone_has_no_shifts_and_says_so(project):
    report = analyze(project, checkpoints=project / "step-2.pt")
    assert report.shifts == []
    assert [finding.severity for finding in report.findings if finding.code == "COV102"] == ["info"]
    assert all(list(site.statistics) == ["step-2"] for site in report.sites)


def oracle(project, name, position):
    """What one site sees at step 2, from a plain hook: (values, channels)."""
    model = network().eval()
    model.load_state_dict(torch.load(project / "step-2.pt", weights_only=True))
    kept = []

    def hook(module, args, out):
        kept.append((out if position == "output" else args[0]).detach().clone())

    model.get_submodule(name).register_forward_hook(hook)
    with torch.no_grad():
        model(torch.from_numpy(images()))
    return kept[0].movedim(1, -1).reshape(-1, kept[0].shape[1]).double().numpy()


@pytest.mark.parametrize(
    ("name", "position"),
    [(name, "output") for name in "01246"] + [("0", "input"), ("4", "input")],
)
def test_statistics_are_those_of_numpy(project, name, position):
    report = analyze(project, positions=None, per_channel=True)
    values = oracle(project, name, position)
    site = next(site for site in report.sites if (site.site, site.position) == (name, position))
    found = site.statistics["step-2"]
    sigma = values.std()
    assert found.count == values.size
    assert found.samples == SAMPLES
    for figure, expected in {"mean": values.mean(), "std": sigma, "min": values.min(), "max": values.max()}.items():
        assert getattr(found, figure) == pytest.approx(expected, abs=1e-5 * sigma), figure
    assert found.zero_share == pytest.approx((values == 0).mean(), abs=1e-9)
    assert found.channel_means == pytest.approx(values.mean(axis=0).tolist(), abs=1e-5 * sigma)
    assert found.channel_stds == pytest.approx(values.std(axis=0).tolist(), abs=1e-5 * sigma)
    assert found.channel_mins == pytest.approx(values.min(axis=0).tolist(), abs=1e-5 * sigma)
    assert found.channel_scale == pytest.approx(values.var(axis=0).mean(), rel=1e-5)
    assert found.channel_mean_square == pytest.approx(np.square(values.mean(axis=0)).mean(), rel=1e-4, abs=1e-9)


def test_percentiles_are_exact_where_every_row_is_kept(project):
    report = analyze(project)
    values = oracle(project, "4", "output")
    found = next(site for site in report.sites if (site.site, site.position) == ("4", "output")).statistics["step-2"]
    for percent in (1, 5, 15, 25, 50, 75, 85, 95, 99):
        expected = np.percentile(values, percent)
        assert getattr(found, f"p{percent}") == pytest.approx(expected, abs=1e-5 * values.std()), percent
    centred = values - values.mean()
    assert found.kurtosis == pytest.approx((centred**4).mean() / values.var() ** 2, rel=1e-4)


def same(found, expected, place="report"):
    """Equal but for rounding."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), place
        for key in expected:
            same(found[key], expected[key], f"{place}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), place
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            same(one, other, f"{place}[{number}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=2e-5, abs=2e-6), place
    else:
        assert found == expected, place


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_the_batch_size_changes_nothing_but_rounding(project, usual, batch_size):
    same(plain(analyze(project, batch_size=batch_size)), plain(usual))


def test_two_runs_give_the_same_bytes(project, usual):
    again = analyze(project)
    assert to_json(msgspec.structs.replace(again, run=usual.run)) == to_json(usual)


def test_another_process_with_other_hashes_gives_the_same(project, tmp_path):
    (project / "nets.py").write_text(
        "from torch import nn\n\ndef build():\n    return nn.Sequential(nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), "
        "nn.ReLU(), nn.Flatten(), nn.Linear(96, 8), nn.Dropout(), nn.Linear(8, 3))\n"
    )
    paths = [str(project / "step-2.pt"), str(project / "step-10.pt")]
    words = ["--model", f"{project}/nets.py:build", "--data", f"{project}/x.npz", "--target", "label", "-f", "json"]
    found = []
    for seed, folder in (("1", project), ("2", tmp_path)):
        done = subprocess.run(
            [sys.executable, "-m", "covscan", "analyze", *words, *paths],
            cwd=folder,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        )  # fmt: skip
        values = json.loads(done.stdout)
        del values["run"]
        found.append(json.dumps(values))
    assert found[0] == found[1]


@pytest.mark.parametrize("form", ["glob", "folder", "reversed"])
def test_step_2_comes_before_step_10_however_they_are_given(project, tmp_path, form):
    for step in (2, 10):
        (tmp_path / f"step-{step}.pt").write_bytes((project / f"step-{step}.pt").read_bytes())
    checkpoints = {
        "glob": str(tmp_path / "step-*.pt"),
        "folder": tmp_path,
        "reversed": [tmp_path / "step-10.pt", tmp_path / "step-2.pt"],
    }
    report = analyze(project, checkpoints=checkpoints[form])
    assert [(checkpoint.id, checkpoint.step) for checkpoint in report.checkpoints] == [("step-2", 2), ("step-10", 10)]
    assert {(shift.from_, shift.to) for shift in report.shifts} == {("step-2", "step-10")}


def test_globs_choose_the_sites(project, usual):
    some = analyze(project, sites=["0", "4"], exclude=["4"])
    assert {site.site for site in some.sites} == {"0"}
    one = next(site for site in some.sites if site.position == "output")
    other = next(site for site in usual.sites if (site.site, site.position) == ("0", "output"))
    assert one.statistics == other.statistics
    assert {site.site for site in analyze(project, exclude="[0-3]").sites} == {"4", "6"}


def test_lists_per_channel_come_on_demand_alone(project, usual):
    asked = analyze(project, per_channel=True)
    for site, without in zip(asked.sites, usual.sites, strict=True):
        for checkpoint, found in site.statistics.items():
            assert len(found.channel_means) == site.channels
            assert len(found.channel_zero_shares) == site.channels
            assert without.statistics[checkpoint].channel_means is msgspec.UNSET
            assert np.mean(found.channel_means) == pytest.approx(found.mean, rel=1e-6, abs=1e-9)
    assert "channel_means" not in to_json(usual)


def test_samples_and_seed_choose_a_part(project, usual):
    some = analyze(project, samples=40)
    assert (some.data.samples, some.data.available) == (40, SAMPLES)
    assert {found.samples for site in some.sites for found in site.statistics.values()} == {40}
    other = analyze(project, samples=40, seed=1)
    assert other.data.fingerprint != some.data.fingerprint != usual.data.fingerprint
    assert plain(analyze(project, samples=40))["sites"] == plain(some)["sites"]


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(30, 6)
        self.linear = nn.Linear(6, 4)

    def forward(self, tokens, attention_mask):
        return self.linear(self.embedding(tokens)) * attention_mask[..., None]


def test_padding_is_left_out(tmp_path):
    torch.manual_seed(0)
    model = Tokens().eval()
    torch.save(model.state_dict(), tmp_path / "step-0.pt")
    rng = np.random.default_rng(0)
    mask = (np.arange(10) < rng.integers(2, 11, size=(50, 1))).astype(np.int64)
    tokens = np.where(mask, rng.integers(1, 30, size=mask.shape), 0)
    arrays = {"tokens": tokens, "attention_mask": mask}
    report = covscan.analyze(tmp_path / "step-0.pt", data=arrays, model=Tokens, mask="attention_mask")
    with torch.no_grad():
        values = model.linear(model.embedding(torch.from_numpy(tokens)))[torch.from_numpy(mask).bool()].numpy()
    found = next(s for s in report.sites if (s.site, s.position) == ("linear", "output")).statistics["step-0"]
    assert found.count == values.size
    assert found.mean == pytest.approx(values.mean(dtype=np.float64), abs=1e-6)
    assert found.std == pytest.approx(values.std(dtype=np.float64), rel=1e-5)
    assert report.data.masked
    assert "COV108" not in {finding.code for finding in report.findings}


def test_the_caller_finds_everything_as_it_was(project):
    models, weights = [], []

    def build():
        models.append(network().train())
        weights.append({name: value.clone() for name, value in models[-1].state_dict().items()})
        return models[-1]

    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002 - the state that a user's own code may rely on
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    grad, threads = torch.is_grad_enabled(), torch.get_num_threads()
    analyze(project, model=build)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002
    assert (torch.is_grad_enabled(), torch.get_num_threads()) == (grad, threads)
    assert all(not module._forward_hooks and not module._forward_pre_hooks for m in models for module in m.modules())
    assert all(module.training for model in models for module in model.modules())
    for model, before in zip(models, weights, strict=True):
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(weight.grad is None for model in models for weight in model.parameters())
