"""What a folder seems to hold: checkpoints, sample data and a factory, for ``covscan init`` to suggest."""

import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from covscan.cli.factories import Factory, factories_in
from covscan.models.formats import SUFFIXES

DEEPEST = 3
MOST = 5000
"""Files that are looked at, none of them opened but Python's and one of arrays."""
_SKIPPED = {"__pycache__", "node_modules", "site-packages", "venv", "build", "dist"}
_CHECKPOINTS = SUFFIXES - {".bin", ".tar", ".model", ".pkl", ".pickle"}  # other programs' files have those, too
_WHOLE = {".onnx", ".pt2", ".jit", ".ts", ".torchscript"}
"""Suffixes of checkpoints that hold their network, so that no factory is needed."""
_DATA = (".npz", ".npy", ".parquet", ".arrow", ".feather", ".csv", ".tsv", ".jsonl", ".ndjson")
_HELD_OUT = re.compile(r"(^|[^a-z])(sample|samples|val|valid|validation|test|eval|heldout|held_out)($|[^a-z])")
_SIDE_FILE = re.compile(r"^(optim|sched|scaler|rng|trainer_state|training_args)")
_NAMES = {
    "target": ("y", "label", "labels", "target", "targets"),
    "mask": ("attention_mask", "mask", "padding_mask"),
}
"""Usual names of arrays, by the setting that they are."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Checkpoints of one kind in one folder."""

    folder: PurePosixPath
    suffix: str
    files: tuple[PurePosixPath, ...]

    @property
    def order(self) -> tuple[int, int, str, str]:
        """The most promising first: many files, not deep, then by name."""
        return -len(self.files), len(self.folder.parts), str(self.folder), self.suffix


def guess(folder: Path) -> dict[str, Any]:
    """Settings that the files in ``folder`` suggest, by their names; paths are relative to it."""
    files = list(_files(folder))
    made: dict[str, Any] = {}
    groups = _groups(files)
    group = groups[0] if groups else None
    if group is not None:
        made["checkpoints"] = (_named(group, groups),)
    if group is None or group.suffix not in _WHOLE:
        found = _factory(folder, files, "" if group is None else group.folder.name)
        if found is not None:
            made["model"] = f"{found.file}:{found.name}"
    data = min((file for file in files if file.name.lower().endswith(_DATA)), key=_data_order, default=None)
    if data is not None:
        made |= {"data": str(data)} | _arrays(folder / data)
    return made


def _files(folder: Path) -> Iterator[PurePosixPath]:
    """The files in the folder and not too deep in the folders in it, in the order of their names."""
    count = 0
    for path, folders, names in os.walk(folder):
        here = PurePosixPath(Path(path).relative_to(folder).as_posix())
        deep = len(here.parts) >= DEEPEST
        folders[:] = [] if deep else sorted(each for each in folders if each[0] != "." and each not in _SKIPPED)
        for name in sorted(names):
            count += 1
            if count > MOST:
                return
            yield here / name


def _groups(files: Sequence[PurePosixPath]) -> list[_Group]:
    """Checkpoints by folder and suffix, the most promising first."""
    found: dict[tuple[PurePosixPath, str], list[PurePosixPath]] = {}
    for file in files:
        suffix = file.suffix.lower()
        if suffix in _CHECKPOINTS and not file.name.startswith(".") and not _SIDE_FILE.match(file.name.lower()):
            found.setdefault((file.parent, suffix), []).append(file)
    return sorted((_Group(*key, tuple(group)) for key, group in found.items()), key=lambda group: group.order)


def _named(group: _Group, groups: Sequence[_Group]) -> str:
    """A folder where it holds nothing else, else a glob; the file where there is one alone."""
    if len(group.files) == 1:
        return str(group.files[0])
    if group.folder.parts and sum(other.folder == group.folder for other in groups) == 1:
        return f"{group.folder}/"
    return str(group.folder / f"*{group.suffix}")


def _factory(folder: Path, files: Sequence[PurePosixPath], run: str) -> Factory | None:
    """The likeliest factory; one that is called like the folder of the checkpoints is preferred to its like."""
    scripts = [file for file in files if file.suffix == ".py" and not file.name.startswith("test_")]
    found = [each for file in scripts for each in factories_in(folder / file, str(file))]
    return max(found, key=lambda each: (each.likelihood, each.name == run, -len(Path(each.file).parts)), default=None)


def _data_order(file: PurePosixPath) -> tuple[bool, int, int, str]:
    held_out = _HELD_OUT.search(file.stem.lower()) is not None
    kind = next(place for place, suffix in enumerate(_DATA) if file.name.lower().endswith(suffix))
    return not held_out, len(file.parts), kind, str(file)


def _arrays(path: Path) -> dict[str, str]:
    """Labels and padding among the arrays of an .npz file, by their usual names."""
    if path.suffix.lower() != ".npz":
        return {}
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile):
        return {}
    return {
        setting: name for setting, usual in _NAMES.items() if (name := next((n for n in usual if n in names), "")) != ""
    }
