"""Damaged files of every kind end in an error for the user, never in a traceback; ``make fuzz`` tries many more."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import save_file

from covscan.config import Settings
from covscan.data import KINDS, open_samples
from covscan.errors import CovscanError
from covscan.models import open_source

pytestmark = pytest.mark.fuzz

Damage = Callable[[bytes], bytes]
NUMBERS = np.random.default_rng(0).normal(size=(24, 6)).astype(np.float32)
COLUMNS = {f"c{place}": NUMBERS[:, place] for place in range(NUMBERS.shape[1])}


def cut(share: float) -> Damage:
    return lambda content: content[: int(share * len(content))]


def overwrite(share: float, replacement: bytes) -> Damage:
    def damage(content: bytes) -> bytes:
        at = int(share * len(content))
        return content[:at] + replacement + content[at + len(replacement) :]

    return damage


def insert(share: float, addition: bytes) -> Damage:
    return lambda content: content[: int(share * len(content))] + addition + content[int(share * len(content)) :]


# Headers stand at the start, the directories of zip and Parquet at the end: both are hit more often than the middle.
PLACES = st.one_of(st.floats(0, 1), st.floats(0, 0.02), st.floats(0.98, 1))
SCRAPS = st.one_of(
    st.binary(min_size=1, max_size=8), st.sampled_from([b"\xff" * 8, b"\0" * 8, b"9" * 6, b"nan,", b"\n"])
)
DAMAGES = st.one_of(st.builds(cut, PLACES), st.builds(overwrite, PLACES, SCRAPS), st.builds(insert, PLACES, SCRAPS))


def write_npz(path: Path) -> None:
    np.savez(path, x=NUMBERS, y=np.arange(24))


def write_csv(path: Path) -> None:
    np.savetxt(path, NUMBERS, delimiter=",", header=",".join(COLUMNS), comments="")


def write_lines(path: Path) -> None:
    path.write_text("".join(f'{{"x": {row.tolist()}}}\n' for row in NUMBERS), encoding="utf-8")


def write_image(path: Path) -> None:
    Image.fromarray((np.abs(NUMBERS) * 60).astype(np.uint8)).save(path)


WRITERS: dict[str, Callable[[Path], object]] = {
    ".npy": lambda path: np.save(path, NUMBERS),
    ".npz": write_npz,
    ".pt": lambda path: torch.save({"x": torch.from_numpy(NUMBERS)}, path),
    ".safetensors": lambda path: save_file({"x": NUMBERS}, path),
    ".csv": write_csv,
    ".parquet": lambda path: pa.parquet.write_table(pa.table(COLUMNS), path),
    ".feather": lambda path: pa.feather.write_feather(pa.table(COLUMNS), path),
    ".jsonl": write_lines,
    ".png": write_image,
    ".gif": write_image,
    ".bmp": write_image,
}

many = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture
def quiet() -> Iterator[None]:
    """Libraries may warn about a damaged file; what counts is how it ends."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def damaged(folder: Path, original: Path, damage: Damage) -> Iterator[Path]:
    """A damaged copy under a name of its own: libraries may still have an earlier one mapped."""
    with TemporaryDirectory(dir=folder) as name:
        path = Path(name) / original.name
        path.write_bytes(damage(original.read_bytes()))
        yield path


def error_of(attempt: Callable[[], object]) -> CovscanError | None:
    """What the user would be told; any other exception is the finding."""
    try:
        attempt()
    except CovscanError as error:
        return error
    return None


def read_all(path: Path) -> None:
    samples = open_samples(Settings(data=str(path), batch_size=10))
    assert sum(batch.n for batch in samples.batches()) == samples.count > 0


def open_all(path: Path, factory: str | None) -> None:
    source = open_source(Settings(model=factory, checkpoints=(str(path),)))
    (checkpoint,) = source.series.checkpoints
    assert (source.proto if source.engine == "onnx" else source.module)(checkpoint) is not None


def test_no_reader_of_data_is_left_out() -> None:
    readers = {KINDS[suffix] for suffix in WRITERS}
    assert readers == set(KINDS.values()) - {"covscan.data.arrow_files:read_arrow"} | {KINDS[".feather"]}


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("data")
    for suffix, write in WRITERS.items():
        write(folder / f"data{suffix}")
    return {suffix: folder / f"data{suffix}" for suffix in WRITERS}


@pytest.mark.parametrize("suffix", WRITERS)
@many
@given(damage=DAMAGES)
def test_damaged_data(suffix: str, damage: Damage, originals: dict[str, Path], tmp_path: Path, quiet: None) -> None:
    with damaged(tmp_path, originals[suffix], damage) as path:
        error = error_of(lambda: read_all(path))
        assert error is None or error.exit_code == 2


@pytest.mark.parametrize("suffix", WRITERS)
def test_undamaged_data_is_read(suffix: str, originals: dict[str, Path]) -> None:
    read_all(originals[suffix])


@pytest.fixture(scope="module")
def checkpoints(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str | None]]:
    """An undamaged file of each format, and the factory it needs."""
    folder = tmp_path_factory.mktemp("checkpoints")
    network = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    (folder / "nets.py").write_text(
        "from torch import nn\n\n\ndef build():\n"
        "    return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))\n",
        encoding="utf-8",
    )
    factory = f"{folder / 'nets.py'}:build"
    torch.save({"step": 3, "state_dict": network.state_dict()}, folder / "zip.pt")
    torch.save(network.state_dict(), folder / "old.pt", _use_new_zipfile_serialization=False)
    save_file({name: value.numpy() for name, value in network.state_dict().items()}, folder / "plain.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(network, torch.zeros(2, 6)), folder / "script.pt")
    return {
        "zip": (folder / "zip.pt", factory),
        "old": (folder / "old.pt", factory),
        "safetensors": (folder / "plain.safetensors", factory),
        "torchscript": (folder / "script.pt", None),
        "onnx": (samples / "conv-onnx" / "epoch0.onnx", None),
    }


@pytest.mark.parametrize("kind", ["zip", "old", "safetensors", "torchscript", "onnx"])
@many
@given(damage=DAMAGES)
def test_damaged_checkpoints(
    kind: str, damage: Damage, checkpoints: dict[str, tuple[Path, str | None]], tmp_path: Path, quiet: None
) -> None:
    original, factory = checkpoints[kind]
    with damaged(tmp_path, original, damage) as path:
        error = error_of(lambda: open_all(path, factory))
        assert error is None or (error.exit_code == 2 and path.name in str(error))


@pytest.mark.parametrize("kind", ["zip", "old", "safetensors", "torchscript", "onnx"])
def test_undamaged_checkpoints_open(kind: str, checkpoints: dict[str, tuple[Path, str | None]]) -> None:
    open_all(*checkpoints[kind])
