"""Whether a checkpoint was written to its end, as far as its format can tell."""

import json
import zipfile
from pathlib import Path

from covscan.errors import UsageError
from covscan.models.detection import detect, truncated
from covscan.models.formats import Saved
from covscan.registry import resolve

_SIZE_BYTES = 8


def whole(saved: Saved) -> Saved:
    """``saved`` with all the files that belong to it. Raises UsageError where one ends too early.

    A zip archive ends with its directory, a safetensors file says how long it is, an ONNX model names the data beside
    it. ``torch.save`` of before zip archives says nothing of its end: that shows once it is read.
    """
    if saved.format == "onnx":
        completed: Saved = resolve("covscan.models.onnx_file:whole_model")(saved)
        return completed
    for path in saved.weights:
        format_name = detect(path)
        if format_name is None:
            raise truncated(path, "it has no beginning of a checkpoint")
        if format_name == "safetensors":
            _check_safetensors(path)
        elif zipfile.is_zipfile(path):
            _check_zip(path)
    for path in saved.files:
        if path.suffix == ".json":
            _check_json(path)
    return saved


def _check_safetensors(path: Path) -> None:
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_SIZE_BYTES), "little")
            header = json.loads(file.read(min(length, size)))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise truncated(path, f"its header cannot be read ({type(error).__name__})") from error
    wanted = _SIZE_BYTES + length + max(ends, default=0)
    if size < wanted:
        raise truncated(path, f"its header says {wanted:,}")


def _check_zip(path: Path) -> None:
    """The directory at the end is there; every member that it names must lie in front of it."""
    try:
        with zipfile.ZipFile(path) as archive:
            beyond = [each.filename for each in archive.infolist() if each.header_offset >= archive.start_dir]
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise truncated(path, str(error)) from error
    if beyond:
        raise truncated(path, f"{beyond[0]!r} is not in it")


def _check_json(path: Path) -> None:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            "unreadable-index", f"{str(path)!r} is no JSON yet", found=f"{type(error).__name__}: {error}"
        ) from error
