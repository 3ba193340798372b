"""Find the checkpoints of a training that still runs: what is not there yet, or not whole, is no error."""

import glob
import re
from pathlib import Path

from covscan.errors import CovscanError, UsageError
from covscan.models.folders import Search, checkpoints_among, natural, search
from covscan.models.formats import Saved

_PASSING = re.compile(
    r"^(~|tmp[-_.]|temp[-_.])|~$|\.(tmp|temp|partial|incomplete|writing|swp|lock)\d*(\.|$)|\.part\d*$"
)


def is_passing(path: Path) -> bool:
    """Whether the name is one that programs give to what they will rename once it is written."""
    return path.name.startswith(".") or _PASSING.search(path.name.lower()) is not None


def found_so_far(place: str, notes: list[str]) -> tuple[list[Saved], dict[Path, CovscanError]]:
    """The checkpoints in a folder, or that match a glob, and what is wrong with the files that may become some.

    The folder may be missing or empty. Raises UsageError where ``place`` is neither a folder nor a glob, or where the
    folder holds several runs.
    """
    spoiled: dict[Path, CovscanError] = {}
    how = Search(notes, spoiled, is_passing)
    path = Path(place).expanduser()
    if path.is_dir():
        return _vanishing(path, how), spoiled
    if path.exists():
        raise UsageError(
            "not-a-folder",
            f"{place!r} is a file",
            hint=f"covscan watch follows the folder that a training writes to: {str(path.parent)!r}",
        )
    if not glob.has_magic(place):
        return [], spoiled
    matches = [each for each in map(Path, glob.glob(str(path), recursive=True)) if not is_passing(each)]
    matches.sort(key=natural)
    found = checkpoints_among([each for each in matches if each.is_file()], spoiled)
    for folder in [each for each in matches if each.is_dir()]:
        found += _vanishing(folder, how)
    return found, spoiled


def _vanishing(folder: Path, how: Search) -> list[Saved]:
    """The search, where files may be deleted while it goes on: the next one will not meet them."""
    try:
        return search(folder, how)
    except FileNotFoundError:
        return []
    except UsageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return []
        raise
