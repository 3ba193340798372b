"""What is said of one site at one checkpoint."""

from typing import Any

import numpy as np
import numpy.typing as npt

from covscan.measures.geometry import Gram, participation_ratio
from covscan.measures.views import variance_floor
from covscan.stats import Moments, SiteSummary

Float64 = npt.NDArray[np.float64]

QUANTILES = (1, 5, 15, 25, 50, 75, 85, 95, 99)
_ROWS = 256
_ACTIVE_SHARE = 0.01


def describe(summary: SiteSummary, *, rectified: bool, saturating: bool) -> dict[str, Any]:
    """The fields of the report's Statistics for one summary, None where a value does not exist.

    Means, variances, extremes and shares are exact over what was read; percentiles, kurtosis and everything about
    directions come from the kept rows. ``rectified`` counts a unit that is almost always 0 as dead; ``saturating``
    says that the site has flat ends.
    """
    moments = summary.moments.pooled()
    count = float(moments.count.sum())
    fields: dict[str, Any] = {"samples": summary.samples, "count": int(count)}
    total = max(int(summary.counts.total.sum()), 1)
    fields |= {
        "zero_share": float(summary.counts.zero.sum() / total),
        "saturated_share": float(summary.counts.saturated.sum() / total) if saturating else None,
        "nonfinite_share": float(summary.counts.nonfinite.sum() / total),
    }
    if not count:
        return fields | {"status": "no finite value was read"}
    fields |= _pooled(moments, summary)
    fields |= _channels(moments, summary, rectified=rectified)
    fields |= _from_rows(summary)
    return {name: _finite(value) for name, value in fields.items()}


def _pooled(moments: Moments, summary: SiteSummary) -> dict[str, float | None]:
    weight = np.where(moments.count > 0, moments.count, 0.0)
    centre = np.where(weight > 0, moments.mean, 0.0)
    mean = float((weight * centre).sum() / weight.sum())
    spread = np.where(weight > 0, moments.variance + np.square(centre - mean), 0.0)
    return {
        "mean": mean,
        "std": float(np.sqrt((weight * spread).sum() / weight.sum())),
        "min": float(summary.extremes.low.min()),
        "max": float(summary.extremes.high.max()),
    }


def _channels(moments: Moments, summary: SiteSummary, *, rectified: bool) -> dict[str, float | None]:
    known = moments.count > 0
    variance, mean = moments.variance[known], moments.mean[known]
    dead = variance <= variance_floor(moments)
    if rectified:
        active = 1.0 - summary.counts.zero[known] / np.maximum(summary.counts.total[known], 1)
        dead = dead | (active < _ACTIVE_SHARE)
    scale, mean_square = float(variance.mean()), float(np.square(mean).mean())
    live = variance[variance > 0]
    return {
        "dead_channels": float(dead.mean()),
        "channel_scale": scale,
        "channel_mean_square": mean_square,
        "mean_to_variance": mean_square / scale if scale > 0 else None,
        "channel_heterogeneity": float(np.log(live).std()) if len(live) > 1 else None,
    }


def _from_rows(summary: SiteSummary) -> dict[str, float | None]:
    finite = summary.rows.values[np.isfinite(summary.rows.values)]  # float32, in which sorting costs half
    fields: dict[str, float | None] = {}
    if len(finite):
        quantiles = _at(np.sort(finite), np.array(QUANTILES) / 100)
        fields |= {f"p{q}": float(value) for q, value in zip(QUANTILES, quantiles, strict=True)}
        squares = np.subtract(finite, finite.mean(dtype=np.float64), dtype=np.float64)
        np.square(squares, out=squares)
        square = float(squares.mean())
        fields["kurtosis"] = float(np.square(squares, out=squares).mean() / square**2) if square > 0 else None
        middle = _median(np.abs(finite))
        largest = max(abs(float(summary.extremes.low.min())), abs(float(summary.extremes.high.max())))
        fields["massive_activation"] = largest / middle if middle > 0 else None
    return fields | _directions(summary)


def _at(ranked: npt.NDArray[np.float32], shares: Float64) -> Float64:
    """(shares,) quantiles of ascending values, linear between them."""
    place = shares * (len(ranked) - 1)
    below = place.astype(np.int64)
    low, high = (ranked[at].astype(np.float64) for at in (below, np.minimum(below + 1, len(ranked) - 1)))
    return low + (high - low) * (place - below)


def _median(values: npt.NDArray[np.float32]) -> float:
    half = len(values) // 2
    parted = np.partition(values, half)  # 0.14 ms where sorting takes 0.38
    upper = float(parted[half])
    return upper if len(values) % 2 else (float(parted[:half].max()) + upper) / 2


def _directions(summary: SiteSummary) -> dict[str, float | None]:
    values = summary.rows.values[:_ROWS].astype(np.float64)
    whole = np.isfinite(values).all(axis=1)
    values, sample = values[whole], summary.rows.sample[:_ROWS][whole]
    if len(values) < 5:
        return {}
    product = values @ values.T  # (rows, rows)
    trace = float(np.trace(product))
    # Of as many directions as there are rows or channels, the fewer.
    small = values.shape[1] < len(values)
    around = values - values.mean(axis=0)
    centred = around @ around.T  # of the centred rows: a product of rows far from 0 has no digits left to centre
    spectrum = np.clip(np.linalg.eigvalsh(around.T @ around if small else centred), 0.0, None)
    share = spectrum / spectrum.sum() if spectrum.sum() > 0 else np.zeros(1)
    share = share[share > 1e-12]
    length = np.sqrt(np.diag(product))
    scale = np.outer(length, length)
    other = (sample[:, None] != sample[None, :]) & (scale > 0)
    return {
        "effective_rank": float(np.exp(-(share * np.log(share)).sum())) if len(share) else None,
        "participation_ratio": float(participation_ratio(Gram(centred), np.ones((1, len(centred))))[0])
        if len(share)
        else None,
        "conditioning": float(np.linalg.eigvalsh(values.T @ values if small else product)[-1]) * values.shape[1] / trace
        if trace > 0
        else None,
        "cross_sample_cosine": float((product[other] / scale[other]).mean()) if other.any() else None,
    }


def per_channel(summary: SiteSummary) -> dict[str, list[float | None]]:
    """Lists over the channels: means, standard deviations, extremes, zero and non-finite shares."""
    moments, counts = summary.moments.pooled(), summary.counts
    total = np.maximum(counts.total, 1)
    arrays = {
        "channel_means": moments.mean,
        "channel_stds": np.sqrt(moments.variance),
        "channel_mins": summary.extremes.low,
        "channel_maxs": summary.extremes.high,
        "channel_zero_shares": counts.zero / total,
        "channel_nonfinite_shares": counts.nonfinite / total,
    }
    return {name: [_finite(float(value)) for value in values] for name, values in arrays.items()}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value
