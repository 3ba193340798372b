"""A series that grows: each checkpoint is measured when it is there, and all of them are judged at the end."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from msgspec.structs import replace as replaced
from threadpoolctl import threadpool_limits

from covscan.cache import Store
from covscan.capture.threads import computing_threads
from covscan.config import Settings
from covscan.config.progress import Progress
from covscan.data.types import Samples
from covscan.engine.entries import Facts, Moved
from covscan.engine.series import SiteShift, Step, measure_series
from covscan.engine.subjects import Subject
from covscan.errors import CovscanError, InputErrors, UsageError
from covscan.measuring import gathered
from covscan.models.digest import Stamp, stamp
from covscan.models.formats import TITLES, Saved
from covscan.models.opening import open_shelf
from covscan.models.series import Draft, Entry, Shelf, arranged, draft, one_format
from covscan.models.types import Checkpoint, Series, Source
from covscan.pipeline import concluded, open_training
from covscan.report.types import Report, Run
from covscan.subjects import series_of
from covscan.watching.holding import Hold

DAMAGE = frozenset(
    {"truncated-file", "unreadable-file", "unreadable-model", "unreadable-index", "empty-file", "no-weights"}
    | {"missing-shard", "missing-external-data", "checkpoint-changed", "unkept-checkpoint"}
)
"""Codes of errors that lie in one file: the next checkpoint may be better."""


@dataclass(slots=True)
class Measured:
    """A checkpoint that was measured, and how its sites moved from earlier ones, by the paths of these."""

    draft: Draft
    name: str
    step: int | None
    facts: Facts
    moved: dict[Path, list[Moved]]
    seconds: float

    @property
    def path(self) -> Path:
        """Where the training wrote it."""
        return self.draft.saved.path


@dataclass(slots=True)
class Following:
    """Takes what is ready and measures it; ``measured`` holds what was, in the order of training.

    What is said of a checkpoint stays when its file is deleted. The first and the last one are held, since the next is
    compared with both: their weights are needed once more. ``say`` takes sentences for the user.
    """

    settings: Settings
    samples: Samples
    store: Store
    progress: Progress
    hold: Hold
    say: Callable[[str], None]
    measured: list[Measured] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _held: dict[Path, Saved] = field(default_factory=dict)
    _left_out: dict[Path, Stamp] = field(default_factory=dict)
    _drafted: dict[Path, Draft] = field(default_factory=dict)
    _copies: dict[Path, str] = field(default_factory=dict)
    _rewritten: set[Path] = field(default_factory=set)

    def advance(self, ready: Sequence[Saved]) -> Measured | None:
        """Measure the first, in the order of training, that was not measured yet; None where there is none.

        Raises UsageError where the very first shows that model and data do not fit; later ones are left out with a
        note.
        """
        made = self._advance(ready)
        self._mend()
        return made

    def _advance(self, ready: Sequence[Saved]) -> Measured | None:
        fresh = self._fresh(ready)
        while fresh:
            shelf = self._arranged([*(each.draft for each in self.measured), *fresh])
            places = _paths(shelf)
            self._drop([each for each in self.measured if each.path not in places])
            for each in [each for each in fresh if each.saved.path not in places]:
                self._leave_out(each, None)
            fresh = sorted(
                (each for each in fresh if each.saved.path in places), key=lambda each: places.index(each.saved.path)
            )
            if fresh and self._try(fresh[0]):
                return next((each for each in self.measured if each.path == fresh[0].saved.path), None)
            fresh = fresh[1:]
        return None

    def waiting(self, ready: Sequence[Saved]) -> bool:
        """Whether one of these is still to be measured."""
        known = {each.path: each.draft.stamp for each in self.measured} | self._left_out
        known |= {path: self._drafted[path].stamp for path in self._copies if path in self._drafted}
        return any(_stamp_or_none(each) not in (None, known.get(each.path)) for each in ready)

    def gone(self) -> list[Path]:
        """Files that were measured and exist no more."""
        return [each.path for each in self.measured if not each.path.exists()]

    def report(self, run: Callable[[], Run], progress: Progress) -> Report:
        """The report on everything that was measured. Raises UsageError."""
        self._mend()
        shelf = self._arranged([each.draft for each in self.measured])
        source = self._source(self._shelf(shelf, _paths(shelf), fresh=None))
        source.notes[:] = [*self._copies.values(), *self.notes]
        opened = series_of(source, self.samples, self.settings)
        steps = self._steps(opened.subjects)
        report = concluded(
            opened,
            lambda: (gathered(opened, steps, self.settings, progress), []),
            self.settings,
            progress,
            run,
            self._at_hand(shelf),
        )
        where = {each.name: str(each.path) for each in self.measured}
        deleted = [each.name for each in self.measured if each.path in set(self.gone())]
        notes = [self.hold.named(note) for note in report.notes]
        if deleted:
            notes.append(
                f"Deleted before the watch ended, and in this report as they were measured: {', '.join(deleted)}."
            )
        checkpoints = [replaced(each, path=where[each.id]) for each in report.checkpoints]
        return replaced(report, checkpoints=checkpoints, notes=notes)

    def _fresh(self, ready: Sequence[Saved]) -> list[Draft]:
        """Drafts of what is new or was rewritten."""
        fresh = []
        known = {each.path: each for each in self.measured}
        for saved in ready:
            try:
                now = stamp(saved.files)
            except OSError:
                continue
            before = known.get(saved.path)
            if self._left_out.get(saved.path) == now or (before is not None and before.draft.stamp == now):
                continue
            made = self._draft(saved, now)
            if made is None:
                continue
            if before is None:
                fresh.append(made)
            elif before.draft.sha256 == made.sha256:
                before.draft = made
            elif before is self.measured[0] and len(self.measured) > 1:
                self._leave_out(made, "it was rewritten, and all others are compared with what it was")
            else:
                if saved.path not in self._rewritten:
                    self.say(f"{saved.path} was rewritten: what it was leaves the series, and it is measured again")
                self._rewritten.add(saved.path)
                self._drop([before])
                fresh.append(made)
        return self._of_one_format(fresh)

    def _draft(self, saved: Saved, now: Stamp) -> Draft | None:
        made = self._drafted.get(saved.path)
        if made is not None and made.stamp == now:
            return made
        try:
            made = draft(saved, trust=self.settings.trust)
        except UsageError as error:
            if not self.measured and not _is_damage(error):
                raise
            self._left_out[saved.path] = now
            self.say(f"{saved.path} is left out: {_sentence(error)}")
            return None
        self._drafted[saved.path] = made
        return made

    def _of_one_format(self, fresh: list[Draft]) -> list[Draft]:
        if not fresh:
            return []
        if not self.measured:
            one_format([each.saved for each in fresh])
            return fresh
        wanted = self.measured[0].draft.saved.format
        for each in [each for each in fresh if each.saved.format != wanted]:
            self._leave_out(each, f"the series is of {TITLES[wanted]}, and this is {TITLES[each.saved.format]}")
        return [each for each in fresh if each.saved.format == wanted]

    def _try(self, new: Draft) -> bool:
        """Measure one more, and again what stands behind it; whether it is in the series now."""
        shelf = self._arranged([*(each.draft for each in self.measured), new])
        places = _paths(shelf)
        others = [path for path in places if path != new.saved.path]
        if others != [each.path for each in self.measured]:
            self._leave_out(new, "with it the others would stand in another order")
            return False
        place = places.index(new.saved.path)
        if place == 0 and self.measured:
            self._leave_out(new, f"it belongs before {others[0].name}, with which all others are compared")
            return False
        try:
            made = self._measure(shelf, place, new)
        except (UsageError, InputErrors) as error:
            self._failed(new, error)
            return False
        self.measured.insert(place, made)
        return True

    def _failed(self, new: Draft, error: CovscanError) -> None:
        first = not self.measured
        error = self._named(error)
        self._held.pop(new.saved.path, None)
        if first and not _is_damage(error):
            raise error
        if error.code != "checkpoint-changed":
            self._left_out[new.saved.path] = new.stamp
            self.say(f"{new.saved.path} is left out: {_sentence(error)}")

    def _named(self, error: CovscanError) -> CovscanError:
        """The error with the paths that the user knows."""
        if isinstance(error, InputErrors):
            return InputErrors([self._named(each) for each in error.errors])
        named = self.hold.named
        return type(error)(error.code, named(error.message), found=named(error.found), hint=named(error.hint))

    def _mend(self) -> None:
        """Compare again what has another neighbour before it than when it was measured; let go of what is not needed.

        A checkpoint that cannot be read any more leaves the series.
        """
        place = 1
        while place < len(self.measured):
            each = self.measured[place]
            if {self.measured[0].path, self.measured[place - 1].path} <= each.moved.keys():
                place += 1
                continue
            shelf = self._arranged([other.draft for other in self.measured])
            try:
                self.measured[place] = self._measure(shelf, place, each.draft, again=True)
                place += 1
            except (UsageError, InputErrors) as error:
                self.say(
                    f"{each.path} leaves the series: another checkpoint came before it, and it cannot be compared "
                    f"with that ({_sentence(self._named(error))})"
                )
                self._drop([each])
        if self.measured:
            self._name(self._arranged([other.draft for other in self.measured]))
        ends = self._ends()
        self.hold.keep_only(ends)
        self._held = {path: saved for path, saved in self._held.items() if path in ends}

    def _measure(self, shelf: Shelf, place: int, new: Draft, *, again: bool = False) -> Measured:
        """Measure one, by itself and compared with the first and with the one before it. Raises UsageError.

        One that was measured ``again`` needs its file no more where the store holds the comparisons.
        """
        began = time.perf_counter()
        path = new.saved.path
        if path not in self._held and not again:
            self._held[path] = self._take(new)
        places = _paths(shelf)
        wanted = [places[each] for each in sorted({0, max(place - 1, 0), place})]
        source = self._source(self._shelf(shelf, wanted, fresh=None if again else path))
        opened = series_of(source, self.samples, self.settings)
        with threadpool_limits(1, user_api="blas"), computing_threads(self.settings.threads):
            if not self.measured:
                open_training(source, self.samples, self.settings)  # tells at once that a loss does not fit
            *_, step = measure_series(opened.subjects, self.settings, self.progress, self.store)
        self.notes += [note for note in source.notes if note not in self.notes]
        moved: dict[Path, list[Moved]] = {}
        by_name = dict(zip([each.id for each in opened.subjects], wanted, strict=True))
        for shift in step.shifts:
            moved.setdefault(by_name[shift.start], []).append(Moved(shift.key, shift.measures, shift.channels_shifted))
        for earlier in wanted[:-1]:
            moved.setdefault(earlier, [])
        checkpoint = step.subject.checkpoint
        return Measured(new, checkpoint.id, checkpoint.step, step.facts, moved, time.perf_counter() - began)

    def _take(self, new: Draft) -> Saved:
        held = self.hold.take(new.saved)
        if stamp(held.files) != new.stamp and _stamp_or_none(new.saved) != new.stamp:
            raise UsageError("checkpoint-changed", f"{str(new.saved.path)!r} changed before it was measured")
        return held

    def _shelf(self, shelf: Shelf, wanted: Sequence[Path], fresh: Path | None) -> Shelf:
        """The checkpoints at ``wanted`` with the files to read them from, all seen before but the fresh one."""
        entries = {}
        for name, entry in shelf.entries.items():
            path = entry.saved.path
            if path in wanted:
                held = self._held.get(path)
                saved, now = (entry.saved, entry.stamp) if held is None else (held, stamp(held.files))
                entries[name] = Entry(replace(entry.checkpoint, path=saved.path), saved, now)
        seen = frozenset(name for name, entry in shelf.entries.items() if entry.saved.path != fresh)
        series = Series(tuple(entry.checkpoint for entry in entries.values()), shelf.series.order)
        return Shelf(series, entries, shelf.format, seen)

    def _source(self, shelf: Shelf) -> Source:
        return open_shelf(self.settings, shelf, [])

    def _at_hand(self, shelf: Shelf) -> Source | None:
        """A source of the checkpoints whose weights can still be read, for trainings."""
        if self.settings.loss is None:
            return None
        whole = self._shelf(shelf, _paths(shelf), fresh=None)

        def readable(checkpoint: Checkpoint) -> bool:
            entry = whole.entries[checkpoint.id]
            return _stamp_or_none(entry.saved) == entry.stamp

        return self._source(whole.only(readable))

    def _steps(self, subjects: Sequence[Subject]) -> list[Step]:
        """What was measured, as the steps of one series under its names of now."""
        steps = []
        first = self.measured[0].path
        for number, (each, subject) in enumerate(zip(self.measured, subjects, strict=True)):
            starts = dict.fromkeys([first, self.measured[number - 1].path]) if number else {}
            names = {other.path: other.name for other in self.measured}
            shifts = [
                SiteShift(moved.key, names[start], each.name, moved.measures, moved.channels_shifted)
                for start in starts
                for moved in each.moved[start]
            ]
            steps.append(Step(subject, each.facts, tuple(shifts)))
        return steps

    def _arranged(self, drafts: Sequence[Draft]) -> Shelf:
        notes: list[str] = []
        shelf = arranged(drafts, notes)
        paths = set(_paths(shelf))
        for path, note in zip([each.saved.path for each in drafts if each.saved.path not in paths], notes, strict=True):
            if path not in self._copies:
                self.say(note)
            self._copies[path] = note
        for path in paths:
            self._copies.pop(path, None)
        return shelf

    def _name(self, shelf: Shelf) -> None:
        """Names and steps may change with what came."""
        by_path = {entry.saved.path: entry.checkpoint for entry in shelf.entries.values()}
        for each in self.measured:
            each.name, each.step = by_path[each.path].id, by_path[each.path].step

    def _ends(self) -> set[Path]:
        return {self.measured[0].path, self.measured[-1].path} if self.measured else set()

    def _drop(self, dropped: Sequence[Measured]) -> None:
        gone = {each.path for each in dropped}
        self.measured = [each for each in self.measured if each.path not in gone]
        self._held = {path: saved for path, saved in self._held.items() if path not in gone}

    def _leave_out(self, one: Draft, why: str | None) -> None:
        self._left_out[one.saved.path] = one.stamp
        if why is not None:
            self.say(f"{one.saved.path} is left out: {why}")


def _paths(shelf: Shelf) -> list[Path]:
    return [entry.saved.path for entry in shelf.entries.values()]


def _stamp_or_none(saved: Saved) -> Stamp | None:
    try:
        return stamp(saved.files)
    except OSError:
        return None


def _is_damage(error: CovscanError) -> bool:
    errors = error.errors if isinstance(error, InputErrors) else (error,)
    return all(each.code in DAMAGE for each in errors)


def _sentence(error: CovscanError) -> str:
    errors = error.errors if isinstance(error, InputErrors) else (error,)
    return "; ".join(f"{each.message}{f' ({each.found})' if each.found else ''}" for each in errors)
