"""Existing normalizations and what stands next to them."""

from collections.abc import Iterator

from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.lookup import last, norms_at
from covscan.rules.norm_firing import Misuse, worst_first
from covscan.rules.words import number

_LOW, _HIGH = 0.8, 1.25


def dropout_before_batchnorm(evidence: Evidence) -> Iterator[Firing]:
    """Dropout in front of a BatchNorm makes its variance differ between training and evaluation.

    Severity: warning.

    ## What it measures
    Var(evaluation) / Var(training) of what the BatchNorm reads, by the closed form for inverted dropout, directly in
    front or with one linear layer or convolution between: training adds sum_j w_j^2 E[x_j^2] (1 - p) / p, with p the
    probability of keeping. It fires outside 0.8 to 1.25, in the median channel.

    ## Why it matters
    The running variance was collected with dropout on. In evaluation the variance is smaller, and BatchNorm divides by
    too much; the layers behind were not trained for that.

    ## When it misleads
    The convolution's form neglects zero padding. In wide layers the difference vanishes by itself.

    ## Example
    `bn2: dropout1 in front of it makes the variance in evaluation 0.61 of that in training`

    ## What to do
    Move the dropout behind the last BatchNorm, or lower its probability.

    ## Sources
    Li, Chen, Hu, Yang, *Understanding the Disharmony between Dropout and Batch Normalization*, 2019.
    """
    found = []
    for name, norm in norms_at(evidence, last(evidence)):
        ratio = norm.dropout_variance_ratio
        if ratio is not None and not _LOW <= ratio <= _HIGH:
            text = f"{name}: {norm.dropout_source} in front of it makes the variance in evaluation {number(ratio)} "
            text += "of that in training"
            found.append(Misuse(name, norm, 1 - ratio, "warning", text))
    yield from worst_first(evidence, found)


def redundant_bias(evidence: Evidence) -> Iterator[Firing]:
    """A bias stands directly in front of a normalization that subtracts it again.

    Severity: info.

    ## What it measures
    Linear layers and convolutions with a bias whose output goes into a BatchNorm or an InstanceNorm and nowhere else
    that a module shows.

    ## Why it matters
    Its gradient is exactly zero: memory and time for nothing.

    ## When it misleads
    If a functional operation reads the layer's output too (a skip connection), the bias does work. LayerNorm, GroupNorm
    and RMSNorm don't remove it and are not looked at.

    ## Example
    `bn1 subtracts the bias of conv1 again`

    ## What to do
    `bias=False` in the layer.

    ## Sources
    Ioffe and Szegedy 2015, section 3.2.
    """
    found = []
    for name, norm in norms_at(evidence, last(evidence)):
        if norm.redundant_bias is not None:
            found.append(Misuse(name, norm, 1.0, "info", f"{name} subtracts the bias of {norm.redundant_bias} again"))
    yield from worst_first(evidence, found)


def redundant_norm(evidence: Evidence) -> Iterator[Firing]:
    """A normalization follows another one, or stands between two linear layers with nothing else.

    Severity: info.

    ## What it measures
    A normalization that reads exactly what another one gives; a BatchNorm that reads a linear layer or convolution and
    feeds only another one.

    ## Why it matters
    The first is done twice. The second can be folded into either neighbour in evaluation, and layer, norm and layer are
    one linear map then.

    ## When it misleads
    Linear bottlenecks (MobileNetV2) and separable convolutions have no nonlinearity there by design; during
    training the BatchNorm still helps. Two kinds in a row normalize over different axes.

    ## Example
    `norm2 normalizes again what norm1 gives`

    ## What to do
    Remove one of two; look whether an activation was forgotten between the layers.

    ## Sources
    Sandler et al., *MobileNetV2*, 2018 (linear bottlenecks).
    """
    found = []
    for name, norm in norms_at(evidence, last(evidence)):
        if norm.follows_norm is not None:
            text = f"{name} normalizes again what {norm.follows_norm} gives"
            found.append(Misuse(name, norm, 2.0, "info", text))
        elif norm.between_linear is not None:
            before, after = norm.between_linear
            text = f"{name} stands alone between {before} and {after}, with no nonlinearity"
            found.append(Misuse(name, norm, 1.0, "info", text))
    yield from worst_first(evidence, found)
