"""The lines of a text file, none of them larger than a sample can be."""

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from covscan.errors import UsageError
from covscan.memory import size_text

LONGEST = 1 << 26
"""Characters. A line of an image of 1,000 × 1,000 pixels in three colours, written as numbers, has a third of it."""

_SMALL = 1 << 24  # characters
_PACKED = 64  # how many times its size a table of numbers unpacks to at most; they usually take three to ten


def lines_of(stream: TextIO, path: Path, *, packed: bool = False) -> Iterator[str]:
    """Each line with its end. Raises UsageError for one too long, and where a ``packed`` file swells absurdly."""
    most = _SMALL + _PACKED * path.stat().st_size if packed else None
    number, done = 0, 0
    while line := stream.readline(LONGEST):
        number, done = number + 1, done + len(line)
        if len(line) == LONGEST and not line.endswith("\n"):
            raise UsageError(
                "unreadable-data",
                f"line {number} of {str(path)!r} is too long to be a sample",
                found=f"over {LONGEST:,} characters",
                hint="write a line for each sample, or save large samples as .npz",
            )
        if most is not None and done > most:
            raise UsageError(
                "too-large",
                f"{str(path)!r} unpacks to over {size_text(most)}",
                found=f"a file of {size_text(path.stat().st_size)}",
                hint="it is damaged, or made to exhaust the machine; unpack it first if you know it",
            )
        yield line
