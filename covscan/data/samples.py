"""An open sample of a data set: the same batches however often it is read."""

import difflib
import hashlib
import os
import shutil
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from covscan.config.settings import Settings
from covscan.data.arrays import Array, canonical
from covscan.data.contents import Contents, Run
from covscan.data.masks import find_mask
from covscan.data.matching import LABELS
from covscan.data.sampling import deal_blocks
from covscan.data.structure import leaf_numbers, put_together
from covscan.data.types import Batch
from covscan.errors import UsageError

_CHUNK_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class InputKind:
    """What one array of the inputs holds: numpy's letter for its kind of numbers, and the shapes of single samples."""

    kind: str
    shapes: frozenset[tuple[int, ...]]

    def fits(self, other: "InputKind") -> bool:
        """Whether both may be fed to one network: the same shape, or as many axes where shapes vary anyway."""
        if len(self.shapes) == len(other.shapes) == 1:
            return self.shapes == other.shapes
        return {len(shape) for shape in self.shapes} == {len(shape) for shape in other.shapes}

    def text(self) -> str:
        """The shapes, for a message."""
        return " or ".join(str(shape) for shape in sorted(self.shapes))


class OpenSamples:
    """The chosen samples of a data set (``covscan.data.types.Samples``).

    Besides what the protocol asks for, ``nonfinite`` counts the NaN and infinite values of the inputs.
    Samples of one shape come in batches of ``settings.batch_size``; where shapes change, a batch ends.
    Closing it, or losing the last reference, deletes what was spooled to disk. Where it need not be ``labelled``, the
    target may be missing.
    """

    def __init__(self, contents: Contents, settings: Settings, *, labelled: bool = True) -> None:
        self._runs = contents.runs
        self._batch_size = settings.batch_size
        self._finalizer = weakref.finalize(self, _delete_own, contents.temporary, os.getpid())
        named = settings.target if labelled or self._has(settings.target) else None
        self._target = self._part("target", named) or contents.target
        self._mask = self._part("mask", settings.mask)
        index = np.concatenate([run.index for run in self._runs])
        self.count = len(index)
        self.available = contents.available
        self.blocks, self._block = deal_blocks(index, settings.seed)
        self.description = contents.description
        first = self._runs[0].structure
        others = [key for key in first.keys if key != self._target]
        # An autoencoder's target is what it reads: nothing else is there, or only labels.
        self._is_input = self._target is not None and all(key.lower() in LABELS for key in others)
        self.names: tuple[str, ...] = tuple(others if not self._is_input else first.keys) if first.named else ()
        next(self.batches())  # a mask that is none is an error now and not halfway through
        self.fingerprint, self.nonfinite = _digest(self._runs, self._target)

    def batches(self) -> Iterator[Batch]:
        """The samples in ascending ``index``, cut into batches."""
        done = 0
        for run in self._runs:
            for start in range(0, len(run.rows), self._batch_size):
                rows = slice(start, start + self._batch_size)
                index = run.index[rows]
                yield self._batch(run, rows, self._block[done : done + len(index)])
                done += len(index)

    def cut(self, batch_size: int) -> None:
        """Cut into batches of another size from now on."""
        self._batch_size = batch_size

    @property
    def has_target(self) -> bool:
        """Whether there are labels."""
        return self._target is not None

    def inputs(self) -> dict[str, InputKind]:
        """What each array that may be fed holds, by its name or place; labels are left out."""
        found: dict[str, InputKind] = {}
        for run in self._runs:
            labels = {self._target} | {key for key in run.structure.keys if key.lower() in LABELS}
            parts = dict(run.structure.parts)
            out = set().union(*(leaf_numbers(parts.get(key or "")) for key in labels)) if not self._is_input else set()
            for number, name in enumerate(run.structure.leaves):
                if number in out and len(out) < len(run.arrays):
                    continue
                array = _cut(run, number, slice(0, 1))
                shape = array.shape if number in run.constants else array.shape[1:]
                known = found[name].shapes if name in found else frozenset()
                found[name] = InputKind(array.dtype.kind, known | {shape})
        return found

    def _has(self, name: str | None) -> bool:
        return all(name in run.structure.keys for run in self._runs)

    def close(self) -> None:
        """Delete what was spooled to disk; the samples can't be read any more."""
        self._finalizer()

    def _batch(self, run: Run, rows: slice, block: Array) -> Batch:
        arrays = [_cut(run, number, rows) for number in range(len(run.arrays))]
        index = run.index[rows]
        parts = {key: put_together(template, arrays) for key, template in run.structure.parts}
        mask = find_mask(parts, self._mask, len(index))
        if mask is None and run.mask is not None:
            mask = run.mask[run.rows[rows]]
        target = parts.get(self._target or "")
        if not self._is_input:
            parts.pop(self._target or "", None)
        if run.structure.named:
            return Batch(index=index, block=block, named=parts, target=target, mask=mask)
        return Batch(index=index, block=block, positional=tuple(parts.values()), target=target, mask=mask)

    def _part(self, what: str, name: str | None) -> str | None:
        """``name``, once it is known to be a part of every run. Raises UsageError."""
        for run in self._runs:
            keys = run.structure.keys
            if name is not None and name not in keys:
                close = difflib.get_close_matches(name, keys, n=1)
                raise UsageError(
                    f"unknown-{what}",
                    f"--{what} {name}: the data has no array of that name",
                    found=("arrays " if run.structure.named else "arrays without names, by place: ") + ", ".join(keys),
                    hint=f"did you mean {close[0]!r}?" if close else "name one of them",
                )
        return name


def _cut(run: Run, number: int, rows: slice) -> Array:
    array = run.arrays[number]
    return canonical(np.asarray(array if number in run.constants else array[run.rows[rows]]))


def _digest(runs: tuple[Run, ...], target: str | None) -> tuple[str, int]:
    """SHA-256 of names, dtypes, shapes and bytes of what is read, and the inputs' count of non-finite values.

    Reads each array through once, a few megabytes at a time; how the samples are batched makes no difference.
    """
    digest = hashlib.sha256()
    nonfinite = 0
    for run in runs:
        targets = leaf_numbers(dict(run.structure.parts).get(target or ""))
        for number, name in enumerate(run.structure.leaves):
            first = _cut(run, number, slice(0, 1))
            shape = first.shape if number in run.constants else (len(run.rows), *first.shape[1:])
            digest.update(repr((run.structure.named, name, first.dtype.str, shape)).encode())
            for piece in _pieces(run, number, first.nbytes):
                digest.update(np.ascontiguousarray(piece).data)
                if number not in targets and piece.dtype.kind in "fc":
                    nonfinite += piece.size - int(np.count_nonzero(np.isfinite(piece)))
        if run.mask is not None:
            digest.update(np.ascontiguousarray(run.mask[run.rows]).data)
    return digest.hexdigest(), nonfinite


def _pieces(run: Run, number: int, row_bytes: int) -> Iterator[Array]:
    """One array of a run, some rows at a time; a constant whole."""
    count = len(run.rows)
    step = count if number in run.constants else max(1, _CHUNK_BYTES // max(1, row_bytes))
    for start in range(0, count, step):
        yield _cut(run, number, slice(start, start + step))


def delete_folder(folder: Path | None) -> None:
    """Delete what was spooled, if anything was."""
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def _delete_own(folder: Path | None, owner: int) -> None:
    """A process that was forked off must not delete what its parent still reads."""
    if os.getpid() == owner:
        delete_folder(folder)
