"""Measures of shift that need only means and variances per channel."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from covscan.stats import Moments

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MomentPair:
    """Two sets of moments (replicates, channels) with what does not vary between replicates.

    ``live`` (channels,) bool leaves out channels that are constant at both; ``floor`` is the variance below which a
    channel counts as constant; ``bias`` (channels,) is what sampling adds to the squared standardized distance.
    What several measures need, arrays (replicates, live channels), is worked out once.
    """

    a: Moments
    b: Moments
    live: npt.NDArray[np.bool_]
    floor: float
    bias: Float64

    @cached_property
    def _variances(self) -> tuple[Float64, Float64]:
        return self._living(self.a.variance), self._living(self.b.variance)

    @cached_property
    def pooled_variance(self) -> Float64:
        """Mean of the two variances, at least ``floor``."""
        one, other = self._variances
        pooled = np.add(one, other)
        pooled /= 2
        return np.maximum(pooled, self.floor, out=pooled)

    @cached_property
    def difference(self) -> Float64:
        """Difference of the means in pooled standard deviations."""
        moved: Float64 = np.subtract(self._living(self.b.mean), self._living(self.a.mean))
        moved /= np.sqrt(self.pooled_variance)
        return moved

    @cached_property
    def scale_difference(self) -> Float64:
        """Difference of the standard deviations."""
        one, other = self._variances
        scale: Float64 = np.sqrt(other)
        scale -= np.sqrt(one)
        return scale

    @cached_property
    def log_ratio(self) -> Float64:
        """Ln of the second variance over the first."""
        one, other = self._variances
        ratio: Float64 = np.maximum(other, self.floor)
        ratio /= np.maximum(one, self.floor)
        return np.log(ratio, out=ratio)

    def _living(self, values: Float64) -> Float64:
        return values if self.live.all() else values[:, self.live]


def standardized_mean_difference(pair: MomentPair) -> Float64:
    """How far channel means moved, in standard deviations: mean over channels of |m_B - m_A| / sqrt((v_A + v_B)/2).

    Range 0 to infinity; 0.2 small, 0.5 medium, 0.8 large by Cohen's convention (1988), which says nothing about
    training. Blind to changes of scale and shape and to the sign; see ``log_variance_ratio`` for scale.
    """
    return np.abs(pair.difference).mean(axis=1)


def log_variance_ratio(pair: MomentPair) -> Float64:
    """How the spread changed: mean over channels of ln(v_B / v_A), with its sign.

    0 is no change, 0.69 a doubled variance, -0.69 a halved one; a layer scaled by k gives 2 ln k. Blind to shifts of
    the mean, and to channels that grow while as many shrink: ``absolute_log_variance_ratio`` sees those.
    """
    return pair.log_ratio.mean(axis=1)


def absolute_log_variance_ratio(pair: MomentPair) -> Float64:
    """How much spreads changed in either direction: mean over channels of |ln(v_B / v_A)|.

    Range 0 to infinity. Without any shift sampling gives sqrt(2/pi) sqrt((kappa - 1)(1/n_A + 1/n_B)), kurtosis kappa.
    """
    return np.abs(pair.log_ratio).mean(axis=1)


def gaussian_w2(pair: MomentPair) -> Float64:
    """Mean and scale in one number: 2-Wasserstein distance of diagonal Gaussians, without its sampling bias.

    sqrt(max(0, mean over channels of ((m_B - m_A)^2 + (s_B - s_A)^2) / v - bias)), v the pooled variance, and the bias
    the sampling variance of the two differences from the paired block jackknife. Range 0 to infinity, in standard
    deviations. Blind to shape and to correlations between channels (Dowson, Landau 1982 for the distance).
    """
    squared = np.square(pair.scale_difference)
    squared /= pair.pooled_variance
    squared += np.square(pair.difference)
    squared -= pair.bias[pair.live]
    return np.sqrt(np.maximum(squared.mean(axis=1), 0.0))
