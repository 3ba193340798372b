"""Models that nobody here wrote, from packages: a voice detector with states and branches, and three of an OCR."""

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_testing import batch, checkpoint, normal, rows_of, run, site

from covscan.capture.onnx_session import tapped_model


def _model(package: str, name: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{package} is not installed")
    return Path(spec.submodule_search_locations[0]) / name


@pytest.mark.parametrize("rate", [16000, 8000])
def test_silero_vad_is_seen_through_its_branches_at_either_rate(rate):
    path = _model("silero_vad", "data/silero_vad.onnx")
    width = 512 if rate == 16000 else 256
    x, state = normal(6, width, scale=0.1), np.zeros((2, 6, 128), np.float32)
    found = run(
        path,
        [batch(input=x[:4], sr=np.array(rate)), batch(input=x[4:], sr=np.array(rate), start=4)],
        references=(checkpoint(path, "same"),),
    )
    types = [m.type for m in found.network.modules]
    assert types.count("Conv") == 6
    assert types.count("LSTM") == 1
    assert found.network.notes[0].startswith("The graph has convolutions but no BatchNormalization")
    assert len(found.seen.unmoved_) == 7
    assert found.seen.replays == {}
    assert not found.seen.skipped
    other = "else_branch" if rate == 16000 else "then_branch"
    assert any(f"{other} subgraph" in skip.reason for skip in found.network.skipped)
    probability = found.network.modules[-1]
    assert probability.type == "Sigmoid"
    feeds = {"input": x, "state": state, "sr": np.array(rate)}
    plain = onnxruntime.InferenceSession(path).run(["output"], feeds)[0]
    np.testing.assert_allclose(found.seen.values(probability.name), plain, atol=1e-5)
    (rnn,) = [m for m in found.network.modules if m.type == "LSTM"]
    assert site(found.network, rnn.name).shape == (1, "N", 128)


def test_silero_vad_with_a_fixed_batch_of_one():
    path = _model("silero_vad", "data/silero_vad_openvino_16k.onnx")
    x = normal(3, 576, scale=0.1)
    found = run(path, [batch(input=x)])
    session = onnxruntime.InferenceSession(path)
    plain = [
        session.run(["output"], {"input": x[i : i + 1], "state": np.zeros((2, 1, 128), np.float32)})[0]
        for i in range(3)
    ]
    np.testing.assert_allclose(found.seen.values(found.network.modules[-1].name), np.concatenate(plain), atol=1e-5)


OCR = {
    "ch_ppocr_mobile_v2.0_cls_infer": ((3, 48, 64), {"Conv": 53, "BatchNormalization": 35, "MatMul": 1}),
    "ch_PP-OCRv4_rec_infer": ((3, 48, 64), {"Conv": 38, "LayerNormalization": 5, "Softmax": 2, "MatMul": 9}),
    "ch_PP-OCRv4_det_infer": (
        (3, 96, 96),
        {"Conv": 62, "ConvTranspose": 2, "BatchNormalization": 3, "HardSigmoid": 10},
    ),
}


@pytest.mark.parametrize("name", OCR)
def test_the_ocr_models_are_read_like_an_untouched_session_computes_them(name):
    shape, counts = OCR[name]
    path = _model("rapidocr_onnxruntime", f"models/{name}.onnx")
    x = normal(3, *shape)
    found = run(path, [batch(x[:2]), batch(x[2:], start=2)])
    types = [m.type for m in found.network.modules]
    assert {kind: types.count(kind) for kind in counts} == counts
    assert not found.seen.skipped
    chosen = [each for each in found.network.sites if each.key.position != "logits"][:: max(1, len(types) // 8)]
    names = [each.key.site for each in chosen if each.key.site != "x"]
    session = onnxruntime.InferenceSession(tapped_model(onnx.load(path), names).SerializeToString())
    for each, value in zip(names, session.run(names, {"x": x}), strict=True):
        layout = site(found.network, each).layout
        expected = rows_of(value, layout.channel_axis, layout.sample_axis)
        np.testing.assert_allclose(found.seen.values(each), expected, rtol=1e-3, atol=1e-3)
    assert len(found.backend.norms(checkpoint(path), found.network)) == sum(
        m.role == "norm" for m in found.network.modules
    )
    weights = found.backend.weights(checkpoint(path))
    assert all(name in weights for m in found.network.modules for name in m.parameters)
