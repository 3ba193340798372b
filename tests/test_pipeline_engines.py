"""The same network as PyTorch, TorchScript and ONNX gives the same report."""

import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import covscan

SAMPLES = 128
FIGURES = ("mean", "std", "min", "max", "p1", "p5", "p15", "p50", "p85", "p95", "p99")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def mlp():
    return nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 24), nn.Sigmoid(), nn.Linear(24, 5))


def conv_net():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 10, 3), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(250, 4),
    )  # fmt: skip


NETWORKS = {"mlp": (mlp, (12,), "2"), "conv": (conv_net, (3, 12, 12), "2")}
"""Network, shape of a sample, the layer in which a bias of one standard deviation is planted."""


def data_for(shape):
    return np.random.default_rng(1).normal(size=(SAMPLES, *shape)).astype(np.float32)


def planted_pair(name):
    """The network before and after its layer's output moved by one standard deviation."""
    factory, shape, layer = NETWORKS[name]
    torch.manual_seed(0)
    before, after = factory().eval(), factory().eval()
    after.load_state_dict(before.state_dict())
    depth = int(layer) + 1
    with torch.no_grad():
        out = after[:depth](torch.from_numpy(data_for(shape)))
        after[int(layer)].bias += out.movedim(1, -1).flatten(0, -2).std(0, correction=0)
    return before, after


def exported(network, path, shape, *, dynamo):
    example = torch.zeros(2, *shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            batch = {0: torch.export.Dim("batch")}
            torch.onnx.export(network, (example,), path, dynamo=True, dynamic_shapes=(batch,), verbose=False)
        else:
            axes = {"x": {0: "batch"}}
            torch.onnx.export(network, (example,), path, dynamo=False, input_names=["x"], dynamic_axes=axes)


def scripted(network, path, shape, *, trace):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made = torch.jit.trace(network, torch.zeros(2, *shape)) if trace else torch.jit.script(network)
        torch.jit.save(made, path)


def saved_weights(network, path, shape):
    torch.save(network.state_dict(), path)


ENGINES = {
    "torch": (".pt", saved_weights, {}),
    "onnx by dynamo": (".onnx", exported, {"dynamo": True}),
    "onnx by tracing": (".onnx", exported, {"dynamo": False}),
    "torchscript by trace": (".ts", scripted, {"trace": True}),
    "torchscript by script": (".ts", scripted, {"trace": False}),
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Reports by (network, engine), each made once."""
    made = {}

    def report(name, engine):
        if (name, engine) not in made:
            factory, shape, _ = NETWORKS[name]
            ending, write, options = ENGINES[engine]
            folder = tmp_path_factory.mktemp("engine")
            paths = [folder / f"step-{step}{ending}" for step in range(2)]
            for network, path in zip(planted_pair(name), paths, strict=True):
                write(network, path, shape, **options)
            model = factory if engine == "torch" else None
            made[name, engine] = covscan.analyze(paths, data=data_for(shape), model=model)
        return made[name, engine]

    return report


def layers(report):
    """Outputs of the layers with weights, in order: they carry different names on each engine."""
    return [site for site in report.sites if site.role == "layer" and site.position == "output" and site.statistics]


def excess(report, measure):
    return {
        shift.site: shift.measures[measure].value
        for shift in report.shifts
        if shift.position == "output" and shift.measures[measure].value is not None
    }


@pytest.mark.parametrize("engine", [engine for engine in ENGINES if engine != "torch"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_planted_bias_is_found_on_every_engine(reports, name, engine):
    report = reports(name, engine)
    planted = layers(report)[1].site
    sizes = excess(report, "excess_shift")
    assert max(sizes, key=sizes.get) == planted
    assert excess(report, "excess_mean_difference")[planted] == pytest.approx(1.0, rel=0.05)
    assert {site: size for site, size in sizes.items() if size} == {planted: sizes[planted]}
    assert next(finding for finding in report.findings if finding.code == "COV205").site == planted


@pytest.mark.parametrize("engine", [engine for engine in ENGINES if engine != "torch"])
@pytest.mark.parametrize("name", NETWORKS)
def test_statistics_of_matching_sites_agree_to_a_ten_thousandth(reports, name, engine):
    torch_layers, others = layers(reports(name, "torch")), layers(reports(name, engine))
    assert [site.type for site in torch_layers] == [
        {"Gemm": "Linear", "MatMul": "Linear", "Conv": "Conv2d"}.get(site.type, site.type) for site in others
    ]
    assert [site.channels for site in torch_layers] == [site.channels for site in others]
    for one, other in zip(torch_layers, others, strict=True):
        for checkpoint, expected in one.statistics.items():
            found = other.statistics[checkpoint]
            assert (found.count, found.samples) == (expected.count, expected.samples)
            for figure in FIGURES:
                assert getattr(found, figure) == pytest.approx(getattr(expected, figure), abs=1e-4 * expected.std)


@pytest.mark.parametrize("engine", [engine for engine in ENGINES if engine != "torch"])
@pytest.mark.parametrize("name", NETWORKS)
def test_shifts_of_matching_sites_agree_to_a_thousandth(reports, name, engine):
    def by_layer(report):
        outputs = [(site.site, site.position) for site in layers(report)]
        return {
            (outputs.index((shift.site, shift.position)), shift.to): shift.measures
            for shift in report.shifts
            if (shift.site, shift.position) in outputs
        }

    expected, found = by_layer(reports(name, "torch")), by_layer(reports(name, engine))
    assert expected.keys() == found.keys()
    for place, measures in expected.items():
        for measure, result in measures.items():
            value = found[place][measure].value
            if result.value is None:
                assert value is None
            else:
                assert value == pytest.approx(result.value, rel=1e-3, abs=1e-3), (place, measure)
            assert found[place][measure].significant == result.significant, (place, measure)


def test_the_planted_layer_moves_by_one_on_torch_as_well(reports):
    size = excess(reports("conv", "torch"), "excess_shift")["2"]
    assert math.isclose(size, 1.0, rel_tol=0.05)


class Cut(nn.Module):
    """One layer is given a sequence of length 0, as where short texts leave nothing to summarize."""

    def __init__(self):
        super().__init__()
        self.up, self.none, self.head = nn.Linear(4, 6), nn.Linear(6, 5), nn.Linear(6, 2)

    def forward(self, x):
        seen = torch.relu(self.up(x))
        return self.head(seen).mean(1) + self.none(seen[:, :0]).sum()


@pytest.mark.parametrize("positions", [2, None])
@pytest.mark.parametrize("engine", ["torch", "script", "onnx"])
def test_tensors_without_values_are_told_and_keep_nothing_from_being_measured(engine, positions, tmp_path):
    paths = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        net = Cut().eval()
        path = tmp_path / f"{seed}.{'onnx' if engine == 'onnx' else 'pt'}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if engine == "torch":
                torch.save(net.state_dict(), path)
            elif engine == "script":
                torch.jit.save(torch.jit.trace(net, torch.zeros(3, 7, 4)), path)
            else:
                names = {"input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}}
                torch.onnx.export(net, (torch.zeros(3, 7, 4),), path, dynamo=False, opset_version=17, **names)
        paths.append(str(path))
    x = np.random.default_rng(0).standard_normal((40, 7, 4)).astype(np.float32)
    report = covscan.analyze(
        paths,
        model=Cut if engine == "torch" else None,
        data={"x": x},
        device="cpu",
        positions=positions,
        batch_size=16,
    )
    counts = [site.statistics["0"].count // site.channels for site in report.sites if site.statistics]
    assert all(count in (0, 40 * (positions or 7)) for count in counts)
    assert 0 in counts or any("none" in skip.site for skip in report.coverage.skipped)
    excess = [shift.measures["excess_shift"].value for shift in report.shifts if shift.position == "output"]
    assert sum(value is not None for value in excess) >= 2
