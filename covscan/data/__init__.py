"""Open sample data of any kind as the same seeded samples at every checkpoint."""

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covscan.config.loading import looks_like_object
from covscan.config.settings import Settings
from covscan.errors import UsageError
from covscan.memory import bounded
from covscan.registry import resolve

if TYPE_CHECKING:
    from covscan.data.contents import Contents
    from covscan.data.samples import OpenSamples

_IMAGES = "covscan.data.images:read_images"

KINDS = {
    ".npy": "covscan.data.numpy_files:read_npy",
    ".npz": "covscan.data.numpy_files:read_npz",
    ".pt": "covscan.data.tensor_files:read_torch",
    ".pth": "covscan.data.tensor_files:read_torch",
    ".safetensors": "covscan.data.tensor_files:read_safetensors",
    ".csv": "covscan.data.csv_files:read_csv",
    ".csv.gz": "covscan.data.csv_files:read_csv",
    ".tsv": "covscan.data.csv_files:read_csv",
    ".txt": "covscan.data.csv_files:read_csv",
    ".parquet": "covscan.data.arrow_files:read_parquet",
    ".arrow": "covscan.data.arrow_files:read_arrow",
    ".feather": "covscan.data.arrow_files:read_arrow",
    ".jsonl": "covscan.data.json_lines:read_json_lines",
    ".ndjson": "covscan.data.json_lines:read_json_lines",
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"), _IMAGES),
    ".ppm": _IMAGES,
    ".pgm": _IMAGES,
}
"""Suffix → reader, called with the path and the settings; a folder is read as images."""

PYTHON = "covscan.data.python_objects"


def open_samples(settings: Settings, *, option: str = "--data", labelled: bool = True) -> "OpenSamples":
    """Open what ``settings.data`` names and choose the samples.

    Of data whose length is known those ``settings.samples`` samples are read whose numbers have the smallest
    seeded hash, in ascending order; of an iterable the first ones, kept in a temporary folder. ``option`` is what
    messages call the source; where it need not be ``labelled``, ``settings.target`` may be missing. Raises UsageError.
    """
    from covscan.data.samples import OpenSamples, delete_folder

    for name, value in (("--samples", settings.samples), ("--batch-size", settings.batch_size)):
        if value < 1:
            raise UsageError("bad-setting", f"{name} must be at least 1", found=str(value))
    contents = _contents(settings, option)
    try:
        return OpenSamples(contents, settings, labelled=labelled)
    except BaseException:
        delete_folder(contents.temporary)
        raise


def _contents(settings: Settings, option: str) -> "Contents":
    data = settings.data
    if data is None:
        raise UsageError(
            "missing-data", "no sample data was given", hint="add --data FILE, FOLDER, or file.py:function"
        )

    def open_path(path: str) -> "Contents":
        return _open_path(Path(path), settings, option)

    if isinstance(data, str) and looks_like_object(data) and not Path(data).exists():
        return _read(f"{PYTHON}:read_function", data, settings, open_path)
    if isinstance(data, str):
        return open_path(data)
    return _read(f"{PYTHON}:read_object", data, settings, open_path)


def _open_path(path: Path, settings: Settings, option: str) -> "Contents":
    if not path.exists():
        folder = path.parent
        names = [each.name for each in folder.iterdir()] if folder.is_dir() else []
        close = difflib.get_close_matches(path.name, names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "give a file, a folder of images, or file.py:function"
        raise UsageError("no-such-file", f"{option}: there is no {str(path)!r}", hint=hint)
    if path.is_dir():
        return _read(_IMAGES, path, settings)
    if not path.is_file():
        raise UsageError("unreadable-data", f"{option}: {str(path)!r} is no regular file", hint="save it to disk first")
    name = path.name.lower()
    kind = next((target for suffix, target in KINDS.items() if name.endswith(suffix)), None)
    if kind is None:
        raise UsageError(
            "unknown-data-kind",
            f"{option}: {path.name!r} is of no kind that covscan reads",
            found=f"suffix {path.suffix!r}",
            hint=_kinds_hint(path),
        )
    return _read(kind, path, settings)


def _read(reader: str, *arguments: Any) -> "Contents":
    read = resolve(reader)  # its imports are not to count
    path = arguments[0]
    if not isinstance(path, Path):
        contents: Contents = read(*arguments)
        return contents
    with bounded(_size(path), repr(str(path))):
        bounded_contents: Contents = read(*arguments)
        return bounded_contents


def _kinds_hint(path: Path) -> str:
    if path.suffix == ".py":
        return f"name the function that returns the data: {path}:function"
    return f"give one of {', '.join(KINDS)}, or file.py:function that returns a DataLoader or arrays"


def _size(path: Path) -> int:
    """How large the file is, unpacked where it is an archive that says so; its reader asks whether that fits."""
    if path.suffix.lower() != ".npz":
        return 0 if path.is_dir() else path.stat().st_size
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            return sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return path.stat().st_size
