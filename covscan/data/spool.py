"""Keep what an iterable yields on disk, so that memory stays flat and every pass sees the same samples."""

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np

from covscan.cache.store import temporary_folder
from covscan.data.arrays import Array, canonical
from covscan.data.contents import Run, sample_count
from covscan.data.mapped import MappedArray
from covscan.data.sampling import Index
from covscan.data.structure import Structure, take_apart
from covscan.errors import UsageError

_ALIGNMENT = 64


@dataclass(slots=True)
class _Stretch:
    """Consecutive batches whose arrays differ in the number of samples only."""

    structure: Structure
    kinds: tuple[Any, ...]
    constants: dict[int, Array]
    offsets: dict[int, int]
    index: list[Index] = field(default_factory=list)


class Spool:
    """Appends batches to one file per array of the structure; ``runs`` says where what lies.

    Nothing of a batch is kept in memory once it is added. As a context manager it deletes its folder if an
    exception passes; otherwise the folder belongs to whoever reads ``folder``.
    """

    def __init__(self) -> None:
        self.folder = temporary_folder()
        self.count = 0
        self._files: dict[int, IO[bytes]] = {}
        self._stretches: list[_Stretch] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            # What could not be flushed was said by then; beside another error it must not be said instead of that.
            with self._told() if kind is None else contextlib.suppress(OSError):
                file.close()
        if kind is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def add(self, batch: Any, limit: int, *, single: bool = False, index: int | None = None) -> Structure:
        """Append at most ``limit`` samples of a batch, or the one sample that it is; raises UsageError.

        ``index`` is the number of the first of them in the data set; None numbers them as they come.
        """
        structure, arrays = take_apart(batch, single=single)
        count, constants = sample_count(structure, arrays)
        taken = min(count, limit)
        if taken == 0:
            return structure
        rows = [
            canonical(np.asarray(array if place in constants else array[:taken])) for place, array in enumerate(arrays)
        ]
        stretch = self._stretch(structure, rows, constants)
        for place in stretch.offsets:
            self._write(place, rows[place])
        first = self.count if index is None else index
        stretch.index.append(np.arange(first, first + taken, dtype=np.int64))
        self.count += taken
        return structure

    def runs(self) -> tuple[Run, ...]:
        """Everything added, in order, as arrays in the files."""
        with self._told():
            for file in self._files.values():
                file.flush()
        return tuple(_run(stretch, self.folder) for stretch in self._stretches)

    def _stretch(self, structure: Structure, arrays: list[Array], constants: frozenset[int]) -> _Stretch:
        """The last stretch if the batch continues it, else a new one."""
        kinds = tuple(
            (array.dtype, array.shape, array.tobytes()) if place in constants else (array.dtype, array.shape[1:])
            for place, array in enumerate(arrays)
        )
        if self._stretches:
            last = self._stretches[-1]
            if last.structure == structure and last.kinds == kinds:
                return last
        fixed = {place: array.copy() for place, array in enumerate(arrays) if place in constants}
        offsets = {place: self._aligned(place) for place in range(len(arrays)) if place not in constants}
        self._stretches.append(_Stretch(structure, kinds, fixed, offsets))
        return self._stretches[-1]

    def _aligned(self, place: int) -> int:
        """Pad the file of array number ``place`` to where the next array may begin."""
        with self._told():
            if place not in self._files:
                self._files[place] = _file(self.folder, place).open("wb")
            file = self._files[place]
            file.write(bytes(-file.tell() % _ALIGNMENT))
            return file.tell()

    def _write(self, place: int, array: Array) -> None:
        with self._told():
            self._files[place].write(np.ascontiguousarray(array).tobytes())

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what the system says about a full disk into a UsageError."""
        try:
            yield
        except OSError as error:
            raise UsageError(
                "no-space",
                f"the samples do not fit into the temporary folder {str(self.folder.parent)!r}",
                found=str(error),
                hint="set TMPDIR to a folder with more space, or lower --samples",
            ) from error


def spool_batches(batches: Iterable[Any], spool: Spool, samples: int, *, single: bool = False) -> Structure | None:
    """Add batches until ``samples`` samples are there; what lies behind them is not asked for."""
    structure = None
    for batch in batches:
        structure = spool.add(batch, samples - spool.count, single=single)
        if spool.count >= samples:
            break
    return structure


def _file(folder: Path, place: int) -> Path:
    return folder / f"array-{place}"


def _run(stretch: _Stretch, folder: Path) -> Run:
    index = np.concatenate(stretch.index)
    arrays = tuple(
        stretch.constants[place]
        if place in stretch.constants
        else MappedArray(_file(folder, place), kind[0], (len(index), *kind[1]), stretch.offsets[place])
        for place, kind in enumerate(stretch.kinds)
    )
    return Run(stretch.structure, arrays, frozenset(stretch.constants), np.arange(len(index), dtype=np.int64), index)
