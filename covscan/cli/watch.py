"""``covscan watch``: measure the checkpoints of a training while it writes them, and publish a report at its end."""

import math
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from covscan.cli.analyze import check_complete, propose, verdict
from covscan.cli.outputs import check_drawn, check_shown, parse_outputs
from covscan.cli.policies import counting_policy
from covscan.cli.progress import Planned, watch
from covscan.cli.publish import publish
from covscan.cli.settings import read_config, read_settings
from covscan.cli.stopping import Stopped, Stopping
from covscan.cli.streams import Wishes, payload_only
from covscan.cli.values import read_wishes
from covscan.cli.watch_view import View, view_for
from covscan.config.settings import Settings
from covscan.errors import Inconclusive, UsageError
from covscan.report.types import Report

if TYPE_CHECKING:
    from covscan.watching.folder import Folder, Look
    from covscan.watching.following import Following

SLICE = 0.1
"""Seconds after which a wait looks whether it is to end."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How often to look, and when to end by itself."""

    interval: float
    until: int | None
    idle: float | None


def run(words: Mapping[str, Any], said: Set[str]) -> int:
    """Run the command; ``words`` are its parameters, ``said`` those that were given. Returns the exit code."""
    wishes = read_wishes(words)
    policy = counting_policy(words)
    check_shown(words["form"])
    limits = _limits(words)
    config = read_config(words)
    given = words["run_dir"]
    words = {**words, "checkpoints": [] if given is None else [given]}
    settings = read_settings(words, said if given is None else {*said, "checkpoints"}, config)
    _check_one(settings)
    outputs = parse_outputs(words["output"] or ())
    check_drawn(words["form"], outputs, wishes)
    with payload_only() as stdout:
        report = _followed(settings, limits, wishes, quiet=words["quiet"])
        publish(report, words["form"], outputs, wishes, stdout)
    if config.path is None and words["form"] == "text" and policy.fail_on == "never" and not words["quiet"]:
        propose(report)
    return verdict(report, policy)


def _limits(words: Mapping[str, Any]) -> Limits:
    interval, idle = words["interval"], words["idle"]
    for option, seconds in (("--interval", interval), ("--idle", idle)):
        if seconds is not None and not 0 < seconds < math.inf:
            raise UsageError(
                "bad-option", f"'{option} {seconds}' is no length of time", hint=f"write seconds: {option} 30"
            )
    return Limits(interval, words["until"], idle)


def _check_one(settings: Settings) -> None:
    check_complete(settings)
    if len(settings.checkpoints) != 1:
        raise UsageError(
            "one-folder",
            "one folder is followed",
            found=", ".join(settings.checkpoints),
            hint="name the one that the training writes to: covscan watch runs/",
        )


def _followed(settings: Settings, limits: Limits, wishes: Wishes, *, quiet: bool) -> Report:
    """Follow the training to the end of the watch; the report on all that was measured."""
    from covscan.data import open_samples
    from covscan.models import open_source
    from covscan.pipeline import Clock
    from covscan.watching.folder import Folder
    from covscan.watching.following import Following
    from covscan.watching.holding import holding

    clock = Clock()
    place = settings.checkpoints[0]
    folder = Folder(place, limits.interval)
    folder.look()  # a file or several runs are said before the data are read
    samples = open_samples(settings)
    if settings.model is not None:
        # A factory that fails is said now and not when the first checkpoint comes, which may be in an hour.
        open_source(replace(settings, checkpoints=()), untrained=True)
    with Stopping() as stopping, holding() as hold, _store(settings) as store:
        view = view_for(place, quiet=quiet, wishes=wishes)
        following = Following(settings, samples, store, _Turn(view, stopping, wishes.plots), hold, view.note)
        try:
            view.start()
            _Watch(folder, following, view, limits, stopping).run()
        finally:
            view.close()
        if not following.measured:
            raise Inconclusive(
                "nothing-measured",
                f"no checkpoint in {place!r} was whole while it was watched",
                hint="the training must write to this folder; a name that ends in .tmp, .part or ~ is left alone",
            )
        command = shlex.join(["covscan", *sys.argv[1:]])
        return following.report(lambda: clock.run(command), watch(quiet=quiet or settings.loss is None, wishes=wishes))


@contextmanager
def _store(settings: Settings) -> Iterator[Any]:
    """The cache, or, without one, a store that passes with the watch: a step compares with what was measured before."""
    from covscan.cache import Store, cache_folder, cache_limit, passing_store

    if settings.cache and cache_limit():
        yield Store(cache_folder(), cache_limit())
    else:
        with passing_store() as store:
            yield store


@dataclass(slots=True)
class _Watch:
    """Looks, measures, tells, and waits."""

    folder: "Folder"
    following: "Following"
    view: View
    limits: Limits
    stopping: Stopping
    _last: float = 0.0
    _told: frozenset[Any] = frozenset()

    def run(self) -> None:
        """Go on until a limit is reached or the user ends it."""
        self._last = time.monotonic()
        try:
            while not self._is_over(look := self._look()):
                self._tell(look)
                if self._measure(look):
                    continue
                self._wait(look)
        except Stopped:
            return

    def _look(self) -> "Look":
        from covscan.watching.folder import Look

        try:
            return self.folder.look()
        except UsageError as error:
            if not self.following.measured:
                raise
            # What was measured is not given up for a folder that changed its shape; it may change back.
            self._once((error.code,), f"{error.message} ({error.found})" if error.found else error.message)
            return Look([], 0, {}, frozenset())

    def _is_over(self, look: "Look") -> bool:
        limits = self.limits
        if self.stopping.asked:
            return True
        if limits.until is not None and len(self.following.measured) >= limits.until:
            return True
        quiet_since = max(self.folder.changed, self._last)
        waited = limits.idle is not None and time.monotonic() - quiet_since >= limits.idle
        return waited and not look.growing and not self.following.waiting(look.ready)

    def _tell(self, look: "Look") -> None:
        for note in self.folder.notes:
            self._once((note,), note)
        for path, error in look.broken.items():
            found = f": {error.found}" if error.found else ""
            self._once((path,), f"{error.message}{found}; it is taken once it is whole")
        gone = self.following.gone()
        if gone:
            self._once(("gone",), f"{gone[0]} was deleted; what was measured of such files stays in the table")

    def _measure(self, look: "Look") -> bool:
        from covscan.watching.band import departures

        made = self.following.advance(look.ready)
        if made is None:
            return False
        self._last = time.monotonic()
        place = self.following.measured.index(made)
        self.view.measured(self.following.measured, place, departures(self.following.measured, place))
        return True

    def _wait(self, look: "Look") -> None:
        self.view.waiting(look.growing)
        end = time.monotonic() + self.limits.interval
        while not self.stopping.asked and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, SLICE))
            self.view.tick()

    def _once(self, key: Any, note: str) -> None:
        if key not in self._told:
            self._told |= {key}
            self.view.note(note)


class _Turn(Planned):
    """The progress of one measurement, which ends between two batches where the user ends the watch."""

    def __init__(self, view: View, stopping: Stopping, plots: Sequence[str]) -> None:
        super().__init__(plots)
        self._view, self._stopping = view, stopping

    def start(self, checkpoints: Sequence[str], batches: int) -> None:
        """Say nothing."""

    def batch(self) -> None:
        """Show that there is progress, or end."""
        self._stopping.check()
        self._view.batch()

    def checkpoint(self, name: str, /) -> None:
        """Say nothing: earlier ones pass by here as well."""

    def trial(self, stage: str, steps: int, most: int, /) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Pass it on."""
        self._view.note(text)

    def finish(self) -> None:
        """Say nothing."""
