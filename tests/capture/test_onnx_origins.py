"""Which module a node came from, as exporters write it."""

import pytest
from onnx import helper

from covscan.capture.onnx_origins import origin_of, owner_of


def node(name="", scopes=None):
    made = helper.make_node("Relu", ["x"], ["y"], name=name)
    if scopes is not None:
        made.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=scopes)
    return made


@pytest.mark.parametrize(
    ("name", "origin"),
    [
        ("/stem/Conv", "stem"),
        ("/blocks.0/conv/Conv", "blocks.0.conv"),
        ("/layer1/layer1.0/downsample/downsample.0/Conv", "layer1.0.downsample.0"),
        ("/seq/seq.0/seq.0.1/Gemm", "seq.0.1"),
        ("/layer1/layer10/Conv", "layer1.layer10"),
        ("/Relu", None),
        ("node_conv2d", None),
        ("", None),
    ],
)
def test_the_torchscript_exporter_names_nodes_after_modules(name, origin):
    assert origin_of([node(name)]) == origin


@pytest.mark.parametrize(
    ("scopes", "origin"),
    [
        ("['', 'blocks.0', 'blocks.0.conv', 'conv2d']", "blocks.0.conv"),
        ("['', 'relu']", None),
        ("['relu']", None),
        ("[", None),
        ("'blocks'", None),
    ],
)
def test_the_dynamo_exporter_names_modules_in_the_metadata(scopes, origin):
    assert origin_of([node("/other/Relu", scopes)]) == origin


def test_the_last_node_is_the_one_that_gives_the_output():
    assert origin_of([node("/a/MatMul"), node("/b/Add")]) == "b"


def test_weights_tell_their_module_where_they_agree():
    assert owner_of(("fc.weight", "fc.bias")) == "fc"
    assert owner_of(("fc.weight", "other.bias")) is None
    assert owner_of(("val_3",)) is None
    assert owner_of(()) is None
