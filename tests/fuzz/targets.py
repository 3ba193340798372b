"""What is fuzzed: each reader as a function of bytes, with small valid seeds."""

import functools
import io
import os
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from safetensors.numpy import save_file
from torch import nn

from covscan.config import Settings
from covscan.config.file import read_config
from covscan.data import open_samples
from covscan.errors import CovscanError
from covscan.gate.baseline_file import read as read_baseline
from covscan.models import open_source
from covscan.render import FORMATS, render
from covscan.report.decode import from_json

ROOT = Path(__file__).parent.parent.parent
NETS = "from torch import nn\n\n\ndef build():\n    return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))\n"
NUMBERS = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
COLUMNS = {f"c{place}": NUMBERS[:, place] for place in range(NUMBERS.shape[1])}


@dataclass(frozen=True, slots=True)
class Target:
    """A reader: ``attempt`` raises nothing but CovscanError, whatever the bytes."""

    attempt: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]


@functools.cache
def folder() -> Path:
    """Where inputs lie while they are read, in memory if possible."""
    path = Path(tempfile.mkdtemp(prefix="covscan-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    (path / "nets.py").write_text(NETS, encoding="utf-8")
    return path


def clean() -> None:
    """Remove that folder; whoever asks for one afterwards gets another."""
    shutil.rmtree(folder(), ignore_errors=True)
    folder.cache_clear()
    _sample.cache_clear()


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)).eval()


def model(name: str, factory: bool = True) -> Callable[[bytes], object]:
    """Open the bytes as one checkpoint and take what it holds."""

    def attempt(content: bytes) -> object:
        path = folder() / name
        path.unlink(missing_ok=True)  # an earlier one may still be mapped
        path.write_bytes(content)
        build = f"{folder() / 'nets.py'}:build" if factory else None
        source = open_source(Settings(model=build, checkpoints=(str(path),)))
        (checkpoint,) = source.series.checkpoints
        return (source.proto if source.engine == "onnx" else source.module)(checkpoint)

    return attempt


def onnx_run(content: bytes) -> object:
    """Open the bytes as ONNX, list what can be tapped and run it, as an analysis does."""
    from covscan.capture.onnx_backend import OnnxBackend

    path = folder() / "m.onnx"
    path.write_bytes(content)
    settings = Settings(checkpoints=(str(path),), data=str(_sample()), batch_size=4)
    source = open_source(settings)
    samples = open_samples(settings)
    return OnnxBackend(source, settings).plan(source.series.checkpoints[0], next(iter(samples.batches())))


@functools.cache
def _sample() -> Path:
    path = folder() / "sample.npz"
    np.savez(path, x=NUMBERS)
    return path


def data(name: str) -> Callable[[bytes], object]:
    """Open the bytes as sample data and read every batch."""

    def attempt(content: bytes) -> object:
        path = folder() / name
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        samples = open_samples(Settings(data=str(path), batch_size=5, samples=6))
        try:
            return sum(batch.n for batch in samples.batches())
        finally:
            samples.close()

    return attempt


def inside(archive: Callable[[], bytes], member: str, attempt: Callable[[bytes], object]) -> Target:
    """The bytes are one member of an otherwise valid archive, whose sums are right."""

    @functools.cache
    def parts() -> tuple[str, dict[str, bytes]]:
        with zipfile.ZipFile(io.BytesIO(archive())) as file:
            content = {name: file.read(name) for name in file.namelist()}
        return next(name for name in content if name.endswith(member)), content

    def wrapped(content: bytes) -> object:
        name, members = parts()
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as file:
            for each, old in members.items():
                file.writestr(each, content if each == name else old)
        return attempt(buffer.getvalue())

    return Target(wrapped, lambda: [parts()[1][parts()[0]]])


def report(content: bytes) -> object:
    """Read a report and render it in every format."""
    found = from_json(content)
    return [render(found, name) for name in FORMATS]


def config(content: bytes) -> object:
    path = folder() / "covscan.toml"
    path.write_bytes(content)
    return read_config(path)


def saved(write: Callable[[Path], object], suffix: str = "") -> Callable[[], bytes]:
    """The bytes that ``write`` leaves in a file."""

    def content() -> bytes:
        path = folder() / f"seed{suffix}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            write(path)
        return path.read_bytes()

    return content


def one(content: Callable[[], bytes]) -> Callable[[], list[bytes]]:
    return lambda: [content()]


def _tables(write: Callable[[pa.Table, Path], object]) -> Callable[[], list[bytes]]:
    lists = pa.table({"x": pa.array(NUMBERS.tolist()), "label": ["a", "b"] * 4})
    return lambda: [saved(partial(write, each))() for each in (pa.table(COLUMNS), lists)]


def _onnx(path: Path) -> None:
    weights = [
        numpy_helper.from_array(NUMBERS[:6, :4].copy(), "w"),
        numpy_helper.from_array(NUMBERS[0, :4].copy(), "b"),
    ]
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["h"]), helper.make_node("Relu", ["h"], ["y"])]
    ends = [[helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", w])] for n, w in (("x", 6), ("y", 4))]
    graph = helper.make_graph(nodes, "g", *ends, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def _image(kind: str) -> Callable[[], list[bytes]]:
    return one(saved(lambda path: Image.fromarray((np.abs(NUMBERS) * 60).astype(np.uint8)).save(path, kind)))


def _csv() -> list[bytes]:
    rows = "\n".join(",".join(map(str, row)) for row in NUMBERS)
    return [f"{','.join(COLUMNS)}\n{rows}\n".encode(), b"x\ty\n[1,2]\t1\n[3]\t2\n", b"1 2 3\n4 5 6\n"]


def _lines() -> list[bytes]:
    named = "".join(f'{{"x": {row.tolist()}, "y": {place}}}\n' for place, row in enumerate(NUMBERS))
    return [named.encode(), b"[1, 2, 3]\n[4, 5]\n", b"1\n2.5\n"]


def _reports() -> list[bytes]:
    return [
        path.read_bytes()
        for path in sorted((ROOT / "tests" / "golden").glob("*.json"))
        if path.stat().st_size < 1 << 17
    ]


def _baseline() -> list[bytes]:
    from covscan.config.policy import Tolerances
    from covscan.gate.baseline_file import write
    from covscan.gate.baseline_values import baseline_of

    found = from_json((ROOT / "tests" / "golden" / "digits.json").read_bytes())
    return [write(baseline_of(found, Tolerances())).encode()]


state = saved(lambda path: torch.save({"step": 3, "state_dict": network().state_dict()}, path))
old = saved(lambda path: torch.save(network().state_dict(), path, _use_new_zipfile_serialization=False))
safe = saved(lambda path: save_file({name: each.numpy() for name, each in network().state_dict().items()}, path))
script = saved(lambda path: torch.jit.save(torch.jit.trace(network(), torch.zeros(2, 6)), path))
program = saved(lambda path: torch.export.save(torch.export.export(network(), (torch.zeros(2, 6),)), path), ".pt2")
tensors = saved(lambda path: torch.save({"x": torch.from_numpy(NUMBERS), "y": [torch.ones(8), 3]}, path))
arrays = saved(lambda path: np.savez(path, x=NUMBERS, y=np.arange(8)), ".npz")

TARGETS: dict[str, Target] = {
    "torch-zip": Target(model("m.pt"), one(state)),
    "torch-pickle": inside(state, "data.pkl", model("m.pt")),
    "torch-legacy": Target(model("m.pt"), one(old)),
    "torch-module": inside(state, "data.pkl", model("m.pt", factory=False)),
    "safetensors": Target(model("m.safetensors"), one(safe)),
    "torchscript": Target(model("m.pt", factory=False), one(script)),
    "torchscript-source": inside(script, ".py", model("m.pt", factory=False)),
    "pt2": Target(model("m.pt2", factory=False), one(program)),
    "pt2-graph": inside(program, "models/model.json", model("m.pt2", factory=False)),
    "onnx": Target(onnx_run, one(saved(_onnx))),
    "npy": Target(data("d.npy"), one(saved(lambda path: np.save(path, NUMBERS), ".npy"))),
    "npz": Target(data("d.npz"), one(arrays)),
    "data-pt": Target(data("d.pt"), one(tensors)),
    "data-pickle": inside(tensors, "data.pkl", data("d.pt")),
    "data-safetensors": Target(data("d.safetensors"), one(saved(lambda path: save_file({"x": NUMBERS}, path)))),
    "csv": Target(data("d.csv"), _csv),
    "jsonl": Target(data("d.jsonl"), _lines),
    "parquet": Target(data("d.parquet"), _tables(pa.parquet.write_table)),
    "arrow": Target(data("d.arrow"), _tables(pyarrow.feather.write_feather)),
    "png": Target(data("d.png"), _image("png")),
    "gif": Target(data("d.gif"), _image("gif")),
    "tiff": Target(data("d.tiff"), _image("tiff")),
    "config": Target(config, one((ROOT / "samples" / "ci" / "covscan.toml").read_bytes)),
    "report": Target(report, _reports),
    "baseline": Target(lambda content: read_baseline(content, "the baseline"), _baseline),
}


def outcome(name: str, content: bytes) -> CovscanError | None:
    """What the user would be told of the bytes; anything else that is raised is a finding."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            TARGETS[name].attempt(content)
        except CovscanError as error:
            return error
    return None


def write_corpus(name: str, into: Path) -> None:
    """The seeds of a target as files."""
    into.mkdir(parents=True, exist_ok=True)
    for place, content in enumerate(TARGETS[name].seeds()):
        (into / f"seed-{place}").write_bytes(content)
