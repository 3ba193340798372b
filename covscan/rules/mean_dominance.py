"""Means that outweigh what varies between the samples."""

from collections.abc import Iterator

from covscan.report.types import Checkpoint
from covscan.rules.depth_null import expected
from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.lookup import Layer, graph_of, hidden_layers, last, statistics
from covscan.rules.words import number, plural

BEYOND = 2.0
LEAST_RATIO = 1.0
ALIKE, COLLAPSED = 0.9, 0.99
_FEWEST = 8


def beyond_null(evidence: Evidence, checkpoint: Checkpoint) -> list[tuple[Layer, float, float]]:
    """Hidden layers without a normalization whose q is over 1 and twice what depth explains: (layer, q, expected)."""
    graph = graph_of(evidence)
    found = []
    for layer in hidden_layers(evidence, graph):
        stats = statistics(layer.site, checkpoint)
        if stats is None or stats.mean_to_variance is None or stats.samples < _FEWEST:
            continue
        null = expected(evidence, graph, layer, checkpoint)
        if null is not None and stats.mean_to_variance > max(LEAST_RATIO, BEYOND * null):
            found.append((layer, stats.mean_to_variance, null))
    return found


def alike(evidence: Evidence, checkpoint: Checkpoint) -> list[tuple[Layer, float]]:
    """Hidden layers without a normalization whose outputs for different samples have a cosine over 0.9."""
    found = []
    for layer in hidden_layers(evidence, graph_of(evidence)):
        stats = statistics(layer.site, checkpoint)
        if stats is not None and stats.samples >= _FEWEST and (stats.cross_sample_cosine or 0.0) > ALIKE:
            found.append((layer, stats.cross_sample_cosine or 0.0))
    return found


def mean_dominates(evidence: Evidence) -> Iterator[Firing]:
    """A layer's means outweigh its variance by more than its depth explains.

    Severity: warning beyond ten times what depth explains, else info.

    ## What it measures
    q = mean over channels of the squared channel mean, over the mean channel variance, at the output of hidden
    layers without a normalization. A plain rectifier network with random weights has q = 0.47, 0.98, 1.5, 2.1
    behind 1, 2, 3, 4 rectifiers for uncorrelated inputs; the comparison starts at the cosine measured at the
    network's own input. It fires where q is over 1 and over twice that.

    ## Why it matters
    A mean that all samples share carries nothing, yet makes the largest eigenvalue of the next layer's input, and with
    it limits the learning rate.

    ## When it misleads
    Sigmoids give only positive values, so that behind them means are large by construction. Biases of a trained network
    place a rectifier's threshold and need not harm.

    ## Example
    `means outweigh variance at fc6: q = 31, 5.2 expected at its depth`

    ## What to do
    Centre the inputs; use a centred activation; or normalize there with a kind that subtracts the mean (not RMSNorm).

    ## Sources
    Brock, De, Smith, *Characterizing Signal Propagation*, 2021. Cho and Saul 2009 (the arc-cosine kernel).
    """
    checkpoint = last(evidence)
    found = beyond_null(evidence, checkpoint)
    if not found:
        return
    layer, q, null = max(found, key=lambda item: item[1])
    more = f", and at {plural(len(found) - 1, 'layer')} more" if len(found) > 1 else ""
    yield Firing(
        severity="warning" if q > 5 * BEYOND * null and q > 5 * BEYOND else "info",
        site=layer.site.site,
        position=layer.site.position,
        checkpoint=checkpoint.id,
        message=f"means outweigh variance at {layer.name}: q = {number(q)}, {number(null)} expected at its depth{more}",
        evidence={"q": q, "expected": null, "layers": {other.name: ratio for other, ratio, _ in found}},
    )


def samples_alike(evidence: Evidence) -> Iterator[Firing]:
    """A layer gives nearly the same for every sample.

    Severity: warning over a cosine of 0.99, info over 0.9.

    ## What it measures
    The mean cosine between what a hidden layer without a normalization gives for different samples, at the last
    checkpoint.

    ## Why it matters
    Directions collapse: gradients of all samples point the same way, and training is slow. The higher the cosine, the
    slower it was in a comparison of normalizations.

    ## When it misleads
    A large common mean alone does it, which a bias behind can undo. With data that are much alike (one class, silence)
    the network is right.

    ## Example
    `samples look alike at fc7: mean cosine 0.996`

    ## What to do
    Normalize over the batch, which keeps the rank up; or check that the inputs are centred and the scale is kept.

    ## Sources
    Lubana, Dick, Tanaka, *Beyond BatchNorm*, 2021. Daneshmand et al. 2020.
    """
    checkpoint = last(evidence)
    found = alike(evidence, checkpoint)
    if not found:
        return
    layer, cosine = max(found, key=lambda item: item[1])
    more = f", and at {plural(len(found) - 1, 'layer')} more over {ALIKE}" if len(found) > 1 else ""
    yield Firing(
        severity="warning" if cosine > COLLAPSED else "info",
        site=layer.site.site,
        position=layer.site.position,
        checkpoint=checkpoint.id,
        message=f"samples look alike at {layer.name}: mean cosine {number(cosine)}{more}",
        evidence={"cosine": cosine, "layers": {other.name: each for other, each in found}},
    )
