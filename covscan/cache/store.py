"""Entries of bytes under keys, safe for several processes at once and against a crash at any time."""

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from covscan.errors import UsageError

Value = TypeVar("Value")
Kind = Literal["facts", "pair", "summary", "training"]
KINDS: tuple[Kind, ...] = ("facts", "pair", "summary", "training")
_MAGIC = b"covscan1"
_DIGEST = 32
_ABANDONED = 3600.0
"""Seconds after which a half-written file belongs to a process that died."""


class Broken(Exception):
    """An entry whose content is not what was written; it is gone by now. The message is its path."""


@dataclass(frozen=True, slots=True)
class Held:
    """A file of the cache."""

    path: Path
    kind: str
    size: int
    used: float


class Store:
    """A folder of entries, each a file named by its key that appears whole or not at all.

    A file holds the digest of its content, so that a torn or altered one is noticed. When more than ``limit`` bytes are
    there, summaries go first (they are large, and only a further checkpoint needs them), what was used longest ago
    before the rest. Nothing in an entry is run. A folder that cannot be written to is a cache that keeps nothing:
    ``complaint`` says why.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self.complaint: str | None = None

    def has(self, kind: Kind, key: str) -> bool:
        """Whether there is an entry, whole or not."""
        return self._path(kind, key).is_file()

    def get(self, kind: Kind, key: str) -> bytes | None:
        """The content, None where there is none. Raises Broken, and drops the entry, where it is damaged."""
        path = self._path(kind, key)
        try:
            whole = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self.complaint = f"{path} cannot be read: {error.strerror}"
            return None
        head = len(_MAGIC) + _DIGEST
        content = memoryview(whole)[head:]
        if whole[: len(_MAGIC)] != _MAGIC or hashlib.sha256(content).digest() != whole[len(_MAGIC) : head]:
            self.drop(kind, key)
            raise Broken(str(path))
        with contextlib.suppress(OSError):  # somebody else may have removed it, or the folder is read-only
            os.utime(path)
        return bytes(content)

    def decoded(self, kind: Kind, key: str, decode: Callable[[bytes], Value | None]) -> Value | None:
        """The content as ``decode`` reads it, None where there is none.

        Raises Broken, and drops the entry, where it is damaged or is no such thing.
        """
        content = self.get(kind, key)
        try:
            return None if content is None else decode(content)
        except (msgspec.DecodeError, ValueError, KeyError) as error:
            self.drop(kind, key)
            raise Broken(str(error)) from error

    def put(self, kind: Kind, key: str, content: bytes) -> None:
        """Keep ``content``; what the folder cannot take is not kept."""
        if len(content) > self.limit:
            return
        path = self._path(kind, key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._write(path, content)
            if kind == "summary":
                self.shrink()
        except OSError as error:
            self.complaint = f"{self.folder} cannot be written to: {error.strerror}"

    def drop(self, kind: Kind, key: str) -> None:
        """Forget an entry."""
        with contextlib.suppress(OSError):
            self._path(kind, key).unlink()

    def held(self) -> list[Held]:
        """Every entry that is there."""
        return [each for each in self._files() if each.kind in KINDS]

    def shrink(self) -> None:
        """Remove what is too much, and what dead processes left half-written."""
        now = time.time()
        held = list(self._files())
        for each in held:
            if each.kind not in KINDS and now - each.used > _ABANDONED:
                _remove(each.path)
        excess = sum(each.size for each in held) - self.limit
        for each in sorted(held, key=lambda each: (each.kind != "summary", each.used)):
            if excess <= 0:
                break
            if each.kind in KINDS:
                _remove(each.path)
                excess -= each.size

    def clear(self) -> tuple[int, int]:
        """Remove every entry; how many there were, and their bytes."""
        held = self.held()
        for each in self._files():
            _remove(each.path)
        for folder in self._folders():
            with contextlib.suppress(OSError):  # another process may be writing there
                folder.rmdir()
        return len(held), sum(each.size for each in held)

    def _path(self, kind: Kind, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.{kind}"

    def _write(self, path: Path, content: bytes) -> None:
        number, name = tempfile.mkstemp(prefix=path.stem[:16], suffix=".part", dir=path.parent)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(_MAGIC + hashlib.sha256(content).digest())
                file.write(content)
            os.replace(name, path)
        except BaseException:
            _remove(Path(name))
            raise

    def _folders(self) -> Iterator[Path]:
        if self.folder.is_dir():
            yield from (each for each in self.folder.iterdir() if each.is_dir() and len(each.name) == 2)

    def _files(self) -> Iterator[Held]:
        for folder in self._folders():
            for entry in _entries(folder):
                with contextlib.suppress(OSError):  # removed by another process in between
                    state = entry.stat()
                    kind = entry.name.rpartition(".")[2]
                    if kind in (*KINDS, "part"):
                        yield Held(Path(entry.path), kind, state.st_size, state.st_mtime)


@contextlib.contextmanager
def passing_store() -> Iterator[Store]:
    """A store for one run, which is deleted at its end and keeps everything until then."""
    folder = temporary_folder()
    try:
        yield Store(folder, sys.maxsize)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def temporary_folder() -> Path:
    """A new folder for what a run needs while it lasts. Raises UsageError where there can be none."""
    try:
        return Path(tempfile.mkdtemp(prefix="covscan-"))
    except OSError as error:
        raise UsageError(
            "no-space",
            "no temporary folder can be made",
            found=error.strerror or str(error),
            hint="set TMPDIR to a folder that can be written to and has space",
        ) from error


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:  # another process has just cleared the cache
        return []


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # gone already, or not ours
        path.unlink()
