"""Whether two reports, or a report and a baseline, may be compared: what differs in how both came about."""

from collections.abc import Iterator
from typing import NamedTuple

from covscan.gate.baseline_types import Baseline, KnownSite, Series

_DIGEST = 12
COMPUTING = ("torch", "onnx", "onnxruntime", "numpy")
"""The packages whose versions may change a value in its last digits."""


class Sides(NamedTuple):
    """How a sentence calls the two."""

    then: str = "in the baseline"
    here: str = "now"

    def differ(self, what: str, before: object, after: object) -> str:
        """The sentence of a difference."""
        return f"{what}: {before} {self.then}, {after} {self.here}"


BASELINE = Sides()


def obstacles(known: Baseline, now: Baseline, sides: Sides = BASELINE) -> list[str]:
    """What keeps the two from being compared, a sentence each; empty where nothing does."""
    return [*sampling_differs(known, now, sides), *_architecture_differs(known, now, sides)]


def sampling_differs(known: Baseline, now: Baseline, sides: Sides = BASELINE) -> Iterator[str]:
    """The parts of the fingerprint that differ; not the architecture."""
    then, here = known.fingerprint, now.fingerprint
    if known.origin.report.partition(".")[0] != now.origin.report.partition(".")[0]:
        yield sides.differ("the report's schema differs", known.origin.report, now.origin.report)
    if then.engine != here.engine:
        yield sides.differ("the engine differs", then.engine, here.engine)
    sampled = [
        sides.differ(f"the sampling differs ({what})", before, after)
        for what, before, after in (
            ("number of samples", then.samples, here.samples),
            ("positions", _all(then.positions), _all(here.positions)),
            ("seed", then.seed, here.seed),
            ("padding", _padding(then.masked), _padding(here.masked)),
        )
        if before != after
    ]
    yield from sampled
    # Another number or seed reads other samples, whatever the data; only with the same ones the data must be others.
    if not sampled and then.data != here.data:
        yield sides.differ("the data differ", f"samples {then.data[:_DIGEST]}", here.data[:_DIGEST])


def _all(positions: int | None) -> str:
    return "all" if positions is None else str(positions)


def _padding(masked: bool) -> str:
    return "left out" if masked else "counted"


def _architecture_differs(known: Baseline, now: Baseline, sides: Sides) -> Iterator[str]:
    """The sites that both have with another type or number of channels."""
    for site, other in changed_sites(known, now):
        shape = f"{site.type} with {site.channels} channels"
        yield sides.differ(f"the architecture differs at {named(site)}", shape, f"{other.type} with {other.channels}")


def changed_sites(known: Baseline, now: Baseline) -> Iterator[tuple[KnownSite, KnownSite]]:
    """Sites with the same name whose tensor is another."""
    here = {site.key: site for site in now.sites}
    for site in known.sites:
        other = here.get(site.key, site)
        if (site.type, site.channels) != (other.type, other.channels):
            yield site, other


def named(site: KnownSite) -> str:
    """A site in a sentence."""
    return f"{site.site} ({site.position})"


def remarks(known: Baseline, now: Baseline, sides: Sides = BASELINE) -> Iterator[str]:
    """What differs, is worth knowing, and does not keep the two from being compared."""
    then, here = known.origin, now.origin
    facts: list[tuple[str, str | None, str | None]] = [
        ("covscan", then.tool, here.tool),
        ("the report's schema", then.report, here.report),
        ("device", then.device, here.device),
        *((package, then.versions.get(package), here.versions.get(package)) for package in COMPUTING),
    ]
    yield from (sides.differ(what, old, new) for what, old, new in facts if old and new and old != new)
    if _ends(known.series) != _ends(now.series):
        yield sides.differ("the series differs", _described(known.series), _described(now.series))


def _ends(series: Series) -> tuple[object, ...]:
    """What two series must have in common to span the same training; names count where steps are unknown."""
    if None in {series.first_step, series.last_step}:
        return series.checkpoints > 1, series.first, series.last
    return series.checkpoints > 1, series.first_step, series.last_step


def _described(series: Series) -> str:
    if series.checkpoints < 2:
        return f"{series.first} alone" if series.checkpoints else "no checkpoint"
    return f"{series.first} to {series.last}"
