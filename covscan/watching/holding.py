"""Checkpoints that are kept while a training may delete or rewrite them."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from covscan.errors import UsageError
from covscan.models.folders import is_side_file
from covscan.models.formats import Saved

_BESIDE = ("trainer_state.json",)


class Hold:
    """A folder of links to checkpoints, or of copies where the file system has no links to them.

    A link costs nothing but that the space of a deleted file is not free yet. Closing removes the folder.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="covscan-watch-"))
        self._count = 0
        self._places: dict[Path, tuple[Path, Path]] = {}

    def take(self, saved: Saved) -> Saved:
        """The same checkpoint, in files that stay. Raises UsageError where there is no room for a copy, or no file."""
        base = _base(saved)
        self._count += 1
        place = self._folder / str(self._count)

        def moved(path: Path) -> Path:
            return place / path.relative_to(base)

        try:
            for path in _needed(saved):
                moved(path).parent.mkdir(parents=True, exist_ok=True)
                _link(path, moved(path))
        except (OSError, ValueError) as error:
            shutil.rmtree(place, ignore_errors=True)
            raise UsageError(
                "unkept-checkpoint",
                f"{str(saved.path)!r} cannot be kept while it is measured",
                found=str(error),
                hint="TMPDIR names a folder with more room",
            ) from error
        self._let_go(saved.path)
        self._places[saved.path] = place, base
        path = place if saved.path == base else moved(saved.path)
        return replace(saved, path=path, files=tuple(map(moved, saved.files)), weights=tuple(map(moved, saved.weights)))

    def keep_only(self, paths: Iterable[Path]) -> None:
        """Let go of all but the checkpoints with these names."""
        kept = set(paths)
        for path in [path for path in self._places if path not in kept]:
            self._let_go(path)

    def named(self, text: str) -> str:
        """A message with the names that the user knows."""
        for place, base in self._places.values():
            text = text.replace(f"{place}{os.sep}", f"{base}{os.sep}").replace(str(place), str(base))
        return text

    def close(self) -> None:
        """Remove everything that is kept."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _let_go(self, path: Path) -> None:
        place, _ = self._places.pop(path, (None, None))
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)


@contextmanager
def holding() -> Iterator[Hold]:
    """A hold that is closed at the end."""
    hold = Hold()
    try:
        yield hold
    finally:
        hold.close()


def _base(saved: Saved) -> Path:
    """The folder that the names inside a checkpoint are relative to."""
    return saved.path if saved.path in {path.parent for path in saved.files} else saved.path.parent


def _needed(saved: Saved) -> list[Path]:
    """The files of a checkpoint, and what opening it may read beside them."""
    base = _base(saved)
    if saved.format == "huggingface":
        beside = [each for each in base.iterdir() if each.is_file() and not is_side_file(each)]
    else:
        beside = []
    beside += [base / name for name in _BESIDE if (base / name).is_file()]
    return sorted({*saved.files, *beside})


def _link(source: Path, target: Path) -> None:
    real = os.path.realpath(source)
    try:
        os.link(real, target)
    except OSError:
        shutil.copy2(real, target)
