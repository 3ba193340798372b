"""Two models on the same samples: nothing between equal ones, a planted difference where it was planted."""

import json
import sys
import warnings
from pathlib import Path

import jsonschema
import msgspec
import numpy as np
import pytest
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
from torch import nn

sys.path.insert(0, str(Path(__file__).parent / "engine"))

from compared_networks import conv_net, transformer, wrapped

from covscan.config import Settings
from covscan.errors import Inconclusive, UsageError
from covscan.pipeline import compare_models
from covscan.report import schema, to_json
from covscan.report.types import Run
from covscan.subjects import model_names

RUN = Run(started="", seconds=0.0, host="", command="", versions={})
IMAGES = {"image": np.random.default_rng(0).normal(size=(96, 3, 8, 8)).astype(np.float32)}
TOKENS = {"tokens": np.random.default_rng(0).integers(0, 20, (96, 6))}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def saved(folder, network, name):
    torch.save(network.state_dict(), folder / name)
    return str(folder / name)


def compared(first, second, data, model=None, other=None, **settings):
    known = {"positions": None, "device": "cpu"} | settings
    one = Settings(checkpoints=(first,), data=data, model=model, **known)
    return compare_models(one, Settings(checkpoints=(second,), data=data, model=other, **known))


def largest(report, *measures):
    return max(abs(shift.measures[name].value or 0.0) for shift in report.shifts for name in measures or shift.measures)


def significant(report):
    return [(s.site, name) for s in report.shifts for name, found in s.measures.items() if found.significant]


def exported(network, path, example, *, dynamo):
    name = next(iter(example))
    values = torch.from_numpy(example[name][:2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            shapes = ({0: torch.export.Dim("n", min=1, max=128)},)
            torch.onnx.export(
                network, (values,), path, input_names=[name], dynamo=True, dynamic_shapes=shapes, verbose=False
            )
        else:
            axes = {name: {0: "n"}}
            torch.onnx.export(network, (values,), path, input_names=[name], dynamic_axes=axes, dynamo=False)
    return str(path)


def test_a_model_beside_itself_is_exactly_nothing(tmp_path):
    (tmp_path / "copy").mkdir()
    first = saved(tmp_path, conv_net(), "net.pt")
    second = saved(tmp_path / "copy", conv_net(), "net.pt")
    report = compared(first, second, IMAGES, model=conv_net)
    assert largest(report) == 0.0
    assert [column.id for column in report.checkpoints][1].endswith("copy/net.pt")
    assert report.comparison.mapped == [18, 18, 18]
    assert report.comparison.renamed == []
    known = [s.measures["excess_shift"] for s in report.shifts if s.measures["excess_shift"].value is not None]
    assert known
    assert all((found.value, found.low, found.high) == (0.0, 0.0, 0.0) for found in known)


@pytest.mark.parametrize("dynamo", [True, False])
@pytest.mark.parametrize(("factory", "data"), [(conv_net, IMAGES), (transformer, TOKENS)])
def test_an_export_computes_what_its_network_does(tmp_path, factory, data, dynamo):
    first = saved(tmp_path, factory(), "net.pt")
    second = exported(factory(), tmp_path / "net.onnx", data, dynamo=dynamo)
    report = compared(first, second, data, model=factory)
    assert largest(report, "gaussian_w2", "standardized_mean_difference", "wasserstein_1") < 1e-4
    assert significant(report) == []
    assert [column.id for column in report.checkpoints] == ["net.pt", "net.onnx"]
    assert [side.model.engine for side in report.comparison.sides] == ["torch", "onnx"]
    assert len(report.comparison.renamed) == report.comparison.mapped[0]
    assert {skip.checkpoint for skip in report.coverage.skipped} == {"net.pt", "net.onnx"}
    status = {s.measures["excess_shift"].status for s in report.shifts if s.position == "output"}
    assert "run by torch and by onnx, so that no layer could be replayed" in status


def test_an_export_may_come_first(tmp_path):
    second = saved(tmp_path, conv_net(), "net.pt")
    first = exported(conv_net(), tmp_path / "net.onnx", IMAGES, dynamo=False)
    report = compared(first, second, IMAGES, model=conv_net)
    assert largest(report, "gaussian_w2") < 1e-4
    assert report.model.engine == "onnx"
    assert "/stem/Conv_output_0" in {shift.site for shift in report.shifts}


def test_a_layer_that_was_tuned_is_where_the_difference_comes_from(tmp_path):
    tuned = conv_net()
    with torch.no_grad():
        tuned.fc.weight.mul_(2.0)
        tuned.fc.bias.add_(1.0)
    first, second = saved(tmp_path, conv_net(), "base.pt"), saved(tmp_path, tuned, "tuned.pt")
    report = compared(first, second, IMAGES, model=conv_net)
    assert [column.id for column in report.checkpoints] == ["base", "tuned"]
    sizes = {(s.site, s.position): s.measures["gaussian_w2"].value for s in report.shifts}
    assert sizes["seq.0", "output"] == 0.0
    assert sizes["fc", "output"] > 0.8
    (source, *_) = [finding for finding in report.findings if finding.code == "COV205"]
    assert source.site.startswith("fc")
    assert "from base to tuned" in source.message
    head = next(s for s in report.shifts if (s.site, s.position) == ("head", "output")).measures
    assert head["excess_shift"].value == 0.0
    assert head["gaussian_w2"].value > 0.1
    assert head["shift_per_weight_movement"].status == "two models: there is no training between them"
    assert report.candidates == report.suggestions == []


def test_a_factory_of_its_own_and_a_wrapper_around_it(tmp_path):
    tuned = wrapped()
    with torch.no_grad():
        tuned.body.head.bias.add_(3.0)
    first, second = saved(tmp_path, conv_net(), "base.pt"), saved(tmp_path, tuned, "wrapped.pt")
    report = compared(first, second, IMAGES, model=conv_net, other=wrapped)
    assert report.comparison.mapped == [18, 18, 18]
    assert {pair.there for pair in report.comparison.renamed if pair.site == "head"} == {"body.head"}
    moved = {s.site for s in report.shifts if s.measures["gaussian_w2"].value}
    assert moved == {"head"}
    head = next(s for s in report.shifts if (s.site, s.position) == ("head", "output"))
    assert head.measures["excess_shift"].value == pytest.approx(head.measures["gaussian_w2"].value, rel=1e-3)
    body = next(s for s in report.shifts if (s.site, s.position) == ("fc", "output"))
    assert body.measures["excess_shift"].value == 0.0
    norms = next(site for site in report.sites if site.site == "blocks.0.bn1")
    assert set(norms.statistics) == {"base", "wrapped"}


def test_layers_of_other_sizes_are_listed_and_not_replayed(tmp_path):
    class Wider(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.fc, self.head = nn.Linear(6, 8), nn.Linear(8, 12), nn.Linear(12, 4)

        def forward(self, x):
            return self.head(torch.relu(self.fc(self.body(x))))

    class Narrow(Wider):
        def __init__(self):
            super().__init__()
            self.fc, self.head = nn.Linear(8, 10), nn.Linear(10, 4)

    x = {"x": np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)}
    first, second = saved(tmp_path, Wider(), "wide.pt"), saved(tmp_path, Narrow(), "narrow.pt")
    report = compared(first, second, x, model=Wider, other=Narrow)
    skipped = {(skip.site, skip.checkpoint): skip.reason for skip in report.coverage.skipped}
    assert skipped["fc", "wide"] == skipped["fc", "narrow"] == "12 channels in one model and 10 in the other"
    head = next(s for s in report.shifts if (s.site, s.position) == ("head", "output"))
    assert "could be replayed" in head.measures["excess_shift"].status
    (told,) = [finding for finding in report.findings if finding.code == "COV107"]
    assert told.severity == "info"


def test_an_activation_that_was_replaced_is_not_said_to_add_nothing(tmp_path):
    def build(activation):
        def network():
            torch.manual_seed(0)
            return nn.Sequential(nn.Linear(6, 8), activation(), nn.Linear(8, 3))

        return network

    x = {"x": np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)}
    first, second = saved(tmp_path, build(nn.ReLU)(), "relu.pt"), saved(tmp_path, build(nn.Tanh)(), "tanh.pt")
    report = compared(first, second, x, model=build(nn.ReLU), other=build(nn.Tanh))
    found = next(s for s in report.shifts if (s.site, s.position) == ("1", "output")).measures
    assert found["gaussian_w2"].significant
    assert found["excess_shift"].value is None


class Calibration(CalibrationDataReader):
    """A few samples, one at a time."""

    def __init__(self, data):
        self.left = iter([{name: values[n : n + 1] for name, values in data.items()} for n in range(48)])

    def get_next(self):
        return next(self.left, None)


def quantize(source, path, data, form):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantize_static(source, path, Calibration(data), quant_format=form)


@pytest.fixture(scope="module")
def quantized(tmp_path_factory, conv_net_sample):
    """The sample's last ONNX file, quantized statically in either format."""
    images = {"image": np.load(conv_net_sample / "sample.npz")["image"]}
    folder = tmp_path_factory.mktemp("quantized")
    source = conv_net_sample / "epoch10.onnx"
    quantize(source, folder / "qdq.onnx", images, QuantFormat.QDQ)
    quantize(source, folder / "integers.onnx", images, QuantFormat.QOperator)
    return folder


@pytest.fixture(scope="module")
def conv_net_sample(samples):
    return samples / "conv-onnx"


def test_quantization_is_seen_through_and_its_error_measured(quantized, conv_net_sample):
    data = str(conv_net_sample / "sample.npz")
    report = compared(
        str(conv_net_sample / "epoch10.onnx"), str(quantized / "qdq.onnx"), data, target="label", samples=96
    )
    assert report.comparison.mapped == [16, 17, 16]
    renamed = {pair.site: pair.there for pair in report.comparison.renamed}
    assert renamed["conv2d"] == "relu"  # the quantizer merged the activation into the layer in front
    assert renamed["relu"] == "relu_DequantizeLinear_Output"
    sizes = {s.site: s.measures["gaussian_w2"].value for s in report.shifts}
    assert 0 < max(sizes.values()) < 0.1
    excess = {
        s.site: s.measures["excess_shift"].value for s in report.shifts if s.measures["excess_shift"].value is not None
    }
    assert {"conv2d", "conv2d_5", "logits"} <= excess.keys()
    assert 0 < max(excess.values()) < 0.1
    quantizing = {skip.site for skip in report.coverage.skipped if "quantized integers" in skip.reason}
    assert "image_QuantizeLinear_Output" in quantizing


def test_what_quantization_cuts_is_found_where_it_is_read(tmp_path):
    """The quantizer clips a sum instead of applying the ReLU behind it: the sum is not what the block gives."""
    exported(conv_net(), tmp_path / "net.onnx", IMAGES, dynamo=False)
    quantize(tmp_path / "net.onnx", tmp_path / "qdq.onnx", IMAGES, QuantFormat.QDQ)
    first = saved(tmp_path, conv_net(), "base.pt")
    report = compared(first, str(tmp_path / "qdq.onnx"), IMAGES, model=conv_net)
    there = {pair.site: pair.there for pair in report.comparison.renamed if pair.position == "output"}
    assert there["blocks.0"] == "/blocks.0/Relu_output_0_DequantizeLinear_Output"
    assert there["stem"] == "/stem/Conv_output_0"
    assert there["blocks.0.relu"] == "/blocks.0/relu/Relu_output_0_DequantizeLinear_Output"
    assert there["fc#2"] == "/fc_1/Gemm_output_0"
    sizes = {
        s.site: s.measures["gaussian_w2"].value for s in report.shifts if not s.site.startswith(("fc", "act", "head"))
    }
    assert max(sizes.values()) < 0.05  # behind the pooling so little varies that rounding is much


def test_a_network_is_found_in_its_quantized_export(quantized, conv_net_sample):
    report = compared(
        str(conv_net_sample / "epoch10.pt"), str(quantized / "qdq.onnx"), str(conv_net_sample / "sample.npz"),
        model=str(conv_net_sample / "nets.py:build"), target="label", samples=96,
    )  # fmt: skip
    assert report.comparison.mapped[0] == 14
    assert largest(report, "gaussian_w2") < 0.1


def test_a_sample_without_modules_in_its_file_is_found_by_its_weights(conv_net_sample):
    report = compared(
        str(conv_net_sample / "epoch10.pt"), str(conv_net_sample / "epoch10.onnx"),
        str(conv_net_sample / "sample.npz"), model=str(conv_net_sample / "nets.py:build"), target="label", samples=96,
    )  # fmt: skip
    assert report.comparison.mapped[0] == 14
    assert largest(report, "gaussian_w2") < 1e-4


def test_layers_of_integers_cannot_be_compared(quantized, conv_net_sample):
    with pytest.raises(Inconclusive, match="no site of 'epoch10' could be found in 'integers'") as error:
        compared(
            str(conv_net_sample / "epoch10.onnx"), str(quantized / "integers.onnx"),
            str(conv_net_sample / "sample.npz"), target="label",
        )  # fmt: skip
    assert "works on quantized integers" in error.value.found


def test_onnx_files_of_one_network_are_replayed(conv_net_sample):
    report = compared(
        str(conv_net_sample / "epoch5.onnx"), str(conv_net_sample / "epoch10.onnx"),
        str(conv_net_sample / "sample.npz"), target="label", samples=96,
    )  # fmt: skip
    assert [column.id for column in report.checkpoints] == ["epoch5", "epoch10"]
    excess = [s.measures["excess_shift"].value for s in report.shifts if s.position == "output"]
    assert sum(value is not None and value > 0 for value in excess) >= 7


def test_torchscript_beside_its_network(tmp_path):
    first = saved(tmp_path, conv_net(), "net.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(conv_net(), torch.from_numpy(IMAGES["image"][:4]))
    traced.save(str(tmp_path / "net.ts"))
    report = compared(first, str(tmp_path / "net.ts"), IMAGES, model=conv_net)
    assert report.comparison.sides[1].model.engine == "torchscript"
    assert report.comparison.mapped[0] >= 12
    assert largest(report, "gaussian_w2") < 1e-4


def test_sites_that_were_left_out_are_not_missing_on_the_other_side(tmp_path):
    first = saved(tmp_path, conv_net(), "base.pt")
    second = exported(conv_net(), tmp_path / "export.onnx", IMAGES, dynamo=False)
    report = compared(first, second, IMAGES, model=conv_net, sites=("seq.*", "fc"), exclude=("*.relu",))
    assert {shift.site for shift in report.shifts} == {"seq.0", "seq.0.conv1", "seq.0.bn1", "seq.0.conv2", "fc"}
    missing = {skip.site for skip in report.coverage.skipped if skip.checkpoint == "export"}
    assert "/stem/Conv_output_0" not in missing
    assert "/seq/seq.0/Add_output_0" in missing


def test_a_rerun_gives_the_same_bytes_and_they_follow_the_schema(tmp_path):
    tuned = conv_net()
    with torch.no_grad():
        tuned.head.weight.mul_(1.5)
    first, second = saved(tmp_path, conv_net(), "base.pt"), saved(tmp_path, tuned, "tuned.pt")
    texts = [
        to_json(msgspec.structs.replace(compared(first, second, IMAGES, model=conv_net), run=RUN)) for _ in range(2)
    ]
    assert texts[0] == texts[1]
    jsonschema.validate(json.loads(texts[0]), schema())


class TestBadInput:
    def test_several_checkpoints_on_one_side(self, tmp_path):
        saved(tmp_path, conv_net(), "a.pt"), saved(tmp_path, conv_net(), "b.pt")
        with pytest.raises(UsageError, match="each one checkpoint"):
            compared(str(tmp_path), str(tmp_path / "a.pt"), IMAGES, model=conv_net)

    def test_a_factory_that_nobody_needs(self, tmp_path):
        path = exported(conv_net(), tmp_path / "net.onnx", IMAGES, dynamo=False)
        with pytest.raises(UsageError, match="both files hold a network of their own"):
            compared(path, path, IMAGES, model=conv_net)

    def test_weights_without_a_factory(self, tmp_path):
        path = saved(tmp_path, conv_net(), "net.pt")
        with pytest.raises(UsageError, match="no architecture"):
            compared(path, path, IMAGES)

    def test_data_that_a_model_refuses(self, tmp_path):
        path = saved(tmp_path, conv_net(), "net.pt")
        with pytest.raises(UsageError, match="raised RuntimeError"):
            compared(path, path, {"image": np.ones((8, 4, 8, 8), np.float32)}, model=conv_net)

    def test_an_unknown_site(self, tmp_path):
        path = saved(tmp_path, conv_net(), "net.pt")
        with pytest.raises(UsageError, match="no site matches 'steem'"):
            compared(path, path, IMAGES, model=conv_net, sites=("steem",))


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (("runs/base.pt", "runs/tuned.pt"), ("base", "tuned")),
        (("net.pt", "net.onnx"), ("net.pt", "net.onnx")),
        (("a/net.pt", "b/net.pt"), ("a/net.pt", "b/net.pt")),
        (("a/net.pt", "a/net.pt"), ("net.pt (1)", "net.pt (2)")),
        (("hf/base", "hf/tuned"), ("base", "tuned")),
    ],
)
def test_names_of_models_are_different_and_short(given, names):
    assert model_names(*map(Path, given)) == names
