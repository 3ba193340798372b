"""Scale that grows or vanishes from layer to layer."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from covscan.report.types import Checkpoint
from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.lookup import Layer, by_key, graph_of, hidden_layers, last, site_of, statistics
from covscan.rules.words import number

_Link: TypeAlias = "tuple[str, float, Layer | None]"
"""Name, scale, and the layer; None for the network's input."""

STRONG, SUSTAINED = 1e3, 30.0
_RATIO, _LAYERS = 2.0, 3


@dataclass(frozen=True, slots=True)
class Trend:
    """A stretch of layers over which the variance changes one way: from ``start`` to ``end`` by ``factor``."""

    start: str
    end: Layer
    factor: float
    layers: int
    scales: dict[str, float]

    @property
    def strong(self) -> bool:
        """Whether the whole change is beyond a thousandfold."""
        return self.factor >= STRONG


def trend(evidence: Evidence, checkpoint: Checkpoint, *, growing: bool) -> Trend | None:
    """The largest change one way along the layers without a normalization; None where it is not material.

    Material is a thousandfold over any stretch, or thirtyfold over three steps or more that each are twofold. Growth
    also counts from the second moment of what the first layer reads. A loss does not: a mean that all inputs share is
    in that moment, and no first layer makes variance of it.
    """
    chain = _scales(evidence, checkpoint, from_input=growing)
    best: Trend | None = None
    for first, (start, scale, _) in enumerate(chain):
        for final in range(first + 1, len(chain)):
            _, later, end = chain[final]
            factor = later / scale if growing else scale / later
            if end is None or factor < SUSTAINED or (best is not None and factor <= best.factor):
                continue
            stretch = chain[first : final + 1]
            if factor >= STRONG or _sustained(stretch, growing=growing):
                best = Trend(start, end, factor, len(stretch), {name: each for name, each, _ in stretch})
    return best


def _scales(evidence: Evidence, checkpoint: Checkpoint, *, from_input: bool) -> list[_Link]:
    graph = graph_of(evidence)
    layers = hidden_layers(evidence, graph)
    found: list[_Link] = []
    first = layers[0].place if layers else 0
    if from_input and layers and graph.inputs[first] and next(graph.reached(first, forward=False), None) is None:
        site = site_of(graph.inputs[first][0], by_key(evidence))
        stats = statistics(site, checkpoint) if site is not None else None
        if stats is not None and stats.channel_scale is not None and stats.channel_mean_square is not None:
            found.append(("the input", stats.channel_scale + stats.channel_mean_square, None))
    for layer in layers:
        stats = statistics(layer.site, checkpoint)
        if stats is not None and stats.channel_scale is not None:
            found.append((layer.name, stats.channel_scale, layer))
    return [link for link in found if link[1] > 0]


def _sustained(stretch: list[_Link], *, growing: bool) -> bool:
    """Whether the variance changes at least twofold at every step of at least three."""
    scales = [scale for _, scale, _ in stretch]
    ratios = [b / a if growing else a / b for a, b in pairwise(scales)]
    return len(ratios) >= _LAYERS and all(ratio >= _RATIO for ratio in ratios)


def scale_grows(evidence: Evidence) -> Iterator[Firing]:
    """The scale of activations grows from layer to layer.

    Severity: warning from a thousandfold variance on, info for a sustained growth below that.

    ## What it measures
    The mean channel variance of each layer's output, along the layers without a normalization, at the last checkpoint:
    a factor of 1000 between two of them, or of 30 over at least three steps that each double it. The second moment of
    what the first layer reads counts as a start.

    ## Why it matters
    Exponential growth over depth is the first way in which an initialization fails. Deep layers then get steps that are
    far too large for a learning rate that suits the others, and half precision overflows.

    ## When it misleads
    Layers of different purpose may work at different scales without harm. Inside residual branches the trunk, not the
    branch, carries the scale: see COV220.

    ## Example
    `variance grows 3,400-fold over 5 layers, from fc1 to fc5`

    ## What to do
    Look at the initialization first: He's for rectifiers keeps the variance. Then consider a normalization inside the
    stretch, or a lower learning rate.

    ## Sources
    Hanin and Rolnick, *How to Start Training*, 2018. He et al., *Delving Deep into Rectifiers*, 2015.
    """
    yield from _fire(evidence, growing=True)


def scale_vanishes(evidence: Evidence) -> Iterator[Firing]:
    """The scale of activations vanishes from layer to layer.

    Severity: warning from a thousandth of the variance on, info for a sustained decay above that.

    ## What it measures
    As COV211, the other way: a factor of 1/1000 between two layers, or of 1/30 over at least three steps that each
    halve it, at the last checkpoint.

    ## Why it matters
    What varies between the samples gets lost beneath biases and rounding; deep layers learn slowly. Of the places in
    the benchmark of small networks, attenuated ones gained most from a BatchNorm.

    ## When it misleads
    PyTorch's default initialization of linear layers shrinks the variance to about a sixth per rectified layer, which a
    network of a few layers overcomes in its first steps.

    ## Example
    `variance falls 12,000-fold over 6 layers, from fc1 to fc6`

    ## What to do
    Initialize with He's or Glorot's rule, or put a normalization where the scale is lost.

    ## Sources
    Hanin and Rolnick 2018. Glorot and Bengio, *Understanding the Difficulty of Training*, 2010.
    """
    yield from _fire(evidence, growing=False)


def _fire(evidence: Evidence, *, growing: bool) -> Iterator[Firing]:
    found = trend(evidence, last(evidence), growing=growing)
    if found is None:
        return
    yield Firing(
        severity="warning" if found.strong else "info",
        site=found.end.site.site,
        position=found.end.site.position,
        checkpoint=last(evidence).id,
        message=f"variance {'grows' if growing else 'falls'} {number(found.factor)}-fold over {found.layers} layers, "
        f"from {found.start} to {found.end.name}",
        evidence={"factor": found.factor, "layers": found.layers, "scales": found.scales},
    )
