"""Find the checkpoints that paths, globs and folders name."""

import difflib
import glob
import re
from collections.abc import Sequence
from pathlib import Path

from covscan.config.loading import looks_like_object
from covscan.errors import CovscanError, InputErrors, UsageError, raise_collected
from covscan.models.checkpoint_files import saved_file
from covscan.models.folders import PART_SUFFIX, checkpoints_among, distributed, natural, saved_in_folder
from covscan.models.formats import Saved

_MAGIC = re.compile(r"[*?\[]")


def find_saved(given: Sequence[str], notes: list[str]) -> list[Saved]:
    """Every checkpoint that ``given`` names, each once, in that order; what was left out goes to ``notes``.

    Raises UsageError, or InputErrors where several of the arguments are at fault.
    """
    found: dict[Path, Saved] = {}
    errors: list[CovscanError] = []
    for text in given:
        try:
            for saved in _of_argument(text, notes):
                found.setdefault(saved.path.resolve(), saved)
        except InputErrors as error:
            errors.extend(error.errors)
        except UsageError as error:
            errors.append(error)
    raise_collected(errors)
    return list(found.values())


def _of_argument(text: str, notes: list[str]) -> list[Saved]:
    path = Path(text).expanduser()
    if path.is_dir():
        return saved_in_folder(path, notes)
    if path.suffix == PART_SUFFIX and path.exists():
        raise distributed(path.parent)
    if path.exists():
        return [saved_file(path)]
    if _MAGIC.search(text) is not None:
        return _of_glob(str(path), notes)
    hint = f"did you mean --model {text}?" if looks_like_object(text) else _nearest(path)
    raise UsageError("no-such-path", f"there is no file or folder {text!r}", hint=hint)


def _of_glob(pattern: str, notes: list[str]) -> list[Saved]:
    matches = sorted((Path(match) for match in glob.glob(pattern, recursive=True)), key=natural)
    if not matches:
        raise UsageError(
            "no-match",
            f"nothing matches {pattern!r}",
            hint=_nearest(Path(pattern)),
        )
    found = checkpoints_among(match for match in matches if not match.is_dir())
    for folder in [match for match in matches if match.is_dir()]:
        found += saved_in_folder(folder, notes)
    parts = [match for match in matches if match.suffix == PART_SUFFIX]
    if parts and not found:
        raise distributed(parts[0].parent)
    if not found:
        raise UsageError(
            "no-checkpoints-found",
            f"nothing that matches {pattern!r} is a checkpoint",
            found=", ".join(match.name for match in matches[:5]),
        )
    return found


def _nearest(path: Path) -> str:
    """A did-you-mean: the first part of the path that does not exist, and what is there instead."""
    parent = path.parent
    while not parent.is_dir():
        path, parent = parent, parent.parent
    names = sorted(each.name for each in parent.iterdir() if not each.name.startswith("."))
    close = difflib.get_close_matches(path.name, names, n=1)
    if close:
        return f"did you mean {str(parent / close[0])!r}?"
    return f"{str(parent)!r} holds {', '.join(names[:5])}" if names else f"{str(parent)!r} is empty"
