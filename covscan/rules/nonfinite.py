"""NaN and infinity: in activations, in weights, in the data."""

from collections.abc import Iterator

from covscan.report.types import Site
from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.lookup import graph_of, is_embedding, last, measured, statistics, untrained
from covscan.rules.words import listed, number, plural, share


def nonfinite_activations(evidence: Evidence) -> Iterator[Firing]:
    """A layer gives NaN or infinity, named where it first appears.

    Severity: error.

    ## What it measures
    The share of values that are NaN or infinite, at each site and checkpoint. Named is the first site in order of
    execution at the first checkpoint that has any; what lies behind it inherits them.

    ## Why it matters
    Training cannot go on from such a state, and every statistic of the sites behind it rests on the finite rest.

    ## When it misleads
    A network may use infinity on purpose, to mask something out. Half precision overflows above 65504; the run that
    trained it may have used another precision than the one measured here.

    ## Example
    `blocks.3.fc2 output: 0.4 % of values are not finite at step-9000`

    ## What to do
    Look at the site just before: its scale over the checkpoints shows whether it grew or broke at once. Check the
    weights (COV104) and the data (COV112) first. Lower the learning rate, clip gradients, or keep the layer in float32.

    ## Sources
    Wortsman et al., *Small-scale proxies for large-scale Transformer training instabilities*, 2023.
    """
    for checkpoint in evidence.checkpoints:
        broken = [
            (site, found)
            for site in measured(evidence)
            if site.position != "logits"
            and (found := statistics(site, checkpoint)) is not None
            and found.nonfinite_share > 0
        ]
        if broken:
            site, found = broken[0]
            yield Firing(
                severity="error",
                site=site.site,
                position=site.position,
                checkpoint=checkpoint.id,
                message=f"{share(found.nonfinite_share)} of the values at {site.site} ({site.position}) are not finite "
                f"at {checkpoint.id}, the first of {plural(len(broken), 'site')} in order of execution",
                evidence={
                    "nonfinite_share": found.nonfinite_share,
                    "largest_finite": found.max,
                    "sites": [other.site for other, _ in broken],
                },
            )
            return


def nonfinite_weights(evidence: Evidence) -> Iterator[Firing]:
    """A checkpoint holds weights that are NaN or infinite.

    Severity: error.

    ## What it measures
    Every parameter and buffer of every checkpoint, value by value.

    ## Why it matters
    The network is broken from the layer that owns them on, whatever the data.

    ## When it misleads
    A buffer may hold infinity on purpose, such as a causal mask that is stored with the weights.

    ## Example
    `ckpt-00300 holds non-finite values in 3 weights, the first is encoder.2.weight`

    ## What to do
    Go back to the checkpoint before. The first bad checkpoint of the series brackets the step at which training broke.

    ## Sources
    IEEE 754: once a NaN is in a weight, every update keeps it there.
    """
    for checkpoint in evidence.checkpoints:
        names = list(evidence.weights_nonfinite.get(checkpoint.id, ()))
        holder = checkpoint.path if evidence.kind == "data" else checkpoint.id
        if names:
            yield Firing(
                severity="error",
                checkpoint=checkpoint.id,
                message=f"{holder} holds non-finite values in {plural(len(names), 'weight')}: {listed(names)}",
                evidence={"weights": names},
            )


def nonfinite_data(evidence: Evidence) -> Iterator[Firing]:
    """The sample data hold NaN or infinity.

    Severity: warning.

    ## What it measures
    How many values of the samples that were read are not finite.

    ## Why it matters
    What a layer makes of a NaN is NaN, so that a fault of the data looks like one of the network.

    ## When it misleads
    A network that takes NaN as "missing" and replaces it itself is not harmed.

    ## Example
    `12 values of the sample data are not finite`

    ## What to do
    Prepare the sample data as training does: impute or drop what is missing.

    ## Sources
    IEEE 754: any arithmetic with a NaN gives a NaN.
    """
    for name, count in evidence.data_nonfinite.items():
        yield Firing(
            severity="warning",
            message=f"{plural(count, 'value')} of {name} {'is' if count == 1 else 'are'} not finite",
            evidence={"values": count},
        )


def constant_site(evidence: Evidence) -> Iterator[Firing]:
    """A tensor does not depend on the sample at all.

    Severity: warning; info in a state before training, behind a normalization, where a zero gain is often meant, and at
    an embedding or an input of the network, where the data are all the same.

    ## What it measures
    Whether every channel of a site has no variance over samples and positions at the last checkpoint.

    ## Why it matters
    Nothing that distinguishes the samples gets past such a place on this way, and no gradient of use comes back.

    ## When it misleads
    Residual branches that start at zero (a zero gain in the last normalization, SkipInit, LayerScale) are constant at
    the start by design. A site that sees only positions, or the same constant input for every sample, is constant too,
    such as an embedding of token types where all are 0.
    With very few samples a layer can be constant by chance.

    ## Example
    `relu4 (output) is 0 for every sample: all its units are dead`

    ## What to do
    Look at what feeds it: dead units (COV216), a scale that vanished (COV212), or data that are all the same.

    ## Sources
    Lu et al., *Dying ReLU and Initialization*, 2020. Goyal et al., *Accurate, Large Minibatch SGD*, 2017 (zero gain).
    """
    checkpoint = last(evidence)
    sites = [site for site in measured(evidence) if site.position != "logits" and _is_constant(site, evidence)]
    if not sites:
        return
    unexpected = [] if untrained(evidence, checkpoint) else [site for site in sites if not _by_design(site, evidence)]
    site = (unexpected or sites)[0]
    found = statistics(site, checkpoint)
    middle = found.mean if found is not None and found.mean is not None else 0.0
    yield Firing(
        severity="warning" if unexpected else "info",
        site=site.site,
        position=site.position,
        checkpoint=checkpoint.id,
        message=f"{site.site} ({site.position}) is the same for every sample at {checkpoint.id}"
        + (f", its mean {number(middle)}" if len(sites) == 1 else f"; so are {plural(len(sites) - 1, 'site')} more"),
        evidence={"mean": middle, "sites": [other.site for other in sites]},
    )


def _by_design(site: Site, evidence: Evidence) -> bool:
    first = graph_of(evidence).inputs[:1]
    entering = any((key.site, key.position) == (site.site, site.position) for keys in first for key in keys)
    return site.role == "norm" or is_embedding(site.type) or entering


def _is_constant(site: Site, evidence: Evidence) -> bool:
    found = statistics(site, last(evidence))
    if found is None or found.count < 2 or found.samples < 2 or found.channel_scale is None:
        return False
    return found.channel_scale <= 1e-12 * (found.channel_mean_square or 0.0)
