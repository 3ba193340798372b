"""Which sites of two networks are taken for the same, and which are not, with the reason."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from compared_networks import chain, conv_net, transformer, wrapped

from covscan.capture.onnx_backend import OnnxBackend
from covscan.capture.torch_backend import TorchBackend
from covscan.capture.types import SiteKey
from covscan.config import Settings
from covscan.data import open_samples
from covscan.engine.call_pairs import pair_calls
from covscan.engine.correspondence import correspond
from covscan.models import open_source

DATA = {
    "conv": ("image", np.random.default_rng(0).normal(size=(8, 3, 8, 8)).astype(np.float32)),
    "transformer": ("tokens", np.random.default_rng(0).integers(0, 20, (8, 6))),
}
FACTORIES = {"conv": conv_net, "transformer": transformer}


def export(network, kind, path, *, dynamo):
    name, values = DATA[kind]
    example = (torch.from_numpy(values[:2]),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            shapes = ({0: torch.export.Dim("n", min=1, max=64)},)
            torch.onnx.export(
                network, example, path, input_names=[name], dynamo=True, dynamic_shapes=shapes, verbose=False
            )
        else:
            torch.onnx.export(network, example, path, input_names=[name], dynamic_axes={name: {0: "n"}}, dynamo=False)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """(kind, exporter) → the network as it is planned; "torch" is the network itself."""
    made = {}

    def open_(kind, exporter):
        if (kind, exporter) not in made:
            folder = tmp_path_factory.mktemp("exported")
            network = FACTORIES[kind]()
            name, values = DATA[kind]
            if exporter == "torch":
                path = folder / "net.pt"
                torch.save(network.state_dict(), path)
            else:
                path = folder / "net.onnx"
                export(network, kind, path, dynamo=exporter == "dynamo")
            factory = FACTORIES[kind] if exporter == "torch" else None
            made[kind, exporter] = planned(path, {name: values}, factory)
        return made[kind, exporter]

    return open_


def planned(path, data, factory):
    settings = Settings(checkpoints=(str(path),), data=data, model=factory, device="cpu")
    source, samples = open_source(settings), open_samples(settings)
    backend = (TorchBackend if source.engine == "torch" else OnnxBackend)(source, settings)
    return backend.plan(source.series.checkpoints[0], next(iter(samples.batches())))


def names(view, other):
    """Site → site there, both as 'name position'."""
    there = {to: key for key, to in other.sites.items()}
    return {f"{key.site} {key.position}": f"{there[key].site} {there[key].position}" for key in view.sites}


def reasons(view):
    return {skip.site: skip.reason for skip in view.unmapped}


@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
def test_a_network_with_batchnorm_is_found_in_its_export(exported, exporter):
    view, other = correspond(exported("conv", "torch"), exported("conv", exporter), ("net", "export"))
    found = names(view, other)
    assert len(found) == 16
    for layer in ("stem", "blocks.0.conv2", "blocks.0.relu", "seq.0.conv2", "fc", "fc#2", "act", "act#2", "head"):
        assert f"{layer} output" in found, layer
    assert found["stem input"] == "image input"
    assert "Relu" in found["blocks.0 output"] or found["blocks.0 output"].startswith("relu")
    assert "blocks.0.bn1 output" in found
    assert reasons(view) == dict.fromkeys(
        ("blocks.0.conv1", "seq.0.conv1"), "the BatchNorm behind it is folded into it in export"
    )
    assert set(reasons(other).values()) == {"without a counterpart in net"}
    assert len(reasons(other)) == 2  # what the functional sums give


@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
def test_a_transformer_is_found_in_its_export(exported, exporter):
    view, other = correspond(exported("transformer", "torch"), exported("transformer", exporter), ("net", "export"))
    found = names(view, other)
    assert len(found) == 18
    for number in (0, 1):
        for inner in ("norm1 output", "norm2 output", "linear1 output", "linear2 input", "self_attn logits"):
            assert f"enc.layers.{number}.{inner}" in found
    assert found["enc.layers.0.self_attn logits"].endswith("logits")
    assert set(reasons(view)) == {"enc.layers.0.self_attn", "enc.layers.1.self_attn"}


@pytest.mark.parametrize("kind", ["conv", "transformer"])
def test_an_export_is_found_in_its_network_and_in_another_export(exported, kind):
    torch_, dynamo, script = (exported(kind, name) for name in ("torch", "dynamo", "torchscript"))
    there = names(*correspond(torch_, dynamo, ("a", "b")))
    back = names(*correspond(dynamo, torch_, ("b", "a")))
    assert {value: key for key, value in there.items()} == back
    view, other = correspond(script, dynamo, ("a", "b"))
    assert len(view.sites) == 18
    through = names(*correspond(torch_, script, ("a", "b")))
    assert all(names(view, other).get(through[site], there[site]) == there[site] for site in there if site in through)


def test_a_wrapper_around_a_network_is_looked_through(exported, tmp_path):
    torch.save(wrapped().state_dict(), tmp_path / "w.pt")
    name, values = DATA["conv"]
    around = planned(tmp_path / "w.pt", {name: values}, wrapped)
    inside = exported("conv", "torch")
    for view, other in (correspond(inside, around, ("a", "b")), correspond(around, inside, ("b", "a"))):
        assert all(value == f"body.{key}" or key == f"body.{value}" for key, value in names(view, other).items())
        assert len(view.sites) == len(inside.measured())
    assert names(*correspond(around, exported("conv", "dynamo"), ("a", "b")))["body.stem input"] == "image input"


def test_calls_of_one_module_are_paired_in_order_where_there_are_as_many():
    here = chain(("fc", "Linear", 4, "fc"), ("fc#2", "Linear", 4, "fc"), ("fc#3", "Linear", 4, "fc"))
    there = chain(("a", "Gemm", 4, "fc"), ("b", "Gemm", 4, "fc"), graph=True)
    view, other = correspond(here, there, ("A", "B"))
    assert set(view.sites) == set()
    assert reasons(view)["fc#2"] == "one of 3 calls in one model and of 2 in the other"
    assert reasons(other)["a"] == "one of 3 calls in one model and of 2 in the other"
    same = chain(("a", "Gemm", 4, "fc"), ("b", "Gemm", 4, "fc"), ("c", "Gemm", 4, "fc"), graph=True)
    assert names(*correspond(here, same, ("A", "B")))["fc#2 output"] == "b output"


def test_numbers_that_an_exporter_puts_behind_names_are_no_part_of_them():
    here = chain(("fc", "Linear", 4, "fc"), ("fc#2", "Linear", 4, "fc"))
    there = chain(("a", "Gemm", 4, "fc"), ("b", "Gemm", 4, "fc_1"), graph=True)
    assert names(*correspond(here, there, ("A", "B")))["fc#2 output"] == "b output"
    numbered = chain(("fc", "Linear", 4, "fc"), ("fc_1", "Linear", 4, "fc_1"))
    assert names(*correspond(numbered, there, ("A", "B")))["fc_1 output"] == "b output"


def test_another_number_of_channels_or_positions_is_no_counterpart():
    here = chain(("a", "Linear", 4, "a"), ("b", "Linear", 6, "b", {"shape": ("N", 6, 5)}))
    there = chain(("x", "Gemm", 5, "a"), ("y", "Gemm", 6, "b", {"shape": ("N", 6, 2)}), graph=True)
    view, other = correspond(here, there, ("A", "B"))
    assert reasons(view)["a"] == reasons(other)["x"] == "4 channels in one model and 5 in the other"
    assert reasons(view)["b"] == "5 positions in one model and 2 in the other"


def test_another_order_of_execution_is_no_counterpart():
    here = chain(*((name, "Linear", 4, name) for name in "abcd"))
    there = chain(*((name, "Linear", 4, name) for name in "acdb"))
    view, other = correspond(here, there, ("A", "B"))
    assert [key.site for key in view.sites if key.position == "output"] == ["a", "c", "d"]
    assert reasons(view)["b"] == reasons(other)["b"] == "another order of execution in the other model"


def test_a_generic_name_that_belongs_to_another_module_is_not_believed():
    here = chain(("linear", "Gemm", 4, "first"), ("linear_1", "Gemm", 4, "second"), graph=True)
    there = chain(
        ("linear", "Gemm", 4, "new"), ("linear_1", "Gemm", 4, "first"), ("linear_2", "Gemm", 4, "second"), graph=True
    )
    found = names(*correspond(here, there, ("A", "B")))
    assert found["linear output"] == "linear_1 output"
    assert found["linear_1 output"] == "linear_2 output"
    elsewhere = chain(("linear", "Gemm", 4, "new"), graph=True)
    assert pair_calls(chain(("linear", "Gemm", 4, "first"), graph=True), elsewhere).pairs == {}


def test_graphs_without_modules_are_matched_by_values_and_nodes_of_one_type():
    here = chain(("v", "Conv", 4, None), ("r", "Relu", 4, None), graph=True)
    there = chain(("r", "Conv", 4, None, {"node": "node_v"}), ("q", "Relu", 4, None), graph=True)
    found = names(*correspond(here, there, ("A", "B")))
    assert found["v output"] == "r output"
    assert "r output" not in found


def test_two_candidates_are_none():
    here = chain(("v", "Conv", 4, None, {"node": "n"}), graph=True)
    there = chain(("v", "Conv", 4, None, {"node": "m"}), ("w", "Conv", 4, None, {"node": "n"}), graph=True)
    assert pair_calls(here, there).pairs == {}


def folding(**partner):
    here = chain(("conv", "Conv2d", 4, "conv"), ("bn", "BatchNorm2d", 4, "bn"), ("fc", "Linear", 3, "fc"))
    fields = {"has_bias": True, "parameters": ("onnx::Conv_7",)} | partner
    origin = fields.pop("origin", "conv")
    rest = fields.pop("rest", [])
    there = chain(("c", "Conv", 4, origin, fields), *rest, ("g", "Gemm", 3, "fc"), graph=True)
    return names(*correspond(here, there, ("A", "B")))


def test_a_folded_batchnorm_is_what_its_layer_gives():
    assert folding()["bn output"] == "c output"
    assert folding(origin="bn")["bn output"] == "c output"
    assert folding(origin="bn")["data input"] == "data input"
    assert "conv output" not in folding()


def test_a_layer_that_kept_its_weights_beside_other_batchnorms_was_not_folded():
    other = [("b", "BatchNormalization", 4, "elsewhere")]
    kept = folding(parameters=("conv.weight", "conv.bias"), rest=other)
    assert kept["conv output"] == "c output"
    assert kept["bn output"] == "b output"  # what fc reads
    assert folding(parameters=("conv.weight",))["bn output"] == "c output"
    assert folding(has_bias=False)["conv output"] == "c output"


def test_a_batchnorm_that_another_factory_left_out_is_not_folded():
    here = chain(("conv", "Conv2d", 4, "conv"), ("bn", "BatchNorm2d", 4, "bn"))
    there = chain(("conv", "Conv2d", 4, "conv", {"has_bias": True}))
    found = names(*correspond(here, there, ("A", "B")))
    assert found["conv output"] == "conv output"
    assert "bn output" not in found


def test_logits_are_only_compared_with_logits():
    here = chain(("a", "Linear", 4, "a"))
    logits = SiteKey("a", "logits")
    site = here.sites[1].__class__(logits, "Attention", "attention", here.sites[1].layout, 4, ("N", 4), 9)
    with_logits = here.__class__((*here.sites, site), here.modules, (), ())
    view, _ = correspond(with_logits, here, ("A", "B"))
    assert reasons(view) == {"a": "its logits: without a counterpart in B"}
    reading = replace(here.modules[0], role="attention", inputs=(logits,))
    view, _ = correspond(
        replace(with_logits, modules=(reading,)), chain(("a", "Linear", 4, "a", {"role": "attention"})), ("A", "B")
    )
    assert reasons(view)["a"] == "its logits: attention logits in one model and not in the other"
    view, other = correspond(with_logits, with_logits, ("A", "B"))
    assert names(view, other)["a logits"] == "a logits"


def test_nothing_in_common_is_nothing():
    view, other = correspond(chain(("a", "Linear", 4, "a")), chain(("b", "Linear", 4, "b")), ("A", "B"))
    assert view.sites == other.sites == {}
    assert set(reasons(view)) == {"data", "a"}
