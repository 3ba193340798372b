"""Identify the content of a checkpoint, and notice when it changes after that."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from covscan.errors import UsageError
from covscan.models.formats import Saved

_PIECE = 2**18
"""Bytes read at once."""

Stamp = tuple[tuple[int, int], ...]


def digest(saved: Saved, given_up: Event | None = None) -> str:
    """Hex SHA-256 of the file's content; of several files, that of their sorted names and digests.

    Ends early, with nobody's digest, once it is ``given_up``.
    """
    if len(saved.files) == 1:
        return _digest_file(saved.files[0], given_up)
    whole = hashlib.sha256()
    for path in sorted(saved.files):
        whole.update(f"{path.name}\0{_digest_file(path, given_up)}\n".encode())
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


def _digest_file(path: Path, given_up: Event | None) -> str:
    whole, buffer = hashlib.sha256(), memoryview(bytearray(_PIECE))
    try:
        with path.open("rb", buffering=0) as file:
            while not (given_up and given_up.is_set()) and (count := file.readinto(buffer)):
                whole.update(buffer[:count])
    except OSError as error:
        raise UsageError("unreadable-file", f"{str(path)!r} cannot be read", found=error.strerror or "") from error
    return whole.hexdigest()
