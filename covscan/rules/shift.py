"""Shift of mean and scale between the first and the last checkpoint."""

import math
from collections.abc import Iterator

from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.lookup import significant, value
from covscan.rules.shift_runs import firing, runs
from covscan.rules.shift_severity import shift_severity
from covscan.rules.words import number

_LARGE_MEAN = 0.8
_LARGE_SCALE = math.log(10)


def mean_shift(evidence: Evidence) -> Iterator[Firing]:
    """The mean of a layer's activations moved between the first and the last checkpoint.

    Severity: warning from 0.8 standard deviations on between trained checkpoints, else info.

    ## What it measures
    The standardized mean difference: the mean over channels of |m_B - m_A| / sqrt((v_A + v_B) / 2), on the same samples
    at both checkpoints (or in both models; between two data sets on two independent samples). It fires where the 95 %
    interval clears the noise between random halves of one checkpoint's samples, and the value is 0.2 or more. Sites
    that follow one another make one finding, at the largest.

    ## Why it matters
    This is what Ioffe and Szegedy called internal covariate shift: the layer behind has to learn on inputs whose
    distribution wanders.

    ## When it misleads
    Learning is movement: a network that starts at random and ends trained has moved everywhere, which is why a shift
    from an untrained start is information and no warning. How much it moved says little about whether a normalization
    would help: as a ranking of places it was hardly better than depth order.
    Everything behind the layer that moved inherits the shift; COV205 names the source.

    ## Example
    `means moved by 0.93 sd at fc3 (output), the most of 4 neighbouring sites from fc2 to fc4`

    ## What to do
    Look at the trend over the checkpoints: a shift that happens early and then stops is learning, one that goes on for
    as long as training does is worth a lower learning rate or a closer look at its source.

    ## Sources
    Ioffe and Szegedy 2015. Santurkar et al., *How Does Batch Normalization Help Optimization?*, 2018, measured that
    BatchNorm helps without reducing the shift; Awais et al. 2020 contest what follows from that. Cohen 1988 (0.2, 0.8).
    """
    measure = "standardized_mean_difference"
    for run in runs(evidence, lambda shift: value(shift, measure) if significant(shift, measure) else None):
        size = run.peak.value
        severity = shift_severity(evidence, run.peak.shift, large=size >= _LARGE_MEAN)
        yield firing(run, measure, severity, f"means moved by {number(size)} sd")


def scale_shift(evidence: Evidence) -> Iterator[Firing]:
    """The spread of a layer's activations changed between the first and the last checkpoint.

    Severity: warning from a tenfold variance (or a tenth) on between trained checkpoints, else info.

    ## What it measures
    The mean over channels of ln(v_B / v_A), with its sign, on the same samples at both checkpoints; it fires where the
    interval clears the noise and the value is 0.4 (a factor of 1.5) or more. Where channels grow and shrink alike, so
    that the mean cancels, the mean of |ln(v_B / v_A)| is looked at instead.

    ## Why it matters
    Of all measures of shift the change of variance ranked places for a BatchNorm best, if modestly (Spearman 0.34 with
    the gain over 73 small networks trained from the start, 0.10 when inserting into a trained one).

    ## When it misleads
    Variance grows because weights grow, which is how a classifier becomes sure of itself; from an untrained start that
    is expected, and information alone. It says nothing about shape.

    ## Example
    `variances grew 24-fold at conv5 (output)`

    ## What to do
    Where growth goes on, look at weight decay and the learning rate; where a chain of layers amplifies each other, see
    COV211.

    ## Sources
    Ioffe and Szegedy 2015. Bjorck et al., *Understanding Batch Normalization*, 2018: without it activations grow.
    """
    signed, absolute = "log_variance_ratio", "absolute_log_variance_ratio"
    for run in runs(evidence, lambda shift: value(shift, signed) if significant(shift, signed) else None):
        size = run.peak.value
        word = "grew" if size > 0 else "shrank"
        yield firing(
            run,
            signed,
            shift_severity(evidence, run.peak.shift, large=abs(size) >= _LARGE_SCALE),
            f"variances {word} {number(math.exp(min(abs(size), 700.0)))}-fold",
        )
    for run in runs(
        evidence,
        lambda shift: (
            value(shift, absolute) if significant(shift, absolute) and not significant(shift, signed) else None
        ),
    ):
        yield firing(
            run,
            absolute,
            "info",
            f"variances of single channels changed {number(math.exp(min(run.peak.value, 700.0)))}-fold, up and down",
        )
