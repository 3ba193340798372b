"""Progress for people: a bar on a terminal, a line per checkpoint anywhere else, on standard error."""

import sys
import time
from collections.abc import Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from covscan.cli.streams import Wishes, look_for
from covscan.config import progress as contract
from covscan.render.choosing import check_plots
from covscan.render.names import printable, shorten

NAME_WIDTH = 22


def watch(*, quiet: bool, wishes: Wishes) -> contract.Progress:
    """The progress that suits standard error; a silent one where it was asked for."""
    if quiet:
        return Quiet(wishes.plots)
    look = look_for(sys.stderr, wishes)
    return Bar(sys.stderr, wishes.plots, color=look.color) if look.terminal else Lines(sys.stderr, wishes.plots)


class Planned:
    """Ends the run before anything is measured where a site that is to be drawn is not going to be."""

    def __init__(self, plots: Sequence[str]) -> None:
        self._plots = plots

    def sites(self, places: Sequence[tuple[str, str]], /) -> None:
        """Look for the sites to draw among those of the first checkpoint."""
        if self._plots:
            check_plots(places, self._plots, "covscan sites lists what there is")
        self._plots = ()


class Quiet(Planned, contract.Silent):
    """Says nothing."""


class Lines(Planned):
    """One plain line per finished checkpoint."""

    def __init__(self, stream: TextIO, plots: Sequence[str] = ()) -> None:
        super().__init__(plots)
        self._stream = stream
        self._total = 0
        self._done = 0
        self._stage = ("", 0)
        self._since = time.perf_counter()

    def start(self, checkpoints: Sequence[str], batches: int) -> None:
        """Take the number of checkpoints."""
        self._total, self._done = len(checkpoints), 0
        self._since = time.perf_counter()

    def batch(self) -> None:
        """Say nothing."""

    def checkpoint(self, name: str, /) -> None:
        """Print which checkpoint is finished and how long it took."""
        now = time.perf_counter()
        self._done += 1
        self._print(f"covscan: {self._done}/{self._total} {printable(name)} ({now - self._since:.1f} s)")
        self._since = now

    def trial(self, stage: str, steps: int, most: int, /) -> None:
        """Print each stage once, and every tenth of the steps."""
        tenth = (stage, 10 * steps // most if most else 0)
        if tenth != self._stage:
            self._stage = tenth
            self._print(f"covscan: {stage}, {steps:,} of at most {most:,} training steps")

    def note(self, text: str) -> None:
        """Print the note."""
        self._print(f"note: {printable(text)}")

    def finish(self) -> None:
        """Say nothing."""

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class Bar(Planned):
    """A bar with the checkpoint, the batches and the time left, which vanishes at the end."""

    def __init__(self, stream: TextIO, plots: Sequence[str] = (), *, color: bool) -> None:
        super().__init__(plots)
        console = Console(file=stream, color_system="standard" if color else None, highlight=False, markup=False)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None, style="dim", complete_style="cyan", finished_style="green"),
            TextColumn("{task.fields[place]}", markup=False),
            TextColumn("{task.completed:.0f}/{task.total:.0f} {task.fields[unit]}", markup=False),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=console,
            transient=True,
        )
        self._names: Sequence[str] = ()
        self._batches = 0
        self._done = 0
        self._stage = ""
        self._task = self._progress.add_task("", total=None, start=False, visible=False, place="", unit="batches")

    def start(self, checkpoints: Sequence[str], batches: int) -> None:
        """Draw the empty bar."""
        self._names, self._batches, self._done = checkpoints, batches, 0
        self._progress.start()
        self._progress.start_task(self._task)
        self._progress.update(self._task, total=len(checkpoints) * batches, completed=0, visible=True, **self._labels())

    def batch(self) -> None:
        """Move on by a batch."""
        self._progress.advance(self._task)

    def checkpoint(self, name: str, /) -> None:
        """Move on to the next checkpoint, also where this one had fewer batches than announced."""
        self._done += 1
        self._progress.update(self._task, completed=self._done * self._batches, **self._labels())

    def trial(self, stage: str, steps: int, most: int, /) -> None:
        """Fill the bar anew with training steps, of which there may be fewer than announced."""
        if stage != self._stage:
            self._stage = stage
            self._progress.reset(self._task, total=most, description=stage, place="at most", unit="steps")
        self._progress.update(self._task, completed=steps)

    def note(self, text: str) -> None:
        """Print the note above the bar."""
        self._progress.console.print(f"note: {printable(text)}")

    def finish(self) -> None:
        """Take the bar away."""
        self._progress.stop()

    def _labels(self) -> dict[str, Any]:
        current = min(self._done, len(self._names) - 1)
        name = printable(self._names[current]) if self._names else ""
        place = f"{min(self._done + 1, len(self._names))}/{len(self._names)} checkpoints"
        return {"description": shorten(name, NAME_WIDTH, "..."), "place": place}
