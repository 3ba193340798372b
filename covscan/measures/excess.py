"""What a layer adds to the shift that it inherits from its input."""

import numpy as np
import numpy.typing as npt

from covscan.measures.compare import judge_replicates
from covscan.measures.moments import (
    MomentPair,
    gaussian_w2,
    log_variance_ratio,
    standardized_mean_difference,
)
from covscan.measures.replicates import groups_of
from covscan.measures.result import Result
from covscan.measures.sampling import Sampling
from covscan.measures.views import variance_floor
from covscan.stats import BlockMoments, Moments

Float64 = npt.NDArray[np.float64]

NAMES = ("excess_shift", "excess_mean_difference", "excess_log_variance_ratio")
_GROUPS = 32
_FLOORS = {
    "excess_shift": "gaussian_w2",
    "excess_mean_difference": "standardized_mean_difference",
    "excess_log_variance_ratio": "log_variance_ratio",
}


def excess(
    actual: BlockMoments, counterfactual: BlockMoments, reference: Moments, noise: dict[str, float]
) -> dict[str, Result]:
    """The three excess measures of a layer.

    ``actual`` are the moments of what the layer gives on the later checkpoint's input with its new weights,
    ``counterfactual`` with the earlier weights on the same input, so that whatever came with the input cancels.
    ``reference`` (channels,) are the later checkpoint's moments over all samples, which set the scale; ``noise`` are
    the floors of the plain measures at this site.
    """
    groups = groups_of((actual.count.sum(axis=1) > 0) & (counterfactual.count.sum(axis=1) > 0), _GROUPS)
    if not groups.count:
        return {name: Result.missing("no finite value in the replayed samples") for name in NAMES}
    sampling = Sampling(groups, groups, paired=True)
    weights, _ = sampling.weights()
    pair = _scaled_pair(counterfactual.subsets(weights), actual.subsets(weights), reference, sampling)
    if not pair.live.any():
        return {name: Result.missing("every channel is constant with either weights") for name in NAMES}
    values = {
        "excess_shift": excess_shift(pair),
        "excess_mean_difference": excess_mean_difference(pair),
        "excess_log_variance_ratio": excess_log_variance_ratio(pair),
    }
    return {name: judge_replicates(name, value, sampling, noise.get(_FLOORS[name])) for name, value in values.items()}


def _scaled_pair(old: Moments, new: Moments, reference: Moments, sampling: Sampling) -> MomentPair:
    """Both sets of moments in units in which the later checkpoint has its variance over all samples.

    The replayed samples are few: their difference is exact, since both sides saw the same input, but their variance
    is not, so the scale comes from all samples.
    """
    floor = variance_floor(reference)
    if not floor:  # the new weights give the same for every sample
        floor = variance_floor(Moments(old.count[0], old.mean[0], old.variance[0]))
    own = np.where(new.variance[0] > 0, new.variance[0], 1.0)
    factor = np.where((reference.variance > 0) & (new.variance[0] > 0), reference.variance / own, 1.0)
    a = Moments(old.count, old.mean, old.variance * factor)
    b = Moments(new.count, new.mean, new.variance * factor)
    both = np.maximum(a.variance[0], b.variance[0])
    live = np.isfinite(a.variance[0] + b.variance[0]) & (both > 0) & (both >= floor)
    pooled = np.where(live, np.maximum((a.variance[0] + b.variance[0]) / 2, floor), 1.0)
    mean = sampling.error(b.mean - a.mean)
    scale = sampling.error(np.sqrt(b.variance) - np.sqrt(a.variance))
    bias = (np.square(mean) + np.square(scale)) / pooled
    return MomentPair(a, b, live, floor, bias)


def nothing_added() -> dict[str, Result]:
    """What a module adds whose weights are bit-equal, or that has none: exactly nothing."""
    return {name: Result(0.0, None, 0.0, 0.0) for name in NAMES}


def excess_shift(pair: MomentPair) -> Float64:
    """How far a layer's own weights moved its output, mean and scale together: ``gaussian_w2`` at the same input.

    Compares what the layer gives with the later and with the earlier weights on the later input, so that a shift that
    came with the input counts nothing. 0 means that the layer only passes on what it got; the layer with the largest
    value is where the shift starts. Blind to what functions between modules add.
    """
    return gaussian_w2(pair)


def excess_mean_difference(pair: MomentPair) -> Float64:
    """The part of ``excess_shift`` in the means: ``standardized_mean_difference`` at the same input."""
    return standardized_mean_difference(pair)


def excess_log_variance_ratio(pair: MomentPair) -> Float64:
    """The part of ``excess_shift`` in the scale: ``log_variance_ratio`` at the same input; 2 ln k where scaled by k."""
    return log_variance_ratio(pair)
