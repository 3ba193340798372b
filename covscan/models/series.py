"""Bring the checkpoints that were found into training order, with their ids, steps and digests."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

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
    """A series together with the files behind it."""

    series: Series
    entries: dict[str, Entry]
    format: Format

    def saved(self, checkpoint: Checkpoint) -> Saved:
        """The files of ``checkpoint``. Raises UsageError where they changed since they were hashed."""
        entry = self.entries[checkpoint.id]
        check_unchanged(entry.saved, entry.stamp)
        return entry.saved


@dataclass(frozen=True, slots=True)
class _Draft:
    """A checkpoint before it has its place."""

    saved: Saved
    stamp: Stamp
    stated: dict[str, int]
    sha256: str


def open_series(found: Sequence[Saved], notes: list[str], *, trust: bool) -> Shelf:
    """Read, hash, order and name the checkpoints. Raises UsageError or InputErrors."""
    format_name = _one_format(found)
    drafts = _without_copies(_each(_complete(found, format_name), lambda saved: _draft(saved, trust)), notes)
    labels = labels_of([draft.saved.path for draft in drafts])
    order, steps, by = _order(labels, [draft.stated for draft in drafts])
    entries: dict[str, Entry] = {}
    for i in order:
        draft = drafts[i]
        checkpoint = Checkpoint(labels[i], draft.saved.path, steps[i], draft.sha256)
        entries[labels[i]] = Entry(checkpoint, draft.saved, draft.stamp)
    return Shelf(Series(tuple(entry.checkpoint for entry in entries.values()), by), entries, format_name)


def collect_first(errors: Sequence[CovscanError]) -> None:
    """Raise the first few of many errors that are likely to have one cause."""
    raise_collected(errors[:_MOST_ERRORS])


def _one_format(found: Sequence[Saved]) -> Format:
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


def _draft(saved: Saved, trust: bool) -> _Draft:
    before = stamp(saved.files)  # first of all, so that a change during the reading is noticed
    return _Draft(saved, before, stated_steps(saved, trust=trust), digest(saved))


def _without_copies(drafts: Sequence[_Draft], notes: list[str]) -> list[_Draft]:
    """Without the ``last`` and ``best`` that a folder holds beside the numbered file they copy."""
    labels = labels_of([draft.saved.path for draft in drafts])
    numbered = [draft for draft, label in zip(drafts, labels, strict=True) if any(map(str.isdigit, label))]
    kept = []
    for draft in drafts:
        twins = [
            other
            for other in numbered
            if draft.sha256 == other.sha256 or (draft.stated and draft.stated == other.stated)
        ]
        if draft.saved.listed and draft not in numbered and twins:
            notes.append(f"{draft.saved.path} was left out: it is the same step as {twins[0].saved.path}")
        else:
            kept.append(draft)
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
