"""What a watch shows: a live table on a terminal, plain lines anywhere else, on standard error."""

import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from covscan.cli.streams import Wishes, look_for
from covscan.cli.watch_table import departure_notes, headline, table
from covscan.render.look import Look
from covscan.render.names import printable

if TYPE_CHECKING:
    from covscan.watching.band import Departure
    from covscan.watching.following import Measured

KEPT_WARNINGS = 3
REFRESH = 0.5
"""Seconds between two drawings while nothing happens."""


class View(Protocol):
    """Takes what happens in a watch."""

    def start(self) -> None:
        """The watch begins."""
        ...

    def measured(self, series: "Sequence[Measured]", place: int, left: "Sequence[Departure]") -> None:
        """One more checkpoint was measured, the one at this place of the series; some sites left their band there."""
        ...

    def batch(self) -> None:
        """One batch of the checkpoint that is being measured is done."""
        ...

    def waiting(self, growing: int) -> None:
        """There is nothing to measure; so many files may become checkpoints."""
        ...

    def tick(self) -> None:
        """A moment went by."""
        ...

    def note(self, text: str) -> None:
        """Something worth knowing."""
        ...

    def close(self) -> None:
        """The watch is over."""
        ...


def view_for(place: str, *, quiet: bool, wishes: Wishes) -> View:
    """The view that suits standard error."""
    look = look_for(sys.stderr, wishes)
    if look.terminal and not quiet and os.environ.get("TERM") != "dumb":
        return LiveView(sys.stderr, place, look)
    return PlainView(sys.stderr, place, look, quiet=quiet)


class PlainView:
    """One line for each checkpoint; where it is ``quiet``, warnings alone."""

    def __init__(self, stream: TextIO, place: str, look: Look, *, quiet: bool) -> None:
        self._stream, self._place, self._look, self._quiet = stream, place, look, quiet
        self._waits = False

    def start(self) -> None:
        """Say nothing: the first wait does."""

    def measured(self, series: "Sequence[Measured]", place: int, left: "Sequence[Departure]") -> None:
        """Say what moved most, and what left its band."""
        if not self._quiet:
            self._print(f"covscan: {len(series)} {headline(series, place)}")
        for note in departure_notes(left, self._look):
            self._print(f"note: {note}")
        self._waits = True

    def batch(self) -> None:
        """Say nothing."""

    def waiting(self, growing: int) -> None:
        """Say once, where nothing was measured yet, that it waits."""
        if not self._waits and not self._quiet:
            self._print(f"covscan: waiting for checkpoints in {printable(self._place)}{_state(self._place, growing)}")
        self._waits = True

    def tick(self) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Print it."""
        if not self._quiet:
            self._print(f"note: {printable(text)}")

    def close(self) -> None:
        """Say nothing."""

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class LiveView:
    """A table that stays in place while it changes; notes scroll past above it."""

    def __init__(self, stream: TextIO, place: str, look: Look) -> None:
        self._place, self._look = printable(place), look
        console = Console(file=stream, color_system="standard" if look.color else None, highlight=False, markup=False)
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._series: Sequence[Measured] = ()
        self._warnings: list[str] = []
        self._state = ""
        self._batches = 0
        self._began = self._drawn = time.monotonic()

    def start(self) -> None:
        """Begin to draw."""
        self._live.start()

    def measured(self, series: "Sequence[Measured]", place: int, left: "Sequence[Departure]") -> None:
        """Draw the table with it."""
        self._series, self._batches = list(series), 0
        for note in departure_notes(left, self._look):
            self._live.console.print(Text(f"note: {note}", style="yellow" if self._look.color else ""))
            self._warnings.append(note)
        self._state = ""
        self._draw()

    def batch(self) -> None:
        """Count it."""
        self._batches += 1
        self._state = f"measuring, batch {self._batches}"
        self.tick()

    def waiting(self, growing: int) -> None:
        """Say what it waits for."""
        self._batches = 0
        self._state = f"waiting for {'more' if self._series else 'checkpoints'}{_state(self._place, growing)}"
        self._draw()

    def tick(self) -> None:
        """Draw again where the last time was a while ago."""
        if time.monotonic() - self._drawn >= REFRESH:
            self._draw()

    def note(self, text: str) -> None:
        """Print it above the table."""
        self._live.console.print(f"note: {printable(text)}")

    def close(self) -> None:
        """Take the table away: the report follows."""
        self._live.stop()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        size = self._live.console.size
        minutes, seconds = divmod(int(self._drawn - self._began), 60)
        count = f"{len(self._series)} measured" if self._series else "nothing measured yet"
        first = Text("covscan watch", style="bold")
        first.append(f"  {count}, {minutes // 60}:{minutes % 60:02}:{seconds:02}  {self._place}", style="dim")
        parts = [first]
        if self._series:
            parts += table(self._series, self._look, size.width, max(size.height - KEPT_WARNINGS - 7, 3))
        parts += [Text(each, style="yellow") for each in self._warnings[-KEPT_WARNINGS:]]
        parts.append(Text(f"{self._state or 'working'}; Ctrl-C ends with the report", style="dim"))
        for part in parts:
            part.no_wrap, part.overflow = True, "ellipsis" if self._look.unicode else "crop"
        self._live.update(Group(*parts), refresh=True)


def _state(place: str, growing: int) -> str:
    """What there is of what is waited for."""
    if growing:
        return f" ({growing} {'is' if growing == 1 else 'are'} being written)"
    path = os.path.expanduser(place)
    if not any(sign in place for sign in "*?[") and not os.path.isdir(path):
        return ", a folder that does not exist yet"
    return ""
