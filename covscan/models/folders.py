"""Find the checkpoints in a folder: files of a run, a sharded or Hugging Face directory, or several."""

import re
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from covscan.errors import CovscanError, UsageError, raise_collected
from covscan.models.checkpoint_files import (
    HUGGINGFACE_WEIGHTS,
    INDEX_SUFFIX,
    SHARD,
    saved_file,
    saved_index,
    saved_shards,
    shards_of_index,
)
from covscan.models.detection import detect, not_a_model
from covscan.models.formats import SUFFIXES, Saved

_SIDE_FILE = re.compile(
    r"^(optim|optimi[sz]er|sched|(lr_)?scheduler|scaler|rng(_state)?|random_states?|training_args|training_state"
    r"|trainer_state|sampler|dataloader|args|hparams)([_.\-\d]|$)"
)
_OF_A_RUN = re.compile(r"^(checkpoint|ckpt|weight|snapshot|(global_?)?step|epoch|iter)s?([_\-=.]?\d+)?$")
_LOOSE_SUFFIXES = (".bin", ".pkl", ".pickle", ".tar", ".model")  # other programs' files have them too
PART_SUFFIX = ".distcp"
_DIGITS = re.compile(r"(\d+)")
_DEEPEST = 5


Spoiled = MutableMapping[Path, CovscanError]
"""What is wrong with files and folders that hold no checkpoint, or none yet."""


@dataclass(frozen=True, slots=True)
class Search:
    """How folders are searched.

    ``notes`` takes what was left out. Where ``spoiled`` is given it takes what is wrong with a file, which otherwise
    ends the search. Names that ``passed_over`` picks are not looked at.
    """

    notes: list[str]
    spoiled: Spoiled | None = None
    passed_over: Callable[[Path], bool] = lambda path: path.name.startswith(".")


def natural(path: Path) -> list[tuple[int, int, str]]:
    """A sort key in which ``step-2`` comes before ``step-10``."""
    parts = _DIGITS.split(str(path))
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def saved_in_folder(folder: Path, notes: list[str]) -> list[Saved]:
    """The checkpoints in ``folder``, in natural order of their names. Raises UsageError."""
    found = search(folder, Search(notes))
    if found:
        return found
    names = sorted(each.name for each in folder.iterdir())
    if not names:
        raise UsageError("empty-directory", f"the folder {str(folder)!r} is empty")
    parts = sorted(folder.rglob(f"*{PART_SUFFIX}"), key=natural)
    if parts:
        raise distributed(parts[0].parent)
    raise UsageError(
        "no-checkpoints-found",
        f"the folder {str(folder)!r} holds no checkpoint",
        found=", ".join(names[:5]),
        hint="covscan looks for .pt/.pth/.bin/.ckpt, safetensors, .pt2, ONNX and Hugging Face directories",
    )


def distributed(folder: Path) -> UsageError:
    """The error for a folder that torch.distributed.checkpoint wrote, of which each file holds a part."""
    return UsageError(
        "distributed-checkpoint",
        f"{str(folder)!r} is a distributed checkpoint, whose index is a pickle that could run code",
        found=f"{len(list(folder.glob(f'*{PART_SUFFIX}')))} {PART_SUFFIX} files",
        hint=f"convert it: python -m torch.distributed.checkpoint.format_utils dcp_to_torch {folder} FILE.pt",
    )


def search(folder: Path, how: Search) -> list[Saved]:
    """The checkpoints in ``folder``, of which there may be none. Raises UsageError."""
    return _search(folder, how, _DEEPEST)


def is_side_file(path: Path) -> bool:
    """Whether the name is one of those that trainings give to their optimizer and the like."""
    return _SIDE_FILE.match(path.name.lower()) is not None


def checkpoints_among(files: Iterable[Path], spoiled: Spoiled | None = None) -> list[Saved]:
    """The checkpoints among ``files``: side files of training are left out, shards are put together.

    Raises UsageError, or InputErrors, where a file promises a checkpoint by its suffix and holds none, unless
    ``spoiled`` takes that.
    """
    rest = [file for file in files if not is_side_file(file) and not file.name.startswith(".")]
    rest = [file for file in rest if file.suffix != PART_SUFFIX]
    readers: list[tuple[Path, Callable[[], Saved | None]]] = []
    for index in [file for file in rest if file.name.endswith(INDEX_SUFFIX)]:
        try:
            covered = {shard.name for shard in shards_of_index(index)}
        except UsageError:
            if spoiled is None:
                raise
            # Which shards are its own shows once it is written; until then none of this kind is taken for another's.
            covered = {file.name for file in rest if SHARD.search(file.name)}
        rest = [file for file in rest if file.name not in covered or file.parent != index.parent]
        readers.append((index, partial(saved_index, index, listed=True)))
    shards: dict[tuple[Path, str], list[Path]] = {}
    for file in [file for file in rest if SHARD.search(file.name) and file.suffix in (".bin", ".safetensors")]:
        shards.setdefault((file.parent, SHARD.sub("", file.name)), []).append(file)
        rest.remove(file)
    readers += [(group[0], partial(saved_shards, group)) for group in shards.values()]
    readers += [(file, partial(_saved_if_model, file)) for file in rest]
    return _collect(readers, spoiled)


def _search(folder: Path, how: Search, depth: int) -> list[Saved]:
    children = _children(folder, how)
    try:
        direct = _huggingface(folder)
    except UsageError as error:
        if how.spoiled is None:
            raise
        how.spoiled[folder] = error
        return []
    if not direct:
        direct = _prefer_safetensors(checkpoints_among((child for child in children if child.is_file()), how.spoiled))
    if len(direct) > 1 or depth == 0:
        return direct
    folders = [child for child in children if child.is_dir() and (not direct or _OF_A_RUN.match(child.name))]
    below = [_search(child, how, depth - 1) for child in folders]
    return _deeper(folder, direct, [found for found in below if found], how.notes)


def _children(folder: Path, how: Search) -> list[Path]:
    try:
        return sorted((child for child in folder.iterdir() if not how.passed_over(child)), key=natural)
    except OSError as error:
        raise UsageError(
            "unreadable-file", f"the folder {str(folder)!r} cannot be read", found=error.strerror or ""
        ) from error


def _deeper(folder: Path, direct: list[Saved], below: list[list[Saved]], notes: list[str]) -> list[Saved]:
    """Whether the one checkpoint in the folder or those in the folders in it are meant."""
    several_each = sum(len(found) > 1 for found in below)
    if not below or (direct and (several_each > 1 or sum(map(len, below)) == 1)):
        return direct
    if len(below) > 1 and several_each:
        raise UsageError(
            "several-runs",
            f"the folder {str(folder)!r} holds several runs",
            found=", ".join(f"{found[0].path.parent} ({len(found)})" for found in below[:5]),
            hint="name one of them",
        )
    if direct:
        notes.append(f"{direct[0].path} was left out: the checkpoints in the folders beside it are the series")
    return [saved for found in below for saved in found]


def _huggingface(folder: Path) -> list[Saved]:
    config = folder / "config.json"
    if not config.is_file():
        return []
    for name in HUGGINGFACE_WEIGHTS:
        path = folder / name
        if path.is_file():
            saved = saved_index(path) if name.endswith(INDEX_SUFFIX) else saved_file(path)
            return [Saved(folder, "huggingface", (config, *saved.files), saved.weights, listed=True)]
    return []


def _prefer_safetensors(found: list[Saved]) -> list[Saved]:
    """Of the two forms in which Hugging Face saves the same weights beside each other, the safe one."""
    names = {saved.path.name for saved in found}
    if names & set(HUGGINGFACE_WEIGHTS[:2]):
        return [saved for saved in found if saved.path.name not in HUGGINGFACE_WEIGHTS[2:]]
    return found


def _saved_if_model(file: Path) -> Saved | None:
    """The checkpoint in ``file``, None where it never promised to be one."""
    suffix = file.suffix.lower()
    format_name = detect(file) if suffix != ".json" else None
    if format_name is None and suffix in SUFFIXES and suffix not in _LOOSE_SUFFIXES:
        raise not_a_model(file)
    if format_name is None or (format_name == "onnx" and suffix != ".onnx"):
        return None
    return saved_file(file, listed=True)


def _collect(readers: Sequence[tuple[Path, Callable[[], Saved | None]]], spoiled: Spoiled | None) -> list[Saved]:
    found: list[Saved] = []
    errors: dict[Path, CovscanError] = {}
    for path, read in readers:
        try:
            saved = read()
        except UsageError as error:
            errors[path] = error
        else:
            found += [saved] if saved is not None else []
    if spoiled is None:
        raise_collected(list(errors.values()))
    else:
        spoiled.update(errors)
    return sorted(found, key=lambda saved: natural(saved.path))
