"""Reading the next checkpoint from disk while this one is computed."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from covscan.engine.subjects import Subject


def read_ahead(subjects: Iterable[Subject]) -> None:
    """Ask the system to read the files of ``subjects`` into memory that it can spare; returns at once.

    Weights are mapped and not read, so that without this the first touch of each page would wait for the disk.
    """
    if not hasattr(os, "posix_fadvise"):
        return
    for subject in subjects:
        for path in _files(subject.checkpoint.path):
            with contextlib.suppress(OSError):  # what cannot be read is reported when its turn comes
                number = os.open(path, os.O_RDONLY)
                try:
                    os.posix_fadvise(number, 0, 0, os.POSIX_FADV_WILLNEED)
                finally:
                    os.close(number)


def _files(path: Path) -> list[Path]:
    return [each for each in path.iterdir() if each.is_file()] if path.is_dir() else [path]
