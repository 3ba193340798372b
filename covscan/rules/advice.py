"""The suggestions as findings, so that a gate and a page can refer to them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from covscan.render.content.gains import change
from covscan.rules.attention import qk_suggestions
from covscan.rules.blind_spots import may_be_folded
from covscan.rules.branches import branch_output
from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.gates import signs
from covscan.rules.lookup import graph_of, hidden_layers
from covscan.rules.suggestions import suggest
from covscan.rules.verdicts import as_gain
from covscan.rules.words import number, plural

if TYPE_CHECKING:
    from covscan.prove.types import Trials


def candidate(evidence: Evidence) -> Iterator[Firing]:
    """A normalization is worth trying at this place.

    Severity: info.

    ## What it measures
    First, whether anything is wrong in absolute terms: a scale that grows or vanishes over depth, samples that look
    alike, saturated or dead units, unequal channels, a residual stream that grows super-linearly; one strong sign
    or two weak ones of different kinds. Only then the places are ranked within the network: half of the weight is on
    depth, half on the mean rank of five signals: scale and shift of the tensor itself, and of what the next layer
    reads the squared mean over variance, the cosine between samples and the conditioning. Where a loss is given, all
    this is only the order in which places are tried: one step, or a short training, with the normalization and
    without it decides.

    ## Why it matters
    Where something is wrong, a normalization can make training faster and stabler, at a learning rate tuned again.

    ## When it misleads
    Without a loss the ranking rests on forward passes alone, which agree with measured gains only moderately (see
    `benchmarks/normgain`), and mostly because deep places tend to gain more. Bad initialization, a learning rate
    that is too high and uncentred data look the same and have cheaper remedies.

    ## Example
    `BatchNorm1d behind fc3: samples look alike at fc3 (mean cosine 0.997)`

    ## What to do
    Try it: train a little with and without, at several learning rates each. The order of cheaper remedies:
    initialization, warm-up, scaled branches, then a normalization.

    ## Sources
    Bjorck et al. 2018. Santurkar et al. 2018. Huang et al. 2020 (one BatchNorm before the last layer).
    """
    apart = {suggestion.site for suggestion in qk_suggestions(evidence)}
    branch = branch_output(evidence) if evidence.tried is None else None
    found = signs(evidence)
    for suggestion in suggest(evidence):
        if suggestion.site in apart or (branch is not None and suggestion.site == branch.name):
            continue
        where = "behind" if suggestion.position == "after" else "in front of"
        shown = suggestion.gain
        if shown is not None:
            why = f"{change(shown)} of the area under the training loss in a short trial"
        elif suggestion.tier == "probe":
            why = "one step with it lowers the loss further"
        else:
            why = found[0].text
        yield Firing(
            severity="info",
            site=suggestion.site,
            message=f"{suggestion.norm} {where} {suggestion.site} is worth trying: {why}",
            evidence={
                "rank": suggestion.rank,
                "score": suggestion.score,
                "norm": suggestion.norm,
                "tier": suggestion.tier,
                "verdict": suggestion.verdict,
                "gain": None if shown is None else shown.value,
            },
        )


def qk_norm(evidence: Evidence) -> Iterator[Firing]:
    """Queries and keys want a normalization before their product.

    Severity: warning.

    ## What it measures
    Attention calls whose largest logit is over 10,000, or over 1000 and at least doubled over the series.

    ## Why it matters
    See COV219: growing norms of queries and keys are what makes the logits grow; normalized, they cannot.

    ## When it misleads
    With a single checkpoint a rise can't be seen, and only the upper limit counts.

    ## Example
    `normalize queries and keys of blocks.0.attention: largest logit 13,000`

    ## What to do
    RMSNorm or LayerNorm per head on queries and keys. In a trained model set the gains so that the logits keep their
    scale: gamma_q gamma_k = E|q| E|k| / d.

    ## Sources
    Henry et al., *Query-Key Normalization for Transformers*, 2020. Wortsman et al. 2023. Rybakov et al. 2024.
    """
    for suggestion in qk_suggestions(evidence):
        largest = suggestion.evidence["largest_logit"]
        yield Firing(
            severity="warning",
            site=suggestion.site,
            position="logits",
            message=f"normalize queries and keys of {suggestion.site}: largest logit {number(largest)}",
            evidence={"largest_logit": largest, "rising": suggestion.evidence["rising"]},
        )


def branch_output_norm(evidence: Evidence) -> Iterator[Firing]:
    """The branches of a pre-norm network want a normalization on what they give.

    Severity: info.

    ## What it measures
    A residual stream whose variance grows a hundredfold and super-linearly (COV220) though LayerNorm or RMSNorm stands
    in front of its branches.

    ## Why it matters
    An output norm bounds what each branch adds, so that the stream grows linearly. In comparisons such networks
    diverged less often at the same learning rate.

    ## When it misleads
    Massive activations in a few channels can make most of the growth; an output norm is not for them.

    ## Example
    `LayerNorm behind blocks.11.mlp.fc2, and in every block: the stream grows 240-fold`

    ## What to do
    First 1/sqrt(depth) scaling of the branches or a zero start; they cost nothing. Then an output norm in every block.

    ## Sources
    Kim et al., *Peri-LN*, 2025. De and Smith 2020.
    """
    found = branch_output(evidence)
    if found is not None:
        yield Firing(
            severity="info",
            site=found.name,
            position="output",
            message=f"{found.norm} behind {found.name}, and in every block: the residual stream grows "
            f"{number(found.growth.factor)}-fold",
            evidence={"factor": found.growth.factor, "norm": found.norm},
        )


def _any_finite(evidence: Evidence) -> bool:
    return any(found.count for site in evidence.sites for found in site.statistics.values())


def _nothing_gained(trials: "Trials", every: int, bare: int) -> Firing:
    best = trials.places[0]
    shown = as_gain(best.gain or best.probe)
    how = "short trainings" if trials.tier == "trial" else "one-step probes"
    most = f"; the most is {change(shown)} at {best.insertion.site}" if shown is not None else ""
    return Firing(
        severity="info",
        message=f"no normalization is suggested: in {how} none of {plural(len(trials.places), 'place')} gained more "
        f"than 2 % for sure{most}",
        evidence={"hidden_layers": every, "without_normalization": bare, "tier": trials.tier},
    )


def nothing_to_gain(evidence: Evidence) -> Iterator[Firing]:
    """Forward evidence gives no reason to add a normalization.

    Severity: info.

    ## What it measures
    That no suggestion was made: every hidden layer already has a normalization beside it, or nothing is wrong enough in
    absolute terms. Where no hidden layer gave a finite value nothing is known, and this is not said.

    ## Why it matters
    "Nothing" is an answer. A normalization costs time at inference, couples samples or tokens, and can harm.

    ## When it misleads
    From a single ONNX file with convolutions nothing is suggested, since BatchNorm may have been folded into them:
    there this finding means that nobody can tell. Forward evidence does not see the loss. A network may train
    faster with a normalization though nothing looks wrong, mostly since it then bears a higher learning rate.

    ## Example
    `nothing to gain: all 16 hidden layers have a normalization beside them`

    ## What to do
    Nothing. If training is slow, look at the learning rate and at gradients.

    ## Sources
    Zhang, Dauphin, Ma, *Fixup Initialization*, 2019; Brock et al. 2021: normalizations are not logically necessary.
    """
    if suggest(evidence):
        return
    graph = graph_of(evidence)
    every = hidden_layers(evidence, graph, normalized=True)
    bare = hidden_layers(evidence, graph)
    if evidence.tried is not None:
        yield _nothing_gained(evidence.tried, len(every), len(bare))
        return
    if evidence.coverage.non_finite and not _any_finite(evidence):
        return
    if every and not bare:
        why = f"each of {plural(len(every), 'hidden layer')} has a normalization beside it"
    elif may_be_folded(evidence):
        why = "BatchNorm may have been folded into the convolutions at export, and one file alone cannot tell"
    elif not every:
        why = "no hidden layer was measured"
    else:
        weak = signs(evidence)
        why = (
            f"of {plural(len(bare), 'hidden layer')} without a normalization none looks wrong enough"
            if not weak
            else f"one weak sign alone is not enough ({weak[0].text})"
        )
    yield Firing(
        severity="info",
        message=f"no normalization is suggested: {why}",
        evidence={"hidden_layers": len(every), "without_normalization": len(bare)},
    )
