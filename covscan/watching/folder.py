"""A folder that a training writes to, seen again and again: which checkpoints are whole, and what became of others."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from covscan.errors import CovscanError, UsageError
from covscan.models.digest import Stamp, stamp
from covscan.models.formats import Saved
from covscan.models.growing import found_so_far
from covscan.models.wholeness import whole

PATIENCE = 4
"""Intervals for which a file stays as it is, and is no checkpoint, before anything is said of it."""


@dataclass(slots=True)
class _Seen:
    """What was seen of one path, and since when it is so."""

    stamp: Stamp
    since: float
    whole: Saved | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the folder found.

    ``ready`` are the checkpoints that are whole and were left alone for an interval, ``growing`` is how many others may
    become some, ``broken`` what is wrong with those that do not change any more, ``paths`` everything that is there.
    """

    ready: list[Saved]
    growing: int
    broken: dict[Path, CovscanError]
    paths: frozenset[Path]


@dataclass(slots=True)
class Folder:
    """Looks at ``place``, a folder or a glob.

    A checkpoint is ready once its format says that it is whole and, between two looks at least ``interval`` seconds
    apart, neither the size nor the time of change of any of its files became another. ``changed`` is when something
    last did.
    """

    place: str
    interval: float
    clock: Callable[[], float] = time.monotonic
    notes: list[str] = field(default_factory=list)
    changed: float = field(init=False)
    _seen: dict[Path, _Seen] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.changed = self.clock()

    def look(self) -> Look:
        """Look once. Raises UsageError where there is no such folder to wait for, or where it holds several runs."""
        saved, spoiled = found_so_far(self.place, self.notes)
        now = self.clock()
        ready, growing = [], 0
        for each in saved:
            try:
                done = self._settled(each, now)
            except UsageError as error:
                spoiled[each.path] = error
            except FileNotFoundError:
                continue
            else:
                ready += [done] if done is not None else []
                growing += done is None
        broken = {path: error for path, error in spoiled.items() if self._quiet(path, now)}
        there = {each.path for each in saved} | spoiled.keys()
        self._seen = {path: seen for path, seen in self._seen.items() if path in there}
        return Look(ready, growing + len(spoiled) - len(broken), broken, frozenset(there))

    def _settled(self, saved: Saved, now: float) -> Saved | None:
        """The checkpoint with all its files once it is ready; None before. Raises UsageError where it is not whole."""
        before = self._seen.get(saved.path)
        known = before.whole if before is not None else None
        seen = self._note(saved.path, stamp(_watched(known or saved, self.place)), now)
        if now - seen.since < self.interval:
            return None
        if seen.whole is None:
            found = whole(saved)
            if found.files != saved.files:
                # The data beside an ONNX model are watched from now on.
                self._seen[saved.path] = _Seen(stamp(_watched(found, self.place)), now, found)
                return None
            seen.whole = found
        return seen.whole

    def _quiet(self, path: Path, now: float) -> bool:
        """Whether what holds no checkpoint stays as it is."""
        try:
            files = sorted(path.iterdir()) if path.is_dir() else [path]
            seen = self._note(path, stamp(files), now)
        except OSError:
            return False
        return now - seen.since >= PATIENCE * self.interval

    def _note(self, path: Path, now_is: Stamp, now: float) -> _Seen:
        seen = self._seen.get(path)
        if seen is None or seen.stamp != now_is:
            seen = self._seen[path] = _Seen(now_is, now)
            self.changed = now
        return seen


def _watched(saved: Saved, place: str) -> list[Path]:
    """The files that must be left alone: those of the checkpoint, and what lies beside them in a folder of its own."""
    if saved.format != "huggingface" and len(saved.weights) == 1:
        return list(saved.files)
    folder = saved.path if saved.path.is_dir() else saved.path.parent
    if folder.resolve() == Path(place).expanduser().resolve():
        return list(saved.files)
    return sorted({*saved.files, *(each for each in folder.iterdir() if each.is_file())})
