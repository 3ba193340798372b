"""Measuring subject by subject, keeping only what the next comparison needs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from covscan.cache import Store
from covscan.capture.types import Network, Site, SiteKey
from covscan.config import Settings
from covscan.config.progress import Progress
from covscan.engine.ahead import read_ahead
from covscan.engine.column import Column
from covscan.engine.entries import Facts
from covscan.engine.known import Known
from covscan.engine.subjects import Subject
from covscan.measures.result import Result


@dataclass(frozen=True, slots=True)
class SiteShift:
    """How one site moved from one subject to another, by their ids."""

    key: SiteKey
    start: str
    end: str
    measures: dict[str, Result]
    channels_shifted: float | None


@dataclass(frozen=True, slots=True)
class Step:
    """A measured subject with its shifts from the first and from the one before."""

    subject: Subject
    facts: Facts
    shifts: tuple[SiteShift, ...] = field(default_factory=tuple)


def lenders(subjects: Sequence[Subject], number: int) -> tuple[Subject, ...]:
    """The first subject and the one before: with whose weights layers are replayed, and what is compared with."""
    return tuple(subjects[each] for each in sorted({0, number - 1})) if number else ()


def measure_series(
    subjects: Sequence[Subject],
    settings: Settings,
    progress: Progress,
    store: Store | None = None,
    wait: Callable[[int], None] = lambda number: None,
) -> Iterator[Step]:
    """Measure each subject in turn; at most three summaries are alive at a time.

    What ``store`` holds already is not measured again; ``wait(number)`` returns when others have done their part there.
    """
    known = Known(store, progress)
    first: Column | None = None
    previous: Column | None = None
    for number, subject in enumerate(subjects):
        read_ahead(subjects[number + 1 : number + 2])
        wait(number)
        earlier = tuple(dict.fromkeys(column for column in (first, previous) if column is not None))
        column = Column(subject, lenders(subjects, number), earlier, settings, known, progress)
        shifts = [
            SiteShift(moved.key, start, subject.id, moved.measures, moved.channels_shifted)
            for start, every in column.moved.items()
            for moved in every
        ]
        progress.checkpoint(subject.id)
        yield Step(subject, column.facts, tuple(shifts))
        first = first or column
        previous = column


def all_sites(networks: list[Network]) -> tuple[Site, ...]:
    """The sites of every network in the order of the first, later ones behind."""
    found: dict[SiteKey, Site] = {}
    for network in networks:
        for site in network.sites:
            found.setdefault(site.key, site)
    return tuple(found.values())
