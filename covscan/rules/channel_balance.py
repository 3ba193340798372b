"""How unequal the channels of a tensor are: conditioning, heterogeneity, single huge values."""

from collections.abc import Iterator

from covscan.report.types import Checkpoint, Site
from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.lookup import (
    Layer,
    by_key,
    graph_of,
    hidden_layers,
    is_embedding,
    last,
    measured,
    site_of,
    statistics,
)
from covscan.rules.words import number, plural, share

ILL, WORST = 0.95, 0.99
UNEQUAL, VERY_UNEQUAL = 2.0, 3.0
_KEPT_CHANNELS = 512
_FEWEST_CHANNELS, _FEWEST_SAMPLES = 16, 8
_MASSIVE_RATIO, _MASSIVE_VALUE = 1e3, 100.0


def ill_conditioned(evidence: Evidence, checkpoint: Checkpoint) -> list[tuple[str, Site, float, float]]:
    """Layers whose input has over 95 % of its second moment in one direction: (layer, input, share, conditioning).

    Inputs that a normalization gives are left out, and what fewer samples than channels give by chance.
    """
    graph = graph_of(evidence)
    sites = by_key(evidence)
    found, gates = [], graph.gates()
    for place, call in enumerate(graph.calls):
        if call.role != "layer" or is_embedding(call.type) or not graph.inputs[place] or place in gates:
            continue
        site = site_of(graph.inputs[place][0], sites)
        stats = statistics(site, checkpoint) if site is not None else None
        if site is None or stats is None or stats.conditioning is None or graph.norm_ahead(place) is not None:
            continue
        channels = min(site.channels, _KEPT_CHANNELS)
        by_chance = (1 + (channels / max(stats.samples, 1)) ** 0.5) ** 2
        top = stats.conditioning / channels
        enough = channels >= _FEWEST_CHANNELS and stats.samples >= _FEWEST_SAMPLES
        if enough and top > ILL and stats.conditioning > 2 * by_chance:
            found.append((call.name, site, top, stats.conditioning))
    return found


def unequal_channels(evidence: Evidence, checkpoint: Checkpoint) -> list[tuple[Layer, float]]:
    """Hidden layers without a normalization where the standard deviation of ln variance over channels is over 2."""
    return [
        (layer, found.channel_heterogeneity)
        for layer in hidden_layers(evidence, graph_of(evidence))
        if (found := statistics(layer.site, checkpoint)) is not None
        and found.channel_heterogeneity is not None
        and found.channel_heterogeneity > UNEQUAL
    ]


def ill_conditioned_input(evidence: Evidence) -> Iterator[Firing]:
    """One direction dominates what a layer reads.

    Severity: warning over 99 % of the second moment, info over 95 %.

    ## What it measures
    The largest eigenvalue of the uncentred second moment of a layer's input, over the mean eigenvalue, from the kept
    rows; as a share of what it can be at most, which is the number of channels. Values that few samples give by chance,
    (1 + sqrt(C/n))^2, don't count. Of all forward signals this ranked places for a BatchNorm best.

    ## Why it matters
    The curvature of the loss in a layer's weights is that second moment times another factor. The largest eigenvalue
    limits the learning rate, and all other directions then learn slowly.

    ## When it misleads
    Any common mean makes a large first eigenvalue, and behind a rectifier there always is one. Adam and other
    preconditioners undo part of it.

    ## Example
    `one direction holds 98 % of the second moment of what fc5 reads`

    ## What to do
    Centre what goes in: standardize the data, or normalize in front of the layer.

    ## Sources
    LeCun et al., *Efficient BackProp*, 1998. Huang et al., *Layer-wise Conditioning Analysis*, 2020.
    """
    found = ill_conditioned(evidence, last(evidence))
    if not found:
        return
    layer, site, top, conditioning = max(found, key=lambda item: item[2])
    more = f", and {plural(len(found) - 1, 'layer')} more" if len(found) > 1 else ""
    yield Firing(
        severity="warning" if top > WORST else "info",
        site=site.site,
        position=site.position,
        checkpoint=last(evidence).id,
        message=f"one direction holds {share(top)} of the second moment of what {layer} reads{more}",
        evidence={"conditioning": conditioning, "share": top, "layers": {name: each for name, _, each, _ in found}},
    )


def channel_heterogeneity(evidence: Evidence) -> Iterator[Firing]:
    """The channels of a layer work at very different scales.

    Severity: warning over a standard deviation of 3 of ln variance, info over 2.

    ## What it measures
    The standard deviation over channels of ln variance at the output of hidden layers without a normalization: at 2, a
    typical channel is e^2 = 7 times above or below the middle.

    ## Why it matters
    No one learning rate suits all channels. Only a normalization per channel (BatchNorm, InstanceNorm) repairs it;
    LayerNorm and RMSNorm divide all channels of a sample by the same number.

    ## When it misleads
    Channels that are nearly dead have a very small variance and pull the figure up.

    ## Example
    `channel variances at conv2 spread by 2.6 (standard deviation of ln)`

    ## What to do
    Check the initialization; consider BatchNorm there, or weights with a gain per channel.

    ## Sources
    Ioffe and Szegedy 2015.
    """
    found = unequal_channels(evidence, last(evidence))
    if not found:
        return
    layer, spread = max(found, key=lambda item: item[1])
    more = f"; {plural(len(found) - 1, 'layer')} more over {number(UNEQUAL)}" if len(found) > 1 else ""
    yield Firing(
        severity="warning" if spread > VERY_UNEQUAL else "info",
        site=layer.site.site,
        position=layer.site.position,
        checkpoint=last(evidence).id,
        message=f"channel variances at {layer.name} spread by {number(spread)} (standard deviation of ln){more}",
        evidence={"heterogeneity": spread, "layers": {other.name: each for other, each in found}},
    )


def massive_activations(evidence: Evidence) -> Iterator[Firing]:
    """Single values are huge compared with all others.

    Severity: info.

    ## What it measures
    Sites whose largest value is over 100 and over 1000 times the median size.

    ## Why it matters
    They dominate means, variances and whatever else rests on moments, so that shifts of everything else hide behind
    them. In half precision they are near the largest number there is.

    ## When it misleads
    In large transformers they are mostly constant, in fixed channels and at the first or at delimiter tokens, and act
    as biases of attention. They are no reason to add a normalization.

    ## Example
    `largest value 2,100 times the median at blocks.2 (output)`

    ## What to do
    Nothing, as a rule. Read percentiles and KS there rather than means and variances. Quantize with care.

    ## Sources
    Sun et al., *Massive Activations in Large Language Models*, 2024.
    """
    checkpoint = last(evidence)
    found = [
        (site, stats.massive_activation)
        for site in measured(evidence)
        if (stats := statistics(site, checkpoint)) is not None
        and stats.massive_activation is not None
        and stats.massive_activation >= _MASSIVE_RATIO
        and max(abs(stats.min or 0.0), abs(stats.max or 0.0)) >= _MASSIVE_VALUE
        and site.position != "logits"
    ]
    if found:
        site, ratio = max(found, key=lambda item: item[1])
        more = f", and at {plural(len(found) - 1, 'site')} more" if len(found) > 1 else ""
        yield Firing(
            severity="info",
            site=site.site,
            position=site.position,
            checkpoint=checkpoint.id,
            message=f"largest value {number(ratio)} times the median at {site.site} ({site.position}){more}: "
            "no reason to add a normalization",
            evidence={"ratio": ratio, "sites": {f"{other.site} ({other.position})": each for other, each in found}},
        )
