"""BatchNorm and the batches it was trained with: size, freezing, padding, momentum."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from covscan.report.types import Severity
from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.lookup import by_key, is_sequence, last, norms_at
from covscan.rules.norm_firing import Misuse, worst_first
from covscan.rules.words import number, share

if TYPE_CHECKING:
    from covscan.measures.norms import NormEvidence

_NOISY, _TOO_NOISY = 0.2, 0.35
_GAUSSIAN = 1.5
_OTHER_CONVENTION = 0.5
_FEW_VALUES = 50


def small_batch(evidence: Evidence) -> Iterator[Firing]:
    """BatchNorm was trained with so few values per statistic that its statistics are mostly noise.

    Severity: error with a single value, warning where noise perturbs the output by over 35 %, info over 20 %.

    ## What it measures
    With `--train-batch-size` B: sqrt(1.5 / n), the relative perturbation of a Gaussian's normalized values by the
    noise of their own batch's mean and variance, where n is B times the independent values that one sample gives
    (measured: the positions of one image are alike).

    ## Why it matters
    ResNet-50 on ImageNet lost 11 points of accuracy with BatchNorm at a batch of 2, none with GroupNorm.

    ## When it misleads
    SyncBatchNorm gathers the batch over devices: then say the whole batch. Noise also regularizes.

    ## Example
    `bn1: a batch of 4 leaves 61 % noise`

    ## What to do
    GroupNorm for convolutions, LayerNorm for linear layers, or SyncBatchNorm. Accumulating gradients does not help.

    ## Sources
    Wu and He 2018, table 2 and figure 1.
    """
    batch = evidence.train_batch_size
    found = []
    for name, norm in norms_at(evidence, last(evidence)) if batch is not None else ():
        if norm.kind != "batch" or norm.frozen:
            continue
        values = (batch or 0) * (norm.elements or 1)
        noise = (_GAUSSIAN / max((batch or 0) * (norm.effective_per_sample or 1.0), 1.0)) ** 0.5
        if values <= 1:
            text = f"{name}: a batch of {batch} gives one value per channel, on which training mode fails"
            found.append(Misuse(name, norm, 1.0, "error", text))
        elif noise > _NOISY:
            severity: Severity = "warning" if noise > _TOO_NOISY else "info"
            text = f"{name}: a batch of {batch} perturbs what it gives by {share(noise)}"
            found.append(Misuse(name, norm, noise, severity, text))
    yield from worst_first(evidence, found)


def frozen_batchnorm(evidence: Evidence) -> Iterator[Firing]:
    """A BatchNorm is frozen, or works on batch statistics even in evaluation.

    Severity: info.

    ## What it measures
    Gains that need no gradient, a momentum of 0, or missing running statistics.

    ## Why it matters
    A frozen BatchNorm is a fixed linear map: it normalizes nothing while the layers around it go on learning. One
    without running statistics gives each sample an output that depends on the others in its batch.

    ## When it misleads
    Freezing is common and sensible when fine-tuning with small batches. Frozen parameters with statistics that still
    move are something between.

    ## Example
    `layer1.0.bn1 is frozen: it normalizes nothing`

    ## What to do
    For fine-tuning with small batches consider GroupNorm. Without running statistics: fix the evaluation batch, or
    track them.

    ## Sources
    Wu and Johnson 2021. Wu and He 2018 (frozen BatchNorm in detection).
    """
    found = []
    for name, norm in norms_at(evidence, last(evidence)):
        if norm.kind != "batch":
            continue
        if norm.uses_batch_statistics:
            text = f"{name} has no running statistics: in evaluation a sample's output depends on its batch"
            found.append(Misuse(name, norm, 2.0, "info", text))
        elif norm.frozen or norm.momentum == 0:
            text = f"{name} is frozen: it is a fixed linear map and normalizes nothing"
            found.append(Misuse(name, norm, 1.0, "info", text))
    yield from worst_first(evidence, found)


def padding_in_statistics(evidence: Evidence) -> Iterator[Firing]:
    """BatchNorm on padded sequences counts the padding.

    Severity: warning where its statistics don't fit the unpadded data, else info.

    ## What it measures
    BatchNorms on tensors with a mask given: their statistics in training were taken over all positions.

    ## Why it matters
    How much padding a batch holds depends on the longest sequence in it, so that the statistics change with how batches
    are put together.

    ## When it misleads
    A model that leaves padding out before the BatchNorm, or packs its sequences, does it right.

    ## Example
    `encoder.norm: BatchNorm over padded sequences`

    ## What to do
    LayerNorm or RMSNorm, which look at one position at a time.

    ## Sources
    Shen et al., *PowerNorm*, 2020: batch statistics in language vary strongly.
    """
    found = []
    for name, norm in norms_at(evidence, last(evidence)) if evidence.data.masked else ():
        if norm.kind == "batch" and _over_positions(evidence, norm):
            stale = (norm.stale_mean or 0.0) > max(0.1, norm.stale_mean_noise or 0.0)
            text = f"{name}: BatchNorm over padded sequences"
            if stale:
                text += f", and its running means are off by {number(norm.stale_mean or 0.0)} sd from the unpadded data"
            found.append(Misuse(name, norm, norm.stale_mean or 0.0, "warning" if stale else "info", text))
    yield from worst_first(evidence, found)


def _over_positions(evidence: Evidence, norm: "NormEvidence") -> bool:
    site = by_key(evidence).get((norm.site or "", norm.position or ""))
    return site is not None and (len(site.shape) == 3 or is_sequence(site))


def momentum_convention(evidence: Evidence) -> Iterator[Firing]:
    """BatchNorm's momentum looks like one of the other convention.

    Severity: warning; info for ONNX, where it no longer acts.

    ## What it measures
    A momentum of 0.5 or more, as the weight of the new value.

    ## Why it matters
    PyTorch's momentum is the weight of the new batch (0.1), that of TensorFlow and ONNX the weight of the old average
    (0.9). Copied from one to the other, the running statistics are those of the last batch or two.

    ## When it misleads
    A momentum of 1 is used on purpose to take statistics from one large batch.

    ## Example
    `bn1: momentum 0.99 gives the last batch 99 % of the weight`

    ## What to do
    1 - momentum, and recompute the running statistics.

    ## Sources
    The documentation of PyTorch's BatchNorm and of ONNX's BatchNormalization.
    """
    severity: Severity = "info" if evidence.model.engine == "onnx" else "warning"
    found = []
    for name, norm in norms_at(evidence, last(evidence)):
        if norm.kind == "batch" and norm.momentum is not None and norm.momentum >= _OTHER_CONVENTION:
            text = f"{name}: momentum {number(norm.momentum)} gives the last batch {share(norm.momentum)} of the weight"
            found.append(Misuse(name, norm, norm.momentum, severity, text))
    yield from worst_first(evidence, found)


def variance_convention(evidence: Evidence) -> Iterator[Firing]:
    """Training divides by the biased variance and evaluation by the unbiased one, which differ noticeably here.

    Severity: info.

    ## What it measures
    With `--train-batch-size`: BatchNorms whose statistics rest on fewer than 50 values. PyTorch normalizes with the
    biased variance of the batch and stores the unbiased one, larger by n / (n - 1).

    ## Why it matters
    What comes out in evaluation is smaller than in training by sqrt((n - 1) / n): 6 % at n = 8. The comparison with the
    data (COV401) is made with the unbiased variance, so that this alone does not fire it.

    ## When it misleads
    At such batch sizes the noise of the statistics is the larger problem (COV407).

    ## Example
    `bn1: 8 values per statistic, so evaluation divides by 14 % more variance`

    ## What to do
    A larger batch, or a normalization per sample.

    ## Sources
    PyTorch's documentation of BatchNorm: biased for normalizing, unbiased for the running estimate.
    """
    batch = evidence.train_batch_size
    found = []
    for name, norm in norms_at(evidence, last(evidence)) if batch is not None else ():
        values = (batch or 0) * (norm.elements or 1)
        if norm.kind == "batch" and norm.has_statistics and 1 < values < _FEW_VALUES:
            more = values / (values - 1) - 1
            text = f"{name}: {values} values per statistic, so evaluation divides by {share(more)} more variance"
            found.append(Misuse(name, norm, more, "info", text))
    yield from worst_first(evidence, found)
