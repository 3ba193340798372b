"""Gathering neighbouring sites that moved alike into one finding."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from covscan.report.types import Severity, Shift, Site
from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.lookup import first_to_last
from covscan.rules.words import number


@dataclass(frozen=True, slots=True)
class Moved:
    """A site, its shift from the first to the last checkpoint, and the value that a rule looks at."""

    site: Site
    shift: Shift
    value: float


@dataclass(frozen=True, slots=True)
class Run:
    """Sites that follow one another in order of execution and moved alike; ``peak`` moved most."""

    moved: tuple[Moved, ...]

    @property
    def peak(self) -> Moved:
        """The first of those that moved most."""
        return max(self.moved, key=lambda moved: abs(moved.value))

    def extent(self) -> str:
        """Where the run reaches, to put behind the peak's name; empty for one site."""
        if len(self.moved) == 1:
            return ""
        first, last = self.moved[0].site.site, self.moved[-1].site.site
        return f", the most of {len(self.moved)} neighbouring sites from {first} to {last}"


def runs(evidence: Evidence, select: Callable[[Shift], float | None]) -> Iterator[Run]:
    """The runs of sites for whose shift between the ends of the series ``select`` gives a value."""
    current: list[Moved] = []
    for site, shift in first_to_last(evidence):
        found = select(shift)
        if found is not None:
            current.append(Moved(site, shift, found))
        elif current:
            yield Run(tuple(current))
            current = []
    if current:
        yield Run(tuple(current))


def firing(run: Run, measure: str, severity: Severity, what: str) -> Firing:
    """One finding for a run, at its peak; ``what`` says what happened there."""
    peak = run.peak
    found = peak.shift.measures[measure]
    noise = "" if found.noise is None else f"; noise {number(found.noise)}"
    return Firing(
        severity=severity,
        site=peak.site.site,
        position=peak.site.position,
        checkpoint=peak.shift.to,
        message=f"{what} at {peak.site.site} ({peak.site.position}){run.extent()}, "
        f"from {peak.shift.from_} to {peak.shift.to}{noise}",
        evidence={
            "measure": measure,
            "value": peak.value,
            "noise": found.noise,
            "low": found.low,
            "high": found.high,
            "channels_shifted": peak.shift.channels_shifted,
            "sites": {f"{moved.site.site} ({moved.site.position})": moved.value for moved in run.moved},
        },
    )
