"""Identify the content of a checkpoint, and notice when it changes after that."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from covscan.errors import UsageError
from covscan.models.formats import Saved

Stamp = tuple[tuple[int, int], ...]


def digest(saved: Saved) -> str:
    """Hex SHA-256 of the file's content; of several files, that of their sorted names and digests."""
    if len(saved.files) == 1:
        return _digest_file(saved.files[0])
    whole = hashlib.sha256()
    for path in sorted(saved.files):
        whole.update(f"{path.name}\0{_digest_file(path)}\n".encode())
    return whole.hexdigest()


def stamp(files: Sequence[Path]) -> Stamp:
    """Size and time of change of each file: cheap, and other once the content is."""
    states = [path.stat() for path in files]
    return tuple((state.st_size, state.st_mtime_ns) for state in states)


def check_unchanged(saved: Saved, before: Stamp) -> None:
    """Raise UsageError where a file changed since ``before``: the report would name another content."""
    try:
        now = stamp(saved.files)
    except OSError as error:
        raise UsageError(
            "checkpoint-changed", f"{str(saved.path)!r} disappeared while covscan ran", found=str(error)
        ) from error
    if now != before:
        raise UsageError(
            "checkpoint-changed",
            f"{str(saved.path)!r} was rewritten while covscan ran",
            hint="wait until the run has saved it, or analyse a copy",
        )


def _digest_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError("unreadable-file", f"{str(path)!r} cannot be read", found=error.strerror or "") from error
