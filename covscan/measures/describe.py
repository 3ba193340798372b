"""What is said of one site at one checkpoint."""

from bisect import bisect_left
from typing import Any

import numpy as np
import numpy.typing as npt

from covscan.measures.geometry import largest_squared_singular_value, participation_ratio
from covscan.measures.views import GRAM_ROWS, Kept, variance_floor
from covscan.stats import Moments, SiteSummary

Float64 = npt.NDArray[np.float64]

QUANTILES = (1, 5, 15, 25, 50, 75, 85, 95, 99)
_ACTIVE_SHARE = 0.01


def describe(kept: Kept, *, rectified: bool, saturating: bool) -> dict[str, Any]:
    """The fields of the report's Statistics for one summary, None where a value does not exist.

    Means, variances, extremes and shares are exact over what was read; percentiles, kurtosis and everything about
    directions come from the kept rows. ``rectified`` counts a unit that is almost always 0 as dead; ``saturating``
    says that the site has flat ends.
    """
    summary = kept.summary
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
    fields |= _from_rows(kept)
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


def _from_rows(kept: Kept) -> dict[str, float | None]:
    summary = kept.summary
    finite = summary.rows.values[np.isfinite(summary.rows.values)]  # float32, in which sorting costs half
    fields: dict[str, float | None] = {}
    if len(finite):
        ranked = np.sort(finite)
        quantiles = _at(ranked, np.array(QUANTILES) / 100)
        fields |= {f"p{q}": float(value) for q, value in zip(QUANTILES, quantiles, strict=True)}
        squares = np.subtract(finite, finite.mean(dtype=np.float64), dtype=np.float64)
        np.square(squares, out=squares)
        square = float(squares.mean())
        fields["kurtosis"] = float(np.square(squares, out=squares).mean() / square**2) if square > 0 else None
        middle = _median_size(ranked)
        largest = max(abs(float(summary.extremes.low.min())), abs(float(summary.extremes.high.max())))
        fields["massive_activation"] = largest / middle if middle > 0 else None
    return fields | _directions(kept)


def _at(ranked: npt.NDArray[np.float32], shares: Float64) -> Float64:
    """(shares,) quantiles of ascending values, linear between them."""
    place = shares * (len(ranked) - 1)
    below = place.astype(np.int64)
    low, high = (ranked[at].astype(np.float64) for at in (below, np.minimum(below + 1, len(ranked) - 1)))
    return low + (high - low) * (place - below)


def _median_size(ranked: npt.NDArray[np.float32]) -> float:
    """Median of the absolute values of ascending ones, which are two ascending rows: a search takes no time."""
    split = int(np.searchsorted(ranked, 0.0))
    positive, negative = ranked[split:], ranked[:split][::-1]
    half = len(ranked) // 2
    upper = _kth_size(positive, negative, half)
    return upper if len(ranked) % 2 else (_kth_size(positive, negative, half - 1) + upper) / 2


def _kth_size(positive: npt.NDArray[np.float32], negative: npt.NDArray[np.float32], k: int) -> float:
    """The ``k``-th smallest size, from 0, of values that both ascend in it."""
    least, most = max(0, k + 1 - len(negative)), min(k + 1, len(positive))
    taken = least + bisect_left(range(least, most), True, key=lambda number: positive[number] >= -negative[k - number])
    rest = k + 1 - taken
    last = [float(positive[taken - 1])] if taken else []
    return max([*last, -float(negative[rest - 1])] if rest else last)


def _directions(kept: Kept) -> dict[str, float | None]:
    values, sample = kept.whole.values[:GRAM_ROWS], kept.summary.rows.sample[kept.finite][:GRAM_ROWS]
    if len(values) < 5:
        return {}
    gram = kept.whole.gram  # of centred rows: a product of rows far from 0 has no digits left to centre
    around = values - values.mean(axis=0)
    # Of as many directions as there are rows or channels, the fewer.
    small = values.shape[1] < len(values)
    spectrum = np.clip(np.linalg.eigvalsh(around.T @ around if small else gram.whole), 0.0, None)
    share = spectrum / spectrum.sum() if spectrum.sum() > 0 else np.zeros(1)
    share = share[share > 1e-12]
    trace = float(np.square(values).sum())
    return {
        "effective_rank": float(np.exp(-(share * np.log(share)).sum())) if len(share) else None,
        "participation_ratio": float(participation_ratio(gram, np.ones((1, len(values))))[0]) if len(share) else None,
        "conditioning": largest_squared_singular_value(values) * values.shape[1] / trace if trace > 0 else None,
        "cross_sample_cosine": _cross_sample_cosine(values, sample),
    }


def _cross_sample_cosine(values: Float64, sample: npt.NDArray[np.int64]) -> float | None:
    """Mean cosine of pairs of rows from different samples, None where there is no such pair.

    The cosines of all pairs add up to the squared length of the sum of rows of length one, and so do those of each
    sample's own, which are taken out.
    """
    order = np.argsort(sample, kind="stable")
    length = np.sqrt(np.square(values).sum(axis=1))[order]
    there = length > 0
    order, sample = order[there], sample[order[there]]
    starts = np.flatnonzero(np.diff(sample, prepend=-1))
    sizes = np.diff(starts, append=len(sample))
    pairs = len(sample) ** 2 - int(np.square(sizes).sum())
    if not pairs:
        return None
    own = np.add.reduceat(values[order] / length[there][:, None], starts, axis=0)
    return float((np.square(own.sum(axis=0)).sum() - np.square(own).sum()) / pairs)


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
