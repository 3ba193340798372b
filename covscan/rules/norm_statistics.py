"""BatchNorm's stored statistics against the data."""

from collections.abc import Iterator
from statistics import mean
from typing import TYPE_CHECKING

from covscan.report.types import Severity
from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.lookup import last, norms_at, untrained
from covscan.rules.norm_firing import Misuse, worst_first
from covscan.rules.words import number, plural, share

if TYPE_CHECKING:
    from covscan.measures.norms import NormEvidence

_MEDIAN, _LARGE_MEDIAN, _CHANNELS = 0.1, 0.25, 0.1
_COVERED = 0.99
_DISCREPANT, _BROKEN = 0.1, 0.5
_FEWEST = 8


def stale_statistics(evidence: Evidence) -> Iterator[Firing]:
    """BatchNorm's running statistics don't fit the data.

    Severity: warning from a median of 0.25 standard deviations on, or with a tenth of the channels far off; else info.

    ## What it measures
    Per channel |running mean - mean of the data| in standard deviations and |ln(running variance / variance)|, with the
    unbiased variance. It fires where the median distance of the means is over 0.1 and above the jackknife noise, or
    where a tenth of the channels is off by over 0.5 standard deviations, or by over 0.7 in ln variance (a factor of 2).

    ## Why it matters
    In evaluation mode BatchNorm then no longer normalizes: its output is shifted and scaled, and the layers behind were
    not trained for that.

    ## When it misleads
    The sample may be from another distribution than the training data, on purpose (that is what this sees in
    deployment; with `--reference-data` it is judged on the data, and told of both), or lack the augmentation that
    training had. In the midst of fast training the average lags behind the weights, by 0.1 to 0.2 in the median.
    Dropout in front changes the variance between training and evaluation (COV405). What one stale BatchNorm shifts,
    the next inherits: look at the first in order of execution.

    ## Example
    `running statistics of bn2 don't fit the data: means off by 0.6 sd in the median channel`

    ## What to do
    Check the preprocessing of the sample first. Otherwise recompute the statistics on training data in one pass in
    train mode with momentum=None, without gradients, 1000 to 10,000 samples, and compare the accuracy before and
    after.

    ## Sources
    Wu and Johnson, *Rethinking "Batch" in BatchNorm*, 2021. Schneider, Rusak et al. 2020.
    """
    found = stale_norms(evidence)
    yield from worst_first(evidence, found, {"first_in_order": found[0].name if found else None})


def stale_norms(evidence: Evidence) -> list[Misuse]:
    """The BatchNorms whose running statistics don't fit the last column's data, in order of execution."""
    found = []
    for name, norm in norms_at(evidence, last(evidence)):
        text = _staleness(norm)
        if text is None or norm.samples < _FEWEST:
            continue
        large = (norm.stale_mean or 0.0) >= _LARGE_MEDIAN or _many_off(norm)
        severity: Severity = "warning" if large else "info"
        whole = f"{name}: {text}{_on_reference(evidence, name)}"
        found.append(Misuse(name, norm, norm.stale_distance or 0.0, severity, whole))
    return found


def _on_reference(evidence: Evidence, name: str) -> str:
    """What the same statistics are off by on the data that the others are compared with."""
    if evidence.kind != "data":
        return ""
    first = evidence.checkpoints[0]
    norm = evidence.norms.get(first.id, {}).get(name)
    known = norm is not None and norm.stale_mean is not None
    there = f", by {number(norm.stale_mean or 0.0)} sd on {first.id}" if norm is not None and known else ""
    return f" on {last(evidence).id}{there}"


def _many_off(norm: "NormEvidence") -> bool:
    return max(norm.stale_mean_share or 0.0, norm.stale_variance_share or 0.0) >= _CHANNELS


def _staleness(norm: "NormEvidence") -> str | None:
    if norm.kind != "batch" or norm.never_updated or norm.stale_mean is None:
        return None
    if norm.stale_mean > max(_MEDIAN, norm.stale_mean_noise or 0.0):
        return f"running means are off by {number(norm.stale_mean)} sd in the median channel"
    if (norm.stale_mean_share or 0.0) >= _CHANNELS:
        return f"running means of {share(norm.stale_mean_share or 0.0)} of the channels are off by over 0.5 sd"
    if (norm.stale_variance_share or 0.0) >= _CHANNELS:
        return f"running variances of {share(norm.stale_variance_share or 0.0)} of the channels are off by over twofold"
    return None


def statistics_never_updated(evidence: Evidence) -> Iterator[Firing]:
    """BatchNorm's running statistics were never updated, or hardly.

    Severity: error where they hold their initial values in a trained network, warning where the moving
    average covers less than 99 %, info in the state before training.

    ## What it measures
    Whether `num_batches_tracked` is 0, or mean and variance are exactly 0 and 1; else 1 - (1 - momentum)^batches.

    ## Why it matters
    Evaluation uses these numbers. Never updated, they are those of a distribution that nobody measured.

    ## When it misleads
    Before training this is how things are. Some conversions drop the counter, which is why the values count as well.

    ## Example
    `bn1: running statistics still hold their initial values`

    ## What to do
    Look for a module left in eval mode throughout training, a momentum of 0, or buffers that were not saved. Statistics
    can be recomputed on training data without training.

    ## Sources
    PyTorch's documentation of BatchNorm.
    """
    found = []
    before = untrained(evidence, last(evidence))
    for name, norm in norms_at(evidence, last(evidence)):
        if norm.kind != "batch" or not norm.has_statistics:
            continue
        if norm.never_updated:
            severity: Severity = "info" if before else "error"
            text = f"{name}: running statistics still hold their initial values"
            found.append(Misuse(name, norm, 1.0, severity, text))
        elif norm.coverage is not None and norm.coverage < _COVERED:
            text = f"{name}: running statistics rest on {plural(norm.batches_tracked or 0, 'batch', 'batches')}, "
            text += f"which is {share(norm.coverage)} of the average's weight"
            found.append(Misuse(name, norm, 1 - norm.coverage, "warning", text))
    yield from worst_first(evidence, found)


def train_inference_discrepancy(evidence: Evidence) -> Iterator[Firing]:
    """BatchNorm normalizes otherwise in evaluation than in training, on average over the network.

    Severity: error over 0.5, warning over 0.1.

    ## What it measures
    For each BatchNorm the mean over channels and batches of |running mean - batch mean| / batch sd, and of
    |running sd / batch sd - 1|, less what the data's own statistics give for the same batches (that much is the luck of
    a batch); the larger of the two, averaged over the network, and its slope over depth.

    ## Why it matters
    What BatchNorm gains goes with how small this discrepancy is. It adds up through stacked BatchNorms.

    ## When it misleads
    As COV401: a sample from another distribution. Batches here are blocks of the sample, not those of training.

    ## Example
    `train/inference discrepancy 0.31 on average over 8 BatchNorms, growing with depth`

    ## What to do
    Recompute the statistics (COV401). If it grows with depth, replace one BatchNorm per block by GroupNorm or
    LayerNorm, which stops the accumulation.

    ## Sources
    Wang, Wu, Huang, *Understanding the Failure of Batch Normalization for Transformers in NLP*, 2022. Huang et al.,
    *Delving into the Estimation Shift of Batch Normalization*, 2022.
    """
    excess = {
        name: found
        for name, norm in norms_at(evidence, last(evidence))
        if norm.kind == "batch" and norm.samples >= _FEWEST and (found := _excess(norm)) is not None
    }
    if len(excess) < 2:
        return
    average, slope = mean(excess.values()), _slope(list(excess.values()))
    if average > _DISCREPANT:
        yield Firing(
            severity="error" if average > _BROKEN else "warning",
            checkpoint=last(evidence).id,
            message=f"train/inference discrepancy {number(average)} on average over {len(excess)} BatchNorms"
            + (", growing with depth" if slope > 0 else ""),
            evidence={"discrepancy": average, "slope_per_norm": slope, "norms": excess},
        )


def _excess(norm: "NormEvidence") -> float | None:
    """Discrepancy beyond what batches of the same data give by themselves."""
    pairs = (
        (norm.discrepancy_mean, norm.discrepancy_mean_null),
        (norm.discrepancy_variance, norm.discrepancy_variance_null),
    )
    known = [value - null for value, null in pairs if value is not None and null is not None]
    return max(0.0, *known) if known else None


def _slope(values: list[float]) -> float:
    """Least squares slope over the index."""
    middle, average = (len(values) - 1) / 2, mean(values)
    above = sum((place - middle) * (value - average) for place, value in enumerate(values))
    return above / sum((place - middle) ** 2 for place in range(len(values)))
