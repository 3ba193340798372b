"""Gains, eps and degenerate statistics of existing normalizations."""

from collections.abc import Iterator

from covscan.report.types import Severity
from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.lookup import last, norms_at, untrained
from covscan.rules.norm_firing import Misuse, worst_first
from covscan.rules.words import share

_COLLAPSED_SHARE = 0.05
_DEAD_SHARE = 0.1
_EPS_WARNING, _EPS_ERROR = 0.1, 0.5
_TINY_SHARE = 0.1
_DOMINATED = 0.5


def collapsed_gain(evidence: Evidence) -> Iterator[Firing]:
    """A normalization's gain has collapsed for some of its channels.

    Severity: warning; info in the state before training and where every gain is zero, which is a way to
    start.

    ## What it measures
    The share of channels whose |gamma| is under a thousandth of the median, and in front of a rectifier the share with
    beta + 3 |gamma| < 0, which the rectifier never lets through.

    ## Why it matters
    Such a channel carries nothing; all weights that make it and read it are paid for in vain.

    ## When it misleads
    Zero gains in the last normalization of a residual branch are an initialization by design. Training with an L1
    penalty on gains collapses them on purpose, to prune.

    ## Example
    `bn3: 12 % of the gains have collapsed`

    ## What to do
    Exempt gains and shifts from weight decay. For a finished network the channels can be pruned.

    ## Sources
    Liu et al., *Network Slimming*, 2017. Goyal et al. 2017 (zero gain).
    """
    found = []
    before = untrained(evidence, last(evidence))
    for name, norm in norms_at(evidence, last(evidence)):
        collapsed, dead = norm.gamma_collapsed_share or 0.0, norm.dead_after_relu_share or 0.0
        if norm.gamma_all_zero:
            text = f"{name}: every gain is zero, so that it gives its shift and nothing else"
            found.append(Misuse(name, norm, 1.0, "info", text))
        elif dead >= _DEAD_SHARE:
            text = f"{name}: {share(dead)} of the channels can't get past the rectifier behind it"
            found.append(Misuse(name, norm, dead, "info" if before else "warning", text))
        elif collapsed >= _COLLAPSED_SHARE:
            text = f"{name}: {share(collapsed)} of the gains have collapsed"
            found.append(Misuse(name, norm, collapsed, "info" if before else "warning", text))
    yield from worst_first(evidence, found)


def eps_dominates(evidence: Evidence) -> Iterator[Firing]:
    """The constant eps outweighs the variance that a normalization divides by.

    Severity: error over half of the sum in the median, warning over a tenth.

    ## What it measures
    eps / (variance + eps), per channel for BatchNorm, per sample for the others; the median. Channels without variance
    don't count.

    ## Why it matters
    The output then has less than unit variance, and how much less depends on the scale that the normalization was meant
    to remove.

    ## When it misleads
    A normalization may meet silence or background, where small is right.

    ## Example
    `bn1: eps makes up 64 % of what it divides by in the median channel`

    ## What to do
    Scale up what goes in (initialization, input standardization), or choose a smaller eps; in half precision mind that
    eps itself may round to 0.

    ## Sources
    Ioffe and Szegedy 2015, algorithm 1.
    """
    found = []
    for name, norm in norms_at(evidence, last(evidence)):
        portion = norm.eps_share
        if portion is not None and portion > _EPS_WARNING:
            severity: Severity = "error" if portion > _EPS_ERROR else "warning"
            unit = "channel" if norm.kind == "batch" else "sample"
            text = f"{name}: eps ({norm.eps:g}) makes up {share(portion)} of what it divides by in the median {unit}"
            found.append(Misuse(name, norm, portion, severity, text))
    yield from worst_first(evidence, found)


def degenerate_statistics(evidence: Evidence) -> Iterator[Firing]:
    """A normalization per sample has next to nothing to normalize over.

    Severity: error.

    ## What it measures
    For InstanceNorm and GroupNorm how many values go into one statistic of one sample (1 or fewer is degenerate), and
    the share of samples whose variance is under ten times eps (over a tenth is).

    ## Why it matters
    The mean of one value is that value: the output is the constant shift, and everything in front learns nothing.

    ## When it misleads
    Images of one colour, or silence, have no variance in themselves.

    ## Example
    `norm4: one value per statistic (1x1 positions, one channel in a group): the output is constant`

    ## What to do
    Use fewer groups, or LayerNorm, or normalize before the pooling.

    ## Sources
    Wu and He, *Group Normalization*, 2018 (the index sets).
    """
    found = []
    for name, norm in norms_at(evidence, last(evidence)):
        if norm.kind not in {"group", "instance"}:
            continue
        tiny = norm.tiny_variance_share or 0.0
        if norm.elements is not None and norm.elements <= 1:
            text = f"{name}: one value per statistic, so that the output is constant"
            found.append(Misuse(name, norm, 1.0, "error", text))
        elif tiny > _TINY_SHARE:
            text = f"{name}: {share(tiny)} of the statistics have a variance under ten times eps"
            found.append(Misuse(name, norm, tiny, "error", text))
    yield from worst_first(evidence, found)


def outlier_dominated(evidence: Evidence) -> Iterator[Firing]:
    """One channel makes most of what LayerNorm or RMSNorm divides by.

    Severity: info.

    ## What it measures
    max a^2 / sum a^2 over the channels of a row, its median over rows; over one half it fires. Below 16 channels it is
    not measured, of tensors wider than 512 on a part of the channels.

    ## Why it matters
    All other channels are scaled by the size of that one, and their own scale is lost.

    ## When it misleads
    Trained transformers use such channels as biases; they are massive activations and no fault.

    ## Example
    `blocks.5.norm1: one channel makes 81 % of the sum of squares in the median row`

    ## What to do
    Nothing, as a rule. Mind it when quantizing.

    ## Sources
    Sun et al., *Massive Activations*, 2024. Dettmers et al., *LLM.int8()*, 2022.
    """
    found = []
    for name, norm in norms_at(evidence, last(evidence)):
        portion = norm.outlier_dominance
        if portion is not None and portion > _DOMINATED:
            text = f"{name}: one channel makes {share(portion)} of the sum of squares in the median row"
            found.append(Misuse(name, norm, portion, "info", text))
    yield from worst_first(evidence, found)
