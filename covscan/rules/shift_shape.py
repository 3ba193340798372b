"""Shift of what mean and scale don't see: shape, geometry, rank."""

import math
from collections.abc import Iterator

from covscan.report.types import Shift
from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.lookup import significant, value
from covscan.rules.shift_runs import firing, runs
from covscan.rules.shift_severity import shift_severity
from covscan.rules.words import number

_MOMENTS = ("standardized_mean_difference", "log_variance_ratio", "absolute_log_variance_ratio")
_OTHER_REPRESENTATION = 0.5


def shape_shift(evidence: Evidence) -> Iterator[Firing]:
    """The shape of a distribution changed though its mean and its spread stayed.

    Severity: info.

    ## What it measures
    Wasserstein-1 or Kolmogorov-Smirnov distance above noise and effect size, where neither the means nor the variances
    moved significantly: tails, skew, a second mode.

    ## Why it matters
    A normalization moves mean and scale. A shift of shape passes through it untouched.

    ## When it misleads
    A shift of mean or scale just below its own threshold shows here. Both distances come from a bounded sample of rows,
    so that their noise is larger than that of the moments.

    ## Example
    `the distribution changed shape (W1 0.31) at relu2 (output)`

    ## What to do
    Look at the percentiles over the checkpoints. A normalization is no remedy.

    ## Sources
    Huang and Yu, 2020 (arXiv 2001.02814), measure the shift as an earth mover's distance: higher moments are what
    BatchNorm does not control.
    """

    def chosen(shift: Shift) -> float | None:
        if any(significant(shift, moment) for moment in _MOMENTS):
            return None
        if significant(shift, "wasserstein_1"):
            return value(shift, "wasserstein_1")
        return value(shift, "kolmogorov_smirnov") if significant(shift, "kolmogorov_smirnov") else None

    for run in runs(evidence, chosen):
        by_distance = significant(run.peak.shift, "wasserstein_1")
        measure = "wasserstein_1" if by_distance else "kolmogorov_smirnov"
        name = "W1" if by_distance else "KS"
        yield firing(run, measure, "info", f"the distribution changed shape ({name} {number(run.peak.value)})")


def representation_turnover(evidence: Evidence) -> Iterator[Firing]:
    """A layer sees other similarities between the samples than before.

    Severity: warning where over half of the similarity is gone between trained checkpoints, else info.

    ## What it measures
    1 - unbiased linear CKA between the first and the last checkpoint: 0 where the samples lie to each other as before,
    about 1 where nothing of it is left. It fires above noise and 0.1.

    ## Why it matters
    The layer behind does not meet the same representation at another place and scale, it meets another one.

    ## When it misleads
    CKA is blind to any shift of the mean and to a common scale, and a few samples far from all others dominate it. From
    a random start a layer has to turn over to learn anything, so from there it is information and no warning.

    ## Example
    `the similarities between samples changed (1 - CKA = 0.62) at block4 (output)`

    ## What to do
    Compare with a run that trains well. In fine-tuning, early layers that turn over point to a high learning rate.

    ## Sources
    Kornblith et al. 2019. Nguyen, Raghu, Kornblith 2021 (unbiased form). Davari et al. 2023 (sensitivity to outliers).
    """
    measure = "linear_cka_distance"
    for run in runs(evidence, lambda shift: value(shift, measure) if significant(shift, measure) else None):
        size = run.peak.value
        yield firing(
            run,
            measure,
            shift_severity(evidence, run.peak.shift, large=size >= _OTHER_REPRESENTATION),
            f"the similarities between samples changed (1 - CKA = {number(size)})",
        )


def effective_rank_falling(evidence: Evidence) -> Iterator[Firing]:
    """A layer uses fewer directions than before.

    Severity: warning where half of them or more are gone between trained checkpoints, else info.

    ## What it measures
    ln of the last over the first effective rank (participation ratio of the covariance), where it is negative and above
    noise and effect size.

    ## Why it matters
    Directions that collapse are hard to win back: gradients pass through those that are left.

    ## When it misleads
    A classifier's last layers end up with about as many directions as there are classes, which is what they should do.
    Random weights spread the samples over many directions, and training chooses among them: a small transformer that
    trains well keeps 0.22 of them, a sigmoid network that trains badly 0.31. From an untrained start the fall is
    information alone. With fewer samples than channels rank is underestimated at both checkpoints.

    ## Example
    `directions in use fell to 0.21 of what they were at fc3 (output)`

    ## What to do
    Look for saturated or dead units there (COV216, COV217) and for samples that look alike (COV214).

    ## Sources
    Daneshmand et al., *Batch Normalization Provably Avoids Rank Collapse*, 2020. Lubana et al. 2021.
    """
    measure = "effective_rank"

    def falling(shift: Shift) -> float | None:
        size = value(shift, measure)
        return size if size is not None and size < 0 and significant(shift, measure) else None

    for run in runs(evidence, falling):
        size = run.peak.value
        yield firing(
            run,
            measure,
            shift_severity(evidence, run.peak.shift, large=size <= -math.log(2)),
            f"directions in use fell to {number(math.exp(size))} of what they were",
        )
