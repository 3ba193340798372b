"""What a batch normalization's stored statistics say about the data that it is given."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from covscan.capture.types import Norm
from covscan.measures.replicates import jackknife_error
from covscan.stats import BlockMoments, Moments, SiteSummary

Float64 = npt.NDArray[np.float64]

_TWO_SIDED = 1.96
_MATERIAL_MEAN, _MATERIAL_VARIANCE = 0.5, 0.7
_LEAST_VARIANCE = 1e-12
_FEWEST_BLOCKS = 4
_BATCH_SAMPLES = 32


@dataclass(frozen=True, slots=True)
class Staleness:
    """Stored against measured statistics; ``*_noise`` is what sampling alone gives the median (95 %)."""

    mean: float
    mean_noise: float | None
    mean_share: float
    variance: float
    variance_noise: float | None
    variance_share: float
    distance: float


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """Train/inference discrepancy over batches of ``samples``; ``*_null`` with the data's own statistics."""

    mean: float
    mean_null: float
    variance: float
    variance_null: float
    samples: float


def staleness(norm: Norm, moments: BlockMoments) -> Staleness | None:
    """Compare running statistics with the data's: N1 after the correction of N15.

    Per channel d = |mu_run - mu| / sigma and r = ln(var_run / var), with the unbiased variance, which is
    what frameworks store; medians over channels, the share of channels with d > 0.5 or |r| > 0.7 beyond
    their own noise, and the normalized Wasserstein distance of Schneider et al. (2020). None without stored
    statistics or without variance.
    """
    if norm.running_mean is None or norm.running_var is None:
        return None
    pooled = moments.pooled()
    live = live_channels(pooled)
    if not live.any() or len(live) != len(norm.running_mean):
        return None
    mean, variance = pooled.mean[live], unbiased(pooled)[live]
    run_mean, run_variance = norm.running_mean[live], np.maximum(norm.running_var[live], _LEAST_VARIANCE)
    sigma = np.sqrt(variance)
    d = np.abs(run_mean - mean) / sigma
    r = np.log(run_variance / variance)
    errors = _errors(moments, live, sigma)
    d_error, r_error = errors if errors is not None else (np.zeros_like(d), np.zeros_like(r))
    distance = np.square(run_mean - mean) + np.square(np.sqrt(run_variance) - sigma)
    return Staleness(
        mean=float(np.median(d)),
        mean_noise=None if errors is None else _TWO_SIDED * float(np.median(d_error)),
        mean_share=float(np.mean(d > np.maximum(_MATERIAL_MEAN, _TWO_SIDED * d_error))),
        variance=float(np.median(np.abs(r))),
        variance_noise=None if errors is None else _TWO_SIDED * float(np.median(r_error)),
        variance_share=float(np.mean(np.abs(r) > np.maximum(_MATERIAL_VARIANCE, _TWO_SIDED * r_error))),
        distance=float(np.sqrt(np.mean(distance / run_variance))),
    )


def discrepancy(norm: Norm, summary: SiteSummary) -> Discrepancy | None:
    """TID of Wang, Wu, Huang (2022): how far stored statistics are from those of batches.

    Means over channels and batches of |mu_run - mu_B| / sigma_B and of |sigma_run / sigma_B - 1|.

    Batches are blocks of samples joined until each holds 32, as far as there are so many.
    """
    pooled = summary.moments.pooled()
    live = live_channels(pooled)
    filled = np.flatnonzero(summary.moments.count.any(axis=1))
    if norm.running_mean is None or norm.running_var is None or not live.any() or not len(filled):
        return None
    if len(live) != len(norm.running_mean):
        return None
    batches = int(np.clip(summary.samples // _BATCH_SAMPLES, 1, len(filled)))
    member = np.zeros((batches, len(summary.moments.count)))
    member[np.arange(len(filled)) % batches, filled] = 1.0
    parts = summary.moments.subsets(member)
    mean, sigma = parts.mean[:, live], np.sqrt(np.maximum(parts.variance[:, live], _LEAST_VARIANCE))
    stored = norm.running_mean[live], np.sqrt(np.maximum(norm.running_var[live], 0.0))
    own = pooled.mean[live], np.sqrt(unbiased(pooled)[live])
    return Discrepancy(
        mean=float(np.mean(np.abs(stored[0] - mean) / sigma)),
        mean_null=float(np.mean(np.abs(own[0] - mean) / sigma)),
        variance=float(np.mean(np.abs(stored[1] / sigma - 1))),
        variance_null=float(np.mean(np.abs(own[1] / sigma - 1))),
        samples=summary.samples / batches,
    )


def effective_per_sample(summary: SiteSummary) -> float | None:
    """How many independent values one sample gives a channel's mean: sigma^2 / (n Var(mean)).

    Between 1 and its positions; None with too few blocks of samples for a jackknife.
    """
    pooled = summary.moments.pooled()
    live = live_channels(pooled)
    loo = _leave_one_out(summary.moments)
    if loo is None or not live.any() or not summary.samples:
        return None
    squared_error = np.square(jackknife_error(loo.mean[:, live]))
    with np.errstate(divide="ignore"):
        effective = pooled.variance[live] / squared_error / summary.samples
    positions = float(np.median(pooled.count)) / summary.samples
    return float(np.clip(np.median(effective), 1.0, max(positions, 1.0)))


def live_channels(pooled: Moments) -> npt.NDArray[np.bool_]:
    """(channels,) which channels vary by more than rounding."""
    with np.errstate(invalid="ignore", over="ignore"):
        live: npt.NDArray[np.bool_] = pooled.variance > 1e-12 * np.square(pooled.mean)
    return live & (pooled.count > 1) & (pooled.variance > 0)


def unbiased(pooled: Moments) -> Float64:
    """(channels,) variance with n - 1 in the denominator."""
    return pooled.variance * pooled.count / np.maximum(pooled.count - 1, 1)


def _leave_one_out(moments: BlockMoments) -> Moments | None:
    filled = np.flatnonzero(moments.count.any(axis=1))
    if len(filled) < _FEWEST_BLOCKS:
        return None
    weights = np.ones((len(filled), len(moments.count)))
    weights[np.arange(len(filled)), filled] = 0.0
    return moments.subsets(weights)


def _errors(moments: BlockMoments, live: npt.NDArray[np.bool_], sigma: Float64) -> tuple[Float64, Float64] | None:
    """(live channels,) standard errors of d and r by the block jackknife; None with too few blocks."""
    loo = _leave_one_out(moments)
    if loo is None:
        return None
    log_variance = np.log(np.maximum(loo.variance[:, live], np.finfo(np.float64).tiny))
    return jackknife_error(loo.mean[:, live]) / sigma, jackknife_error(log_variance)
