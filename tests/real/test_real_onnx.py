"""Published models on inputs of the kind they were made for, from the file to the report."""

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import covscan
from covscan.config import Settings
from covscan.pipeline import survey

FIGURES = {"mean": np.mean, "std": np.std, "min": np.min, "max": np.max}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def folder_of(package):
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{package} is not installed")
    return Path(spec.submodule_search_locations[0])


def agrees(site, values):
    """The statistics of a site are those of all its values."""
    (found,) = site.statistics.values()
    values = np.asarray(values, np.float64)
    assert found.count == values.size
    for figure, function in FIGURES.items():
        assert getattr(found, figure) == pytest.approx(function(values), abs=1e-4 * values.std()), figure


def voices(count, width):
    """Harmonics of a voice's pitch that swell and fade, over a little noise."""
    rng = np.random.default_rng(0)
    time = np.arange(width) / 16000
    pitch = rng.uniform(80, 300, size=(count, 1))
    tones = sum(np.sin(2 * np.pi * pitch * harmonic * time) / harmonic for harmonic in range(1, 6))
    loudness = rng.uniform(0, 0.3, size=(count, 1))
    return (loudness * tones + 0.01 * rng.normal(size=(count, width))).astype(np.float32)


def test_a_voice_detector_as_onnx_with_state_and_rate():
    path = folder_of("silero_vad") / "data" / "silero_vad.onnx"
    sound = voices(48, 576)
    report = covscan.analyze(path, data={"input": sound, "sr": np.array(16000)}, positions=None)
    assert report.model.engine == "onnx"
    assert any("'state'" in note for note in report.notes)
    assert not any(finding.code in {"COV103", "COV104", "COV110", "COV111"} for finding in report.findings)
    feeds = {"input": sound, "state": np.zeros((2, 48, 128), np.float32), "sr": np.array(16000)}
    (chance,) = onnxruntime.InferenceSession(path).run(["output"], feeds)
    agrees(next(site for site in reversed(report.sites) if site.type == "Sigmoid"), chance)
    assert sum(site.type == "LSTM" for site in report.sites) >= 1


def test_the_same_detector_as_torchscript():
    path = folder_of("silero_vad") / "data" / "silero_vad.jit"
    sound = voices(48, 512)
    report = covscan.analyze(path, data={"x": sound, "sr": 16000}, positions=None, batch_size=48)
    assert report.model.engine == "torchscript"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model = torch.jit.load(path).eval()
    with torch.no_grad():
        chance = model(torch.from_numpy(sound), 16000).numpy()
    agrees(next(site for site in reversed(report.sites) if site.type == "Sigmoid"), chance)
    unused = next(finding for finding in report.findings if finding.code == "COV105")
    assert "_model_8k" in unused.message
    assert not any(site.site.startswith("_model_8k") for site in report.sites)


def words_drawn(count, width, height):
    """Random words in black on white, as an OCR reads them: (count, 3, height, width) in -1 … 1."""
    from PIL import Image, ImageDraw, ImageFont

    rng = np.random.default_rng(0)
    font = ImageFont.load_default(size=24)
    drawn = []
    for _ in range(count):
        image = Image.new("RGB", (width, height), tuple(rng.integers(200, 256, size=3).tolist()))
        word = "".join(map(chr, rng.integers(ord("a"), ord("z") + 1, size=width // 16)))
        ImageDraw.Draw(image).text((rng.integers(2, 8), height // 4), word, fill="black", font=font)
        drawn.append(np.asarray(image, np.float32).transpose(2, 0, 1) / 127.5 - 1)
    return np.stack(drawn)


@pytest.mark.parametrize(
    ("name", "width", "height"),
    [
        ("ch_ppocr_mobile_v2.0_cls_infer", 192, 48),
        ("ch_PP-OCRv4_rec_infer", 64, 48),
        ("ch_PP-OCRv4_det_infer", 64, 64),
    ],
)
def test_a_reader_of_text_gives_what_an_untouched_session_computes(name, width, height):
    pytest.importorskip("PIL")
    path = folder_of("rapidocr_onnxruntime") / "models" / f"{name}.onnx"
    images = words_drawn(16, width, height)
    model = onnx.load(path)
    tapped = survey(Settings(checkpoints=(str(path),), data={"x": images})).sites
    wanted = [site.site for site in tapped if site.position == "output"][1::24]
    report = covscan.analyze(path, data={"x": images}, positions=None, sites=wanted)
    assert not report.coverage.non_finite
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(value) for value in wanted)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    expected = dict(zip(wanted, session.run(wanted, {"x": images}), strict=True))
    compared = [site for site in report.sites if site.site in expected and site.position == "output"]
    assert len(compared) >= 3
    for site in compared:
        agrees(site, expected[site.site])
