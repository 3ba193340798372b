"""Two data sets through one checkpoint: planted shifts are found with their size, halves of one set are no shift."""

import itertools
import json

import jsonschema
import msgspec
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from scipy import stats
from torch import nn

import covscan
from covscan.errors import Inconclusive, InputErrors, UsageError
from covscan.report import schema, to_json
from covscan.report.types import Run
from covscan.subjects import data_names

SAMPLES = 320
RUN = Run(started="", seconds=0.0, host="", command="", versions={})


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=(SAMPLES, *shape)).astype(np.float32)


def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 5))


def conv_net():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 10, 3), nn.BatchNorm2d(10), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(10, 4),
    )  # fmt: skip
    with torch.no_grad():
        for _ in range(200):  # what a trained network's statistics are: those of the data
            network(torch.randn(64, 3, 8, 8))
    return network.eval()


def linear():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3))


def compared(tmp_path, factory, reference, data, **settings):
    network = factory()
    torch.save(network.state_dict(), tmp_path / "last.pt")
    np.savez(tmp_path / "train.npz", x=reference)
    np.savez(tmp_path / "production.npz", x=data)
    known = {"model": factory, "positions": None, "samples": SAMPLES} | settings
    return covscan.analyze(
        tmp_path / "last.pt", data=tmp_path / "production.npz", reference_data=tmp_path / "train.npz", **known
    )


def sizes(report, measure="gaussian_w2"):
    return {(shift.site, shift.position): shift.measures[measure].value for shift in report.shifts}


def significant(report):
    return [
        (shift.site, shift.position, name)
        for shift in report.shifts
        for name, measure in shift.measures.items()
        if measure.significant
    ]


@pytest.mark.parametrize("factory", [mlp, conv_net])
def test_two_draws_of_one_distribution_are_within_noise(tmp_path, factory):
    shape = (12,) if factory is mlp else (3, 8, 8)
    report = compared(tmp_path, factory, normal(0, *shape), normal(1, *shape))
    assert significant(report) == []
    assert not {"COV201", "COV202", "COV203", "COV208", "COV401"} & {finding.code for finding in report.findings}
    assert all("no shift above noise" in (s.measures["shift_amplification"].status or "") for s in report.shifts)


def test_a_shift_of_the_input_has_its_size_there_and_travels_as_the_weights_say(tmp_path):
    a, b = normal(0, 6), normal(1, 6) * 1.5 + 0.5
    report = compared(tmp_path, linear, a, b)
    network = linear().double()
    one, other = torch.from_numpy(a).double(), torch.from_numpy(b).double()
    truth = {}
    with torch.no_grad():
        for place in range(4):
            name = ("0", "input") if place == 0 else (str(place - 1), "output")
            pooled = (one.var(0, correction=0) + other.var(0, correction=0)) / 2
            moved = (other.mean(0) - one.mean(0)) ** 2 + (other.std(0, correction=0) - one.std(0, correction=0)) ** 2
            truth[name] = float((moved / pooled).mean().sqrt())
            if place < 3:
                one, other = network[place](one), network[place](other)
    found = sizes(report)
    assert truth.keys() <= found.keys()
    for name, size in truth.items():
        assert found[name] == pytest.approx(size, rel=0.03), name
    ratios = sizes(report, "shift_amplification")
    assert ratios["0", "input"] == 1.0
    for name in truth:
        assert ratios[name] == pytest.approx(found[name] / found["0", "input"])
    (finding,) = [each for each in report.findings if each.code == "COV208"]
    assert (finding.site, finding.position) == ("0", "input")
    assert finding.evidence["entry_shift"] == found["0", "input"]


@pytest.mark.parametrize(("shift", "scale"), [(0.5, 1.0), (0.0, 1.5)])
def test_the_means_and_the_spread_are_told_apart(tmp_path, shift, scale):
    report = compared(tmp_path, mlp, normal(0, 12), normal(1, 12) * scale + shift)
    at_input = next(s for s in report.shifts if (s.site, s.position) == ("0", "input")).measures
    if shift:
        assert at_input["standardized_mean_difference"].value == pytest.approx(0.5, abs=0.05)
        assert at_input["standardized_mean_difference"].significant
        assert not at_input["log_variance_ratio"].significant
    else:
        assert at_input["log_variance_ratio"].value == pytest.approx(2 * np.log(1.5), abs=0.1)
        assert at_input["log_variance_ratio"].significant
        assert not at_input["standardized_mean_difference"].significant


def test_a_shift_of_one_channel_is_found(tmp_path):
    b = normal(1, 3, 8, 8)
    b[:, 1] = b[:, 1] * 1.5 + 0.5
    report = compared(tmp_path, conv_net, normal(0, 3, 8, 8), b)
    at_input = next(s for s in report.shifts if s.position == "input")
    assert at_input.measures["gaussian_w2"].significant
    assert at_input.channels_shifted == pytest.approx(1 / 3)
    scale = 2.5 / np.sqrt((1 + 1.5**2) / 2) / 5
    assert at_input.measures["standardized_mean_difference"].value == pytest.approx(scale / 3, abs=0.03)


def test_measures_are_those_of_whole_activations(tmp_path):
    a, b = normal(0, 12), (normal(1, 12) * 1.3 + 0.3)[:250]
    report = compared(tmp_path, mlp, a, b)
    network = mlp()
    with torch.no_grad():
        one, other = (network[:2](torch.from_numpy(x)).numpy().astype(float) for x in (a, b))
    found = next(s for s in report.shifts if (s.site, s.position) == ("1", "output")).measures
    pooled = np.sqrt((one.var(0) + other.var(0)) / 2)
    distance = [stats.wasserstein_distance(one[:, c], other[:, c]) / pooled[c] for c in range(24)]
    assert found["wasserstein_1"].value == pytest.approx(np.mean(distance), rel=1e-3)
    largest = [stats.ks_2samp(one[:, c], other[:, c]).statistic for c in range(24)]
    assert found["kolmogorov_smirnov"].value == pytest.approx(np.mean(largest), abs=1e-3)
    moved = np.abs(other.mean(0) - one.mean(0)) / pooled
    assert found["standardized_mean_difference"].value == pytest.approx(moved.mean(), rel=1e-4)
    assert found["linear_cka_distance"].status == "needs the same samples on both sides"


def test_batchnorm_is_judged_on_the_data_and_told_of_the_reference(tmp_path):
    report = compared(tmp_path, conv_net, normal(0, 3, 8, 8), normal(1, 3, 8, 8) * 1.5 + 1)
    (stale,) = [finding for finding in report.findings if finding.code == "COV401"]
    assert stale.severity == "warning"
    assert "on production.npz, by 0.0" in stale.message
    assert stale.evidence["first_in_order"] == "1"
    (moved,) = [finding for finding in report.findings if finding.code == "COV208"]
    assert moved.message.endswith("running statistics that don't fit the data: 1, 4 (COV401)")
    swapped = compared(tmp_path, conv_net, normal(1, 3, 8, 8) * 1.5 + 1, normal(0, 3, 8, 8))
    assert "COV401" not in {finding.code for finding in swapped.findings}


def test_both_data_sets_are_columns_with_names_and_figures_of_their_own(tmp_path):
    report = compared(tmp_path, mlp, normal(0, 12), normal(1, 12)[:200] + 1)
    assert [column.id for column in report.checkpoints] == ["train.npz", "production.npz"]
    assert len({column.sha256 for column in report.checkpoints}) == 1
    comparison = report.comparison
    assert (comparison.kind, comparison.paired) == ("data", False)
    assert [side.data.samples for side in comparison.sides] == [SAMPLES, 200]
    assert comparison.sides[0].data.fingerprint != comparison.sides[1].data.fingerprint
    assert report.data.samples == 200
    assert comparison.sentence == (
        "320 samples of train.npz and 200 samples of production.npz through last.pt: other samples, the same weights"
    )
    site = next(site for site in report.sites if site.site == "0" and site.position == "input")
    assert site.statistics["train.npz"].mean == pytest.approx(float(normal(0, 12).mean()), abs=1e-5)
    assert site.statistics["production.npz"].mean == pytest.approx(float((normal(1, 12)[:200] + 1).mean()), abs=1e-5)
    assert report.suggestions == report.candidates == []
    for shift in report.shifts:
        if shift.position == "output":
            assert "the weights are the same on both sides" in shift.measures["excess_shift"].status
        assert "the weights are the same" in shift.measures["shift_per_weight_movement"].status


def test_a_rerun_gives_the_same_bytes_and_they_follow_the_schema(tmp_path):
    made = [compared(tmp_path, mlp, normal(0, 12), normal(1, 12) + 1) for _ in range(2)]
    texts = [to_json(msgspec.structs.replace(report, run=RUN)) for report in made]
    assert texts[0] == texts[1]
    jsonschema.validate(json.loads(texts[0]), schema())


def onnx_mlp(path):
    network = mlp()
    tensors, nodes, value = [], [], "x"
    for place, module in enumerate(network):
        output = f"v{place}" if place < 4 else "y"
        if isinstance(module, nn.Linear):
            tensors.append(numpy_helper.from_array(module.weight.detach().numpy(), f"{place}.weight"))
            tensors.append(numpy_helper.from_array(module.bias.detach().numpy(), f"{place}.bias"))
            inputs = [value, f"{place}.weight", f"{place}.bias"]
            nodes.append(helper.make_node("Gemm", inputs, [output], transB=1))
        else:
            nodes.append(helper.make_node({1: "Relu", 3: "Tanh"}[place], [value], [output]))
        value = output
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 12])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 5])], tensors,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def test_onnx_gives_what_torch_gives(tmp_path):
    a, b = normal(0, 12), normal(1, 12) * 1.2 + 0.4
    torch_report = compared(tmp_path, mlp, a, b)
    path = onnx_mlp(tmp_path / "net.onnx")
    report = covscan.analyze(
        path, data=tmp_path / "production.npz", reference_data=tmp_path / "train.npz", positions=None, samples=SAMPLES
    )
    names = {("0", "input"): ("x", "input"), **{(str(n), "output"): (f"v{n}", "output") for n in range(4)}}
    for name in ("gaussian_w2", "wasserstein_1", "shift_amplification", "effective_rank"):
        expected, found = sizes(torch_report, name), sizes(report, name)
        for site, other in names.items():
            assert found[other] == pytest.approx(expected[site], rel=1e-3, abs=1e-4), (name, site)
    assert [f.code for f in report.findings if f.code == "COV208"] == ["COV208"]


def test_tokens_enter_where_they_are_looked_up(tmp_path):
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.words, self.places, self.head = nn.Embedding(20, 8), nn.Embedding(6, 8), nn.Linear(8, 3)

        def forward(self, ids):
            return self.head(self.words(ids) + self.places(torch.arange(6).expand_as(ids)))

    generator = np.random.default_rng(0)
    one, other = generator.integers(0, 20, (SAMPLES, 6)), generator.integers(0, 4, (SAMPLES, 6))
    report = compared(tmp_path, Words, one, other)
    (finding,) = [each for each in report.findings if each.code == "COV208"]
    assert (finding.site, finding.position) == ("words", "output")


def test_the_input_that_moves_is_where_the_data_enter(tmp_path):
    class TwoInputs(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.image, self.table, self.head = nn.Linear(12, 8), nn.Linear(4, 8), nn.Linear(8, 3)

        def forward(self, image, table):
            return self.head(torch.relu(self.image(image) + self.table(table)))

    torch.save(TwoInputs().state_dict(), tmp_path / "net.pt")
    report = covscan.analyze(
        tmp_path / "net.pt",
        model=TwoInputs,
        reference_data={"image": normal(0, 12), "table": normal(1, 4)},
        data={"image": normal(2, 12), "table": normal(3, 4) + 1},
        samples=SAMPLES,
    )
    (finding,) = [each for each in report.findings if each.code == "COV208"]
    assert (finding.site, finding.position) == ("table", "input")
    assert [column.id for column in report.checkpoints] == ["reference", "data"]


class TestBadInput:
    def expect(self, tmp_path, reference, data, code, *words, **settings):
        torch.save(mlp().state_dict(), tmp_path / "last.pt")
        with pytest.raises((UsageError, InputErrors)) as caught:
            covscan.analyze(tmp_path / "last.pt", model=mlp, data=data, reference_data=reference, **settings)
        error = caught.value
        first = error.errors[0] if isinstance(error, InputErrors) else error
        assert first.code == code
        for word in words:
            assert word in str(error)

    def test_other_arrays(self, tmp_path):
        x = normal(0, 12)
        self.expect(tmp_path, {"x": x, "extra": x}, {"x": x}, "data-differ", "same arrays", "x, extra and x")

    def test_other_numbers(self, tmp_path):
        x = normal(0, 12)
        self.expect(
            tmp_path, {"x": x}, {"x": (x * 50).astype(np.uint8)}, "data-differ", "floating and unsigned integer"
        )

    def test_other_shapes(self, tmp_path):
        self.expect(tmp_path, normal(0, 12), normal(0, 13), "data-differ", "array 1", "(12,) and of (13,)")

    def test_every_difference_is_told(self, tmp_path):
        one = {"x": normal(0, 12), "z": normal(0, 3)}
        other = {"x": normal(0, 13), "z": normal(0, 3) > 0}
        self.expect(tmp_path, one, other, "data-differ", "'x'", "'z'", "boolean")

    def test_other_precision_and_missing_labels_are_no_difference(self, tmp_path):
        x, y = normal(0, 12), np.arange(SAMPLES)
        torch.save(mlp().state_dict(), tmp_path / "last.pt")
        for name, labels in (("label", None), ("answer", "answer")):
            report = covscan.analyze(
                tmp_path / "last.pt", model=mlp, reference_data={"x": x, name: y},
                data={"x": normal(1, 12).astype(np.float64)}, target=labels,
            )  # fmt: skip
            assert report.comparison.kind == "data"

    def test_a_target_that_neither_has(self, tmp_path):
        x = normal(0, 12)
        self.expect(tmp_path, {"x": x}, {"x": x}, "unknown-target", "--target answer", target="answer")

    def test_samples_of_many_sizes_may_have_others(self, tmp_path):
        def ragged(seed, *lengths):
            generator = np.random.default_rng(seed)
            return [generator.normal(size=(16, 3, n, n)).astype(np.float32) for n in itertools.chain(lengths)]

        torch.save(conv_net().state_dict(), tmp_path / "net.pt")
        report = covscan.analyze(
            tmp_path / "net.pt", model=conv_net, reference_data=ragged(0, 8, 10), data=ragged(1, 9, 12), samples=64
        )
        assert [side.data.samples for side in report.comparison.sides] == [32, 32]

    def test_several_checkpoints(self, tmp_path):
        for name in ("a", "b"):
            torch.save(mlp().state_dict(), tmp_path / f"{name}.pt")
        with pytest.raises(UsageError, match="through one checkpoint") as error:
            covscan.analyze(tmp_path, model=mlp, data=normal(0, 12), reference_data=normal(1, 12))
        assert error.value.found.startswith("2 checkpoints, ")

    @pytest.mark.parametrize(
        ("asked", "option"),
        [({"loss": "mse"}, "--loss"), ({"lr": 0.1}, "--lr"), ({"evidence": "trial"}, "--evidence"),
         ({"optimizer": "sgd", "trial_steps": 9}, "--optimizer and --trial-steps")],
    )  # fmt: skip
    def test_training(self, tmp_path, asked, option):
        self.expect(
            tmp_path, normal(0, 12), normal(1, 12), "not-trained", option.split()[0], f"leave out {option}", **asked
        )

    def test_forward_evidence_is_what_there_is(self, tmp_path):
        report = compared(tmp_path, mlp, normal(0, 12), normal(1, 12), evidence="forward")
        assert report.comparison.kind == "data"

    def test_a_file_that_is_not_there(self, tmp_path):
        self.expect(tmp_path, str(tmp_path / "trian.npz"), normal(0, 12), "no-such-file", "--reference-data")

    def test_nothing_measured(self, tmp_path):
        torch.save(nn.Embedding(4, 2).state_dict(), tmp_path / "e.pt")

        class Integers(nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(torch.zeros(4, 2))

            def forward(self, x):
                return x

        ids = np.ones((8, 3), np.int64)
        with pytest.raises(Inconclusive):
            covscan.analyze(tmp_path / "e.pt", model=Integers, data=ids, reference_data=ids)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (("a/train.npz", "b/test.npz"), ("train.npz", "test.npz")),
        (("a/x.npz", "b/x.npz"), ("a/x.npz", "b/x.npz")),
        (("x.npz", "b/x.npz"), ("x.npz", "b/x.npz")),
        (("a/x.npz", "a/x.npz"), ("x.npz (1)", "x.npz (2)")),
        (("load.py:train", "load.py:live"), ("load.py:train", "load.py:live")),
        ((np.ones(3), np.ones(3)), ("reference", "data")),
    ],
)
def test_names_of_data_sets_are_different_and_short(given, names):
    assert data_names(*given) == names


def test_the_noise_of_a_pixel_that_is_dark_in_all_but_one_image_is_bounded_too(tmp_path):
    a, b = normal(0, 12), normal(1, 12)
    for values, bright in ((a, 3), (b, 5)):
        values[:, :4] = 0.0
        values[bright, :4] = 0.02
    at_input = compared(tmp_path, mlp, a, b).shifts[0].measures["gaussian_w2"]
    assert 0.05 < at_input.noise < 0.15
    assert not at_input.significant


def test_the_pair_of_samples_is_what_the_interval_is_of(tmp_path):
    """The very same samples on both sides: exactly nothing moved, but the interval is that of two draws."""
    x = normal(0, 12)
    report = compared(tmp_path, mlp, x, x)
    found = report.shifts[0].measures["standardized_mean_difference"]
    assert found.value == 0.0
    assert found.high > 0.01
