"""How a measurement tells whoever started it how far it is."""

from collections.abc import Sequence
from typing import Protocol


class Progress(Protocol):
    """Takes the milestones of one run, in this order: start, (sites, batch…, checkpoint)…, trial…, finish.

    ``finish`` is called once, also where the measurement fails. ``note`` may come at any time. Where a batch did not
    fit into memory it begins again with ``start``.
    """

    def start(self, checkpoints: Sequence[str], batches: int) -> None:
        """Begin: the ids of the checkpoints in order, and how many batches each of them runs."""
        ...

    def sites(self, places: Sequence[tuple[str, str]], /) -> None:
        """The names and positions that will be measured at the next checkpoint; a UsageError ends the run."""
        ...

    def batch(self) -> None:
        """One batch of the current checkpoint is done."""
        ...

    def checkpoint(self, name: str, /) -> None:
        """The checkpoint with this id is finished."""
        ...

    def trial(self, stage: str, steps: int, most: int, /) -> None:
        """So many training steps of at most so many are done; ``stage`` says in words what is going on."""
        ...

    def note(self, text: str) -> None:
        """Say something worth knowing while the measurement runs."""
        ...

    def finish(self) -> None:
        """Nothing more will come."""
        ...


class Silent:
    """A progress that nobody watches."""

    def start(self, checkpoints: Sequence[str], batches: int) -> None:
        """Ignore."""

    def sites(self, places: Sequence[tuple[str, str]], /) -> None:
        """Ignore."""

    def batch(self) -> None:
        """Ignore."""

    def checkpoint(self, name: str, /) -> None:
        """Ignore."""

    def trial(self, stage: str, steps: int, most: int, /) -> None:
        """Ignore."""

    def note(self, text: str) -> None:
        """Ignore."""

    def finish(self) -> None:
        """Ignore."""
