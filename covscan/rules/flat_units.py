"""Units that no longer learn: dead behind a rectifier, saturated in a squashing function."""

from collections.abc import Iterator
from typing import Literal

from covscan.report.types import Checkpoint, Site, Statistics
from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.lookup import by_key, graph_of, last, site_of, statistics
from covscan.rules.words import plural, share

MANY_DEAD, MOST_DEAD = 0.3, 0.5
MANY_SATURATED, MOST_SATURATED = 0.25, 0.75
_FEWEST = 8


def dead(evidence: Evidence, checkpoint: Checkpoint) -> list[tuple[Site, float]]:
    """Outputs of activations inside the network with over 30 % of their channels dead."""
    return [
        (site, found.dead_channels)
        for site, found in _activations(evidence, checkpoint, side="output")
        if found.dead_channels is not None and found.dead_channels > MANY_DEAD
    ]


def saturated(evidence: Evidence, checkpoint: Checkpoint) -> list[tuple[Site, float]]:
    """What goes into sigmoids and the like with over 25 % of the values where the function is flat."""
    return [
        (site, found.saturated_share)
        for site, found in _activations(evidence, checkpoint, side="input")
        if found.saturated_share is not None and found.saturated_share > MANY_SATURATED
    ]


def _activations(
    evidence: Evidence, checkpoint: Checkpoint, side: Literal["input", "output"]
) -> Iterator[tuple[Site, Statistics]]:
    """One side of each activation, without gates and the network's own output: there a unit is meant to be sure."""
    graph = graph_of(evidence)
    sites, gates = by_key(evidence), graph.gates()
    for place, call in enumerate(graph.calls):
        if call.role != "activation" or gates.intersection(graph.before[place]):
            continue
        if not any(graph.calls[p].role in {"layer", "attention", "norm"} for p in graph.reached(place, forward=True)):
            continue
        key = graph.outputs[place] if side == "output" else next(iter(graph.inputs[place]), None)
        site = site_of(key, sites)
        found = statistics(site, checkpoint) if site is not None else None
        if site is not None and found is not None and found.samples >= _FEWEST:
            yield site, found


def dead_units(evidence: Evidence) -> Iterator[Firing]:
    """Many units of a rectifier never fire.

    Severity: warning where over half are dead, info over 30 %.

    ## What it measures
    The share of channels behind an activation with no variance, or, behind a rectifier, active in under 1 % of the
    values, at the last checkpoint.

    ## Why it matters
    A dead unit passes no gradient and stays dead: capacity that is paid for and not used.

    ## When it misleads
    Units that serve rare samples look dead on a small sample. Sparse networks are sparse on purpose.

    ## Example
    `61 % of the channels of relu3 are dead`

    ## What to do
    Lower the learning rate or the weight decay on biases; use a leaky rectifier; a normalization in front recentres the
    units and revives them.

    ## Sources
    Lu et al., *Dying ReLU and Initialization*, 2020.
    """
    found = dead(evidence, last(evidence))
    yield from _fire(evidence, found, MOST_DEAD, "of the channels of {site} are dead", "dead")


def saturated_units(evidence: Evidence) -> Iterator[Firing]:
    """Many values lie where a squashing function is flat.

    Severity: warning where over 75 % do, info over 25 %.

    ## What it measures
    The share of values in front of an activation beyond the point where it is flat to within 2 % of its range: |z| > 4
    for the logistic function, |z| > 2 for tanh.

    ## Why it matters
    The gradient through a saturated unit is next to nothing. Ioffe and Szegedy's case for BatchNorm starts here.

    ## When it misleads
    A unit that has learned to say yes or no is saturated and right: after training tanh networks that do well have over
    half of their values there. The share counts values, not units that are stuck.

    ## Example
    `82 % of the values at fc2 are saturated`

    ## What to do
    Smaller initial weights; a normalization in front of the activation; or an activation that is not flat.

    ## Sources
    Ioffe and Szegedy 2015. Glorot and Bengio 2010.
    """
    found = saturated(evidence, last(evidence))
    yield from _fire(evidence, found, MOST_SATURATED, "of the values at {site} are saturated", "saturated")


def _fire(evidence: Evidence, found: list[tuple[Site, float]], most: float, what: str, name: str) -> Iterator[Firing]:
    if not found:
        return
    site, worst = max(found, key=lambda item: item[1])
    more = f"; {plural(len(found) - 1, 'site')} more over the limit" if len(found) > 1 else ""
    yield Firing(
        severity="warning" if worst > most else "info",
        site=site.site,
        position=site.position,
        checkpoint=last(evidence).id,
        message=f"{share(worst)} {what.format(site=site.site)}{more}",
        evidence={f"{name}_share": worst, "sites": {other.site: each for other, each in found}},
    )
