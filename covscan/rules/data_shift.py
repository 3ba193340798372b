"""Where a shift of the data enters the network, and how it travels."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from covscan.measures.topology import entries
from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.lookup import first_to_last, graph_of, significant, value
from covscan.rules.norm_statistics import stale_norms
from covscan.rules.shift_runs import Moved
from covscan.rules.words import listed, number

_MEASURE = "gaussian_w2"
_LARGE = 0.8
_CHANGES = 1.5


@dataclass(frozen=True, slots=True)
class _Travel:
    """Significant shifts in order of execution, those where the data enter, and the factors of single layers."""

    moved: tuple[Moved, ...]
    entered: tuple[Moved, ...]
    last: Moved
    factors: Mapping[str, float]

    @property
    def entry(self) -> Moved | None:
        """The largest of the shifts where the data enter."""
        return max(self.entered, key=lambda moved: moved.value, default=None)

    @property
    def peak(self) -> Moved:
        """The first of the largest shifts."""
        return max(self.moved, key=lambda moved: moved.value)


def data_shift(evidence: Evidence) -> Iterator[Firing]:
    """Two data sets differ, and so does what the network makes of them.

    Severity: warning from 0.8 standard deviations on, anywhere in the network; else info.

    ## What it measures
    Between two data sets through the same weights (`--reference-data`): Gaussian W2 where the data enter the network,
    where it is largest, and what is left of it at the last site; how many times its input's shift each layer gives, and
    which BatchNorms hold statistics that don't fit the data (COV401). It fires where any site shifts above noise and
    effect size, by the intervals of two independent samples.

    ## Why it matters
    The weights were fitted to the reference data. Where the network damps a shift it is robust against it; where it
    makes one larger, or lets it reach its output, what it answers is for data that it was not trained on.

    ## When it misleads
    A shift says that the data differ, not that the answers are worse: a network may do well on what it never saw, and
    fail where no mean and no variance moved. Classes that are more frequent in one data set move everything. Values are
    in standard deviations of each site, so that a layer which averages many inputs makes a shift look larger. Inputs of
    more than one kind (an image and a table) are compared with the largest shift of all of them.

    ## Example
    `the data shift by 0.52 sd where they enter, at conv1 (input); it grows to 1.3 sd at fc1 (output), 2.5 times`

    ## What to do
    Look first at how the data were prepared: scale, mean, order of channels, resizing. Where BatchNorm's statistics are
    stale, recompute them on unlabelled data of the new kind. Else collect data of the new kind, for training and for
    testing.

    ## Sources
    Schneider, Rusak et al., *Improving robustness against common corruptions by covariate shift adaptation*, 2020.
    Welch 1947, Satterthwaite 1946 (intervals of two independent samples).
    """
    travel = _travel(evidence) if evidence.kind == "data" else None
    if travel is None:
        return
    entry, peak, last = travel.entry, travel.peak, travel.last
    stale = [misuse.name for misuse in stale_norms(evidence)]
    where = entry or peak
    yield Firing(
        severity="warning" if peak.value >= _LARGE else "info",
        site=where.site.site,
        position=where.site.position,
        checkpoint=where.shift.to,
        message="".join((_entered(entry), _grows(entry, peak), _left(travel), _stale(stale))),
        evidence={
            "entry": None if entry is None else _name(entry),
            "entry_shift": None if entry is None else entry.value,
            "largest": _name(peak),
            "largest_shift": peak.value,
            "amplification": value(peak.shift, "shift_amplification"),
            "last": _name(last),
            "last_shift": last.value,
            "grows": {name: factor for name, factor in travel.factors.items() if factor >= _CHANGES},
            "damped": {name: factor for name, factor in travel.factors.items() if factor <= 1 / _CHANGES},
            "stale_norms": stale,
        },
    )


def _travel(evidence: Evidence) -> _Travel | None:
    """None where no site shifts."""
    every = [Moved(site, shift, value(shift, _MEASURE) or 0.0) for site, shift in first_to_last(evidence)]
    moved = tuple(each for each in every if significant(each.shift, _MEASURE))
    if not moved:
        return None
    keys = {(key.site, key.position) for key in entries(evidence.network)}
    entered = tuple(each for each in moved if (each.site.site, each.site.position) in keys)
    return _Travel(moved, entered, every[-1], _factors(evidence, {(m.site.site, m.site.position): m for m in every}))


def _factors(evidence: Evidence, moved: Mapping[tuple[str, str], Moved]) -> dict[str, float]:
    """How many times the shift of its input each call with one input gives, where the input shifts above noise."""
    graph = graph_of(evidence)
    found = {}
    for call, inputs, output in zip(graph.calls, graph.inputs, graph.outputs, strict=True):
        if len(inputs) != 1 or output is None or output == inputs[0]:
            continue
        read = moved.get((inputs[0].site, inputs[0].position))
        given = moved.get((output.site, output.position))
        if read is not None and given is not None and significant(read.shift, _MEASURE):
            found[call.name] = given.value / read.value
    return found


def _name(moved: Moved) -> str:
    return f"{moved.site.site} ({moved.site.position})"


def _entered(entry: Moved | None) -> str:
    if entry is None:
        return "no shift clears the noise where the data enter"
    return f"the data shift by {number(entry.value)} sd where they enter, at {_name(entry)}"


def _grows(entry: Moved | None, peak: Moved) -> str:
    if entry is None:
        return f", but further on: {number(peak.value)} sd at {_name(peak)}"
    if peak.site == entry.site:
        return ", and nowhere by more"
    return f"; it grows to {number(peak.value)} sd at {_name(peak)}, {number(peak.value / entry.value)} times as much"


def _left(travel: _Travel) -> str:
    if travel.last.site == travel.peak.site:
        return ""
    if not significant(travel.last.shift, _MEASURE):
        return f"; none of it is left above noise at {_name(travel.last)}"
    return f"; {number(travel.last.value)} sd of it are left at {_name(travel.last)}"


def _stale(norms: list[str]) -> str:
    return f"; running statistics that don't fit the data: {listed(norms)} (COV401)" if norms else ""
