"""Bring the checkpoints that were found into training order, with their ids, steps and digests."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Literal, TypeVar

from covscan.config.cores import cores
from covscan.errors import CovscanError, UsageError, raise_collected
from covscan.models.contents import stated_steps
from covscan.models.digest import Stamp, check_unchanged, digest, stamp
from covscan.models.formats import TITLES, Format, Saved
from covscan.models.names import labels_of, order_of, steps_of
from covscan.models.steps import common_counter
from covscan.models.types import Checkpoint, Series
from covscan.registry import resolve

Value = TypeVar("Value")

_MOST_ERRORS = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """A checkpoint of the series with its files, as they were when they were hashed."""

    checkpoint: Checkpoint
    saved: Saved
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Shelf:
    """A series together with the files behind it.

    Those in ``seen`` were opened before: a source that opens its checkpoints once, to see that they can be, opens the
    others.
    """

    series: Series
    entries: dict[str, Entry]
    format: Format
    seen: frozenset[str] = frozenset()

    def only(self, kept: Callable[[Checkpoint], bool]) -> "Shelf":
        """The same series without some of its checkpoints, which keeps the names and steps of the others."""
        some = tuple(filter(kept, self.series.checkpoints))
        entries = {each.id: self.entries[each.id] for each in some}
        return Shelf(Series(some, self.series.order), entries, self.format, self.seen)

    def unseen(self) -> list[Checkpoint]:
        """The checkpoints that were never opened, in order."""
        return [checkpoint for checkpoint in self.series.checkpoints if checkpoint.id not in self.seen]

    def saved(self, checkpoint: Checkpoint) -> Saved:
        """The files of ``checkpoint``. Raises UsageError where they changed since they were hashed."""
        entry = self.entries[checkpoint.id]
        check_unchanged(entry.saved, entry.stamp)
        return entry.saved


@dataclass(frozen=True, slots=True)
class Draft:
    """A checkpoint before it has its place: its files as they were when they were hashed, and the steps it states."""

    saved: Saved
    stamp: Stamp
    stated: dict[str, int]
    sha256: str


def open_series(found: Sequence[Saved], notes: list[str], *, trust: bool) -> Shelf:
    """Read, hash, order and name the checkpoints. Raises UsageError or InputErrors."""
    format_name = one_format(found)
    return arranged(_drafts(_complete(found, format_name), trust=trust), notes)


def arranged(drafts: Sequence[Draft], notes: list[str]) -> Shelf:
    """The drafts of one format in the order of training, each with its name; copies of others are left out."""
    drafts = _without_copies(drafts, notes)
    labels = labels_of([each.saved.path for each in drafts])
    order, steps, by = _order(labels, [each.stated for each in drafts])
    entries: dict[str, Entry] = {}
    for i in order:
        found = drafts[i]
        checkpoint = Checkpoint(labels[i], found.saved.path, steps[i], found.sha256)
        entries[labels[i]] = Entry(checkpoint, found.saved, found.stamp)
    return Shelf(Series(tuple(entry.checkpoint for entry in entries.values()), by), entries, drafts[0].saved.format)


def collect_first(errors: Sequence[CovscanError]) -> None:
    """Raise the first few of many errors that are likely to have one cause."""
    raise_collected(errors[:_MOST_ERRORS])


def one_format(found: Sequence[Saved]) -> Format:
    """The format of all of them. Raises UsageError where there are several."""
    counts = Counter(saved.format for saved in found)
    if len(counts) > 1:
        examples = [
            f"{count} {TITLES[name]} ({next(saved.path.name for saved in found if saved.format == name)})"
            for name, count in counts.most_common()
        ]
        raise UsageError(
            "mixed-formats",
            "the checkpoints of one series must have one format",
            found=", ".join(examples),
            hint="name the files of one format, for example by a glob",
        )
    return found[0].format


def _complete(found: Sequence[Saved], format_name: Format) -> list[Saved]:
    """With the data files beside an ONNX model, which only reading it shows."""
    if format_name != "onnx":
        return list(found)
    with_external_data: Callable[[Saved], Saved] = resolve("covscan.models.onnx_file:with_external_data")
    return _each(found, with_external_data)


def _each(found: Sequence[Saved], read: Callable[[Saved], Value]) -> list[Value]:
    """What ``read`` gives for each, or the first errors of all of them."""
    values: list[Value] = []
    errors: list[CovscanError] = []
    for saved in found:
        try:
            values.append(read(saved))
        except UsageError as error:
            errors.append(error)
    collect_first(errors)
    return values


def _drafts(found: Sequence[Saved], *, trust: bool) -> list[Draft]:
    """Each one's draft. They are hashed on other cores while torch is loaded and this thread reads what they state."""
    stamps = {saved: stamp(saved.files) for saved in found}  # first of all, so that a change meanwhile is noticed
    pool, given_up = ThreadPoolExecutor(cores()), Event()
    try:
        hashes = {saved: pool.submit(digest, saved, given_up) for saved in found}
        return _each(
            found,
            lambda saved: Draft(saved, stamps[saved], stated_steps(saved, trust=trust), hashes[saved].result()),
        )
    finally:
        given_up.set()  # where something was refused or interrupted nobody waits for the hash of a large file
        pool.shutdown(cancel_futures=True)


def draft(saved: Saved, *, trust: bool) -> Draft:
    """Read what the checkpoint states, and hash it. Raises UsageError."""
    (drafted,) = _drafts([saved], trust=trust)
    return drafted


def _without_copies(drafts: Sequence[Draft], notes: list[str]) -> list[Draft]:
    """Without the ``last`` and ``best`` that a folder holds beside the numbered file they copy."""
    labels = labels_of([each.saved.path for each in drafts])
    numbered = [each for each, label in zip(drafts, labels, strict=True) if any(map(str.isdigit, label))]
    kept = []
    for each in drafts:
        twins = [
            other for other in numbered if each.sha256 == other.sha256 or (each.stated and each.stated == other.stated)
        ]
        if each.saved.listed and each not in numbered and twins:
            notes.append(f"{each.saved.path} was left out: it is the same step as {twins[0].saved.path}")
        else:
            kept.append(each)
    return kept


def _order(
    labels: Sequence[str], stated: Sequence[dict[str, int]]
) -> tuple[list[int], list[int | None], Literal["metadata", "name", "given"]]:
    counted = common_counter(stated)
    if counted is not None:
        return sorted(range(len(labels)), key=lambda i: counted[i]), list(counted), "metadata"
    named = order_of(labels)
    if named is not None:
        return *named, "name"
    unknown: list[int | None] = [None] * len(labels)
    return list(range(len(labels))), list(steps_of(labels) or unknown), "given"
