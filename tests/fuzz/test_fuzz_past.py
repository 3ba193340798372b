"""What fuzzing found stays found: every input that once ended otherwise than in a sentence, and the seeds."""

import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from targets import TARGETS, clean, folder, outcome

from covscan.data import KINDS
from covscan.models import READERS, STANDALONE

PAST = sorted((Path(__file__).parent / "past").iterdir())


@pytest.fixture(scope="module", autouse=True)
def cleaned():
    yield
    clean()


def test_targets_go_on_after_cleaning_up():
    """Tests of one module may run in several turns, and what it set up is gone after each."""
    for _ in range(2):
        assert outcome("onnx", TARGETS["onnx"].seeds()[0]) is None
        assert folder().is_dir()
        clean()


def target_of(file):
    return file.name.rpartition("-")[0]


@pytest.mark.parametrize("file", PAST, ids=[file.name for file in PAST])
def test_past_findings(file):
    start = time.perf_counter()
    error = outcome(target_of(file), file.read_bytes())
    assert error is None or error.exit_code == 2
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_valid(name):
    seeds = TARGETS[name].seeds()
    if name == "report":  # each of them is drawn in every format by tests of its own, which takes a second or two
        seeds = sorted(seeds, key=len)[:2]
    for content in seeds:
        error = outcome(name, content)
        assert error is None or (name == "torch-module" and error.code == "missing-factory")


def test_every_reader_is_a_target():
    """Weights and models by format, data by reader, and what covscan writes itself."""
    models = {
        "torch": "torch-zip",
        "safetensors": "safetensors",
        "torchscript": "torchscript",
        "exported": "pt2",
        "onnx": "onnx",
    }
    assert set(STANDALONE) | set(READERS) == set(models) | {"huggingface"}  # a folder of the others
    kinds = {"npy", "npz", "data-pt", "data-safetensors", "csv", "jsonl", "parquet", "arrow", "png"}
    assert len({KINDS[suffix] for suffix in KINDS}) == len(kinds)
    assert set(models.values()) | kinds | {"config", "report", "baseline"} <= set(TARGETS)
