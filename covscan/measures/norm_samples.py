"""What a normalization over each sample's own values meets: tiny variances, values that dominate."""

import numpy as np
import numpy.typing as npt

from covscan.capture.types import Norm
from covscan.stats import RowSample

Float64 = npt.NDArray[np.float64]

_FEWEST_CHANNELS = 16
_FEWEST_VALUES = 2


def sample_variances(norm: Norm, rows: RowSample) -> Float64 | None:
    """What each sample (LayerNorm, RMSNorm: each row) is divided by, squared, before eps; from the kept rows.

    For GroupNorm and InstanceNorm the kept positions of a sample stand for all of them; samples of which
    fewer than two values were kept say nothing. None where nothing can be said, and for BatchNorm.
    """
    values = finite_rows(rows)
    if norm.kind == "batch" or not len(values):
        return None
    if norm.kind == "rms":
        squares: Float64 = np.square(values).mean(axis=1)
        return squares
    if norm.kind == "layer":
        return values.var(axis=1) if values.shape[1] >= _FEWEST_VALUES else None
    return _within_samples(norm, rows)


def outlier_dominance(norm: Norm, rows: RowSample) -> float | None:
    """Median over rows of max a^2 / sum a^2: how much of what LayerNorm or RMSNorm divides by is one channel.

    Between 1/channels and 1. None below 16 channels, where one channel always counts for much, and for
    other kinds.
    """
    values = finite_rows(rows)
    if norm.kind not in {"layer", "rms"} or values.shape[1] < _FEWEST_CHANNELS or not len(values):
        return None
    squares = np.square(values)
    total = squares.sum(axis=1)
    kept = total > 0
    if not kept.any():
        return None
    return float(np.median(squares[kept].max(axis=1) / total[kept]))


def finite_rows(rows: RowSample) -> Float64:
    """(rows, channels) float64 without the rows that hold NaN or infinity."""
    values = rows.values.astype(np.float64)
    kept: Float64 = values[np.isfinite(values).all(axis=1)]
    return kept


def _within_samples(norm: Norm, rows: RowSample) -> Float64 | None:
    """Variances within each sample and group of channels; a group is one channel for InstanceNorm."""
    channels = rows.values.shape[1]
    groups = channels if norm.kind == "instance" else norm.groups or 1
    if (channels != rows.width and norm.kind == "group") or channels % groups:
        return None
    values = rows.values.astype(np.float64).reshape(len(rows.values), groups, -1)
    variances = []
    for sample in np.unique(rows.sample):
        own = values[rows.sample == sample]  # (positions, groups, channels of a group)
        count = own.shape[0] * own.shape[2]
        if count >= _FEWEST_VALUES and np.isfinite(own).all():
            variances.append(own.var(axis=(0, 2)) * count / (count - 1))
    return np.concatenate(variances) if variances else None
