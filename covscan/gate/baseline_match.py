"""Whether a report may be compared with a baseline: what differs in how both came about."""

from collections.abc import Iterator

from covscan.gate.baseline_types import Baseline, KnownSite, Series

_DIGEST = 12
COMPUTING = ("torch", "onnx", "onnxruntime", "numpy")
"""The packages whose versions may change a value in its last digits."""


def obstacles(known: Baseline, now: Baseline) -> list[str]:
    """What keeps the two from being compared, a sentence each; empty where nothing does."""
    return [*sampling_differs(known, now), *architecture_differs(known, now)]


def sampling_differs(known: Baseline, now: Baseline) -> Iterator[str]:
    """The parts of the fingerprint that differ; not the architecture."""
    then, here = known.fingerprint, now.fingerprint
    if known.origin.report.partition(".")[0] != now.origin.report.partition(".")[0]:
        yield f"the report's schema differs: {known.origin.report} in the baseline, {now.origin.report} now"
    if then.engine != here.engine:
        yield f"the engine differs: {then.engine} in the baseline, {here.engine} now"
    sampled = list(_sampling(known, now))
    yield from sampled
    # Another number or seed reads other samples, whatever the data; only with the same ones the data must be others.
    if not sampled and then.data != here.data:
        yield f"the data differ: samples {then.data[:_DIGEST]} in the baseline, {here.data[:_DIGEST]} now"


def _sampling(known: Baseline, now: Baseline) -> Iterator[str]:
    then, here = known.fingerprint, now.fingerprint
    for what, before, after in (
        ("number of samples", str(then.samples), str(here.samples)),
        ("positions", _all(then.positions), _all(here.positions)),
        ("seed", str(then.seed), str(here.seed)),
        ("padding", _padding(then.masked), _padding(here.masked)),
    ):
        if before != after:
            yield f"the sampling differs ({what}): {before} in the baseline, {after} now"


def _all(positions: int | None) -> str:
    return "all" if positions is None else str(positions)


def _padding(masked: bool) -> str:
    return "left out" if masked else "counted"


def architecture_differs(known: Baseline, now: Baseline) -> Iterator[str]:
    """The sites that both have with another type or number of channels."""
    for site, other in changed_sites(known, now):
        yield (
            f"the architecture differs: {named(site)} was {site.type} with {site.channels} channels, "
            f"is {other.type} with {other.channels}"
        )


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


def remarks(known: Baseline, now: Baseline) -> Iterator[str]:
    """What differs, is worth knowing, and does not keep the two from being compared."""
    then, here = known.origin, now.origin
    if then.tool != here.tool:
        yield f"written by covscan {then.tool or '(unknown)'}, measured by {here.tool or '(unknown)'}"
    if then.report != here.report:
        yield f"the report's schema was {then.report} in the baseline and is {here.report} now"
    if then.device != here.device:
        yield f"measured on {then.device} in the baseline, on {here.device} now"
    for package in COMPUTING:
        before, after = then.versions.get(package), here.versions.get(package)
        if before and after and before != after:
            yield f"measured with {package} {before} in the baseline, with {after} now"
    if _ends(known.series) != _ends(now.series):
        yield f"the series was {_described(known.series)} in the baseline, and is {_described(now.series)} now"


def _ends(series: Series) -> tuple[object, ...]:
    """What the series must have in common to span the same training; names count where steps are unknown."""
    if None in {series.first_step, series.last_step}:
        return series.checkpoints > 1, series.first, series.last
    return series.checkpoints > 1, series.first_step, series.last_step


def _described(series: Series) -> str:
    if series.checkpoints < 2:
        return f"{series.first} alone" if series.checkpoints else "empty"
    return f"{series.first} to {series.last}"
