"""What the report's numbers are by their definitions: numpy in float64 on whole activations, nothing streamed.

Written from the formulas in docstrings and papers, and in the plainest way; nothing of covscan is imported.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats as scipy_stats

QUANTILES = (1, 5, 15, 25, 50, 75, 85, 95, 99)


@dataclass(frozen=True)
class Whole:
    """All rows (rows, channels) float64 of one site, with the sample and the block of each row."""

    values: np.ndarray
    sample: np.ndarray
    block: np.ndarray

    def finite_columns(self):
        return [column[np.isfinite(column)] for column in self.values.T]

    def blocks(self, chosen):
        """The rows of some blocks."""
        keep = np.isin(self.block, list(chosen))
        return Whole(self.values[keep], self.sample[keep], self.block[keep])


def variance(column):
    """Population variance, from deviations."""
    if not len(column):
        return math.nan
    from_one = column - column[0]  # exactly 0 where all are equal
    return float(np.mean((from_one - from_one.mean()) ** 2))


def mean(column):
    return float(column[0] + np.mean(column - column[0])) if len(column) else math.nan


def floor_of(*variances, share=1e-3):
    deviations = np.sqrt(np.concatenate([np.asarray(v)[np.isfinite(v)] for v in variances]))
    positive = deviations[deviations > 0]
    return float((share * np.median(positive)) ** 2) if len(positive) else 0.0


def moments(whole):
    columns = whole.finite_columns()
    return np.array([mean(c) for c in columns]), np.array([variance(c) for c in columns]), [len(c) for c in columns]


def described(whole, *, rectified, bounds):
    """The fields of the report's Statistics."""
    values, columns = whole.values, whole.finite_columns()
    everything = np.concatenate(columns)
    found = {
        "samples": len(np.unique(whole.sample)),
        "count": len(everything),
        "zero_share": float(np.mean(values == 0)),
        "nonfinite_share": float(np.mean(~np.isfinite(values))),
        "saturated_share": None if bounds is None else _saturated(values, *bounds),
    }
    if not len(everything):
        return found
    means, variances, counts = moments(whole)
    known = np.array(counts) > 0
    live = variances[known][variances[known] > 0]
    dead = variances[known] <= floor_of(variances)
    if rectified:
        dead = dead | (np.mean(values[:, known] != 0, axis=0) < 0.01)
    scale, square = float(np.mean(variances[known])), float(np.mean(means[known] ** 2))
    found |= {
        "mean": mean(everything),
        "std": math.sqrt(variance(everything)),
        "min": float(everything.min()),
        "max": float(everything.max()),
        "dead_channels": float(np.mean(dead)),
        "channel_scale": scale,
        "channel_mean_square": square,
        "mean_to_variance": square / scale if scale > 0 else None,
        "channel_heterogeneity": float(np.std(np.log(live))) if len(live) > 1 else None,
    }
    found |= {f"p{q}": float(np.quantile(everything, q / 100)) for q in QUANTILES}
    middle = float(np.median(np.abs(everything)))
    found["massive_activation"] = float(np.abs(everything).max()) / middle if middle > 0 else None
    found["kurtosis"] = float(scipy_stats.kurtosis(everything, fisher=False)) if variance(everything) > 0 else None
    return found


def _saturated(values, low, high):
    with np.errstate(invalid="ignore"):
        return float(np.mean(np.isfinite(values) & ((values <= low) | (values >= high))))


def per_channel(whole):
    means, variances, _ = moments(whole)
    columns = whole.finite_columns()
    return {
        "channel_means": means,
        "channel_stds": np.sqrt(variances),
        "channel_mins": [c.min() if len(c) else None for c in columns],
        "channel_maxs": [c.max() if len(c) else None for c in columns],
        "channel_zero_shares": np.mean(whole.values == 0, axis=0),
        "channel_nonfinite_shares": np.mean(~np.isfinite(whole.values), axis=0),
    }


def directions(values, sample):
    """Of finite rows (rows, channels): what a singular value decomposition says."""
    if len(values) < 5:
        return {}
    centred = values - values.mean(axis=0)
    spectrum = np.linalg.svd(centred, compute_uv=False) ** 2
    found = dict.fromkeys(("effective_rank", "participation_ratio", "conditioning", "cross_sample_cosine"))
    if spectrum.sum() > 0:
        share = spectrum / spectrum.sum()
        share = share[share > 1e-12]
        found["effective_rank"] = float(np.exp(scipy_stats.entropy(share)))
        found["participation_ratio"] = participation_ratio(values)
    raw = np.linalg.svd(values, compute_uv=False) ** 2
    if raw.sum() > 0:
        found["conditioning"] = float(raw[0] / raw.sum() * values.shape[1])
    length = np.linalg.norm(values, axis=1)
    there = length > 0
    turned = values[there] / length[there][:, None]
    other = sample[there][:, None] != sample[there]
    found["cross_sample_cosine"] = float(np.mean((turned @ turned.T)[other])) if other.any() else None
    return found


def unbiased_trace_of_product(a, b):
    """HSIC_1 of linear kernels by its sums over distinct quadruples, as Song et al. define it, with U-statistics."""
    k, m = a @ a.T, b @ b.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(m, 0)
    n, one = len(a), np.ones(len(a))
    first = np.trace(k @ m)
    second = (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
    third = 2 / (n - 2) * (one @ k @ m @ one)
    return (first + second - third) / (n * (n - 3))


def participation_ratio(values):
    centred = values - values.mean(axis=0)
    squared = unbiased_trace_of_product(centred, centred)
    trace = float(np.sum(np.var(values, axis=0, ddof=1)))
    return trace**2 / squared if squared > 1e-9 * trace**2 else math.nan  # below that it is what rounding left of 0


def moment_measures(a, b, groups, *, floor_of_second=False):
    """The moment measures between two Wholes; ``groups`` are sets of blocks, one left out at a time.

    The floor under variances is a share of the median deviation of both sides, or of the second alone.
    """
    return fixed_measures(a, b, groups, set(a.block.tolist()), floor_of_second=floor_of_second)


def fixed_measures(a, b, groups, chosen, *, floor_of_second=False):
    """The moment measures over the blocks in ``chosen``; floor, live channels and bias are those of all blocks."""
    (_, var_a, _), (_, var_b, _) = moments(a), moments(b)
    floor = floor_of(var_b) or floor_of(var_a) if floor_of_second else floor_of(var_a, var_b)
    both = np.maximum(var_a, var_b)
    live = np.isfinite(var_a + var_b) & (both > 0) & (both >= floor)
    if not live.any():
        return None
    pooled = np.maximum((var_a + var_b) / 2, floor)[live]
    every = set(a.block.tolist())
    bias = jackknife_variance(a, b, groups, every, live) / pooled
    return _measures(moments(a.blocks(chosen)), moments(b.blocks(chosen)), live, floor, bias)


def halves_measures(whole, groups, first):
    """The moment measures between the blocks in ``first`` and the others of one side."""
    (_, var, _), every = moments(whole), set(whole.block.tolist())
    floor = floor_of(var)
    live = np.isfinite(var) & (var > 0) & (var >= floor)
    if not live.any():
        return None
    n = len(groups)
    without = [moments(whole.blocks(every - group)) for group in groups]
    error = sum(
        (n - 1) / n * np.sum((part - part.mean(axis=0)) ** 2, axis=0)
        for part in (np.array([m[live] for m, _, _ in without]), np.array([np.sqrt(v[live]) for _, v, _ in without]))
    )
    bias = 4 * error / np.maximum(var, floor)[live]  # a half has twice the variance of the whole, and there are two
    return _measures(moments(whole.blocks(first)), moments(whole.blocks(every - first)), live, floor, bias)


def jackknife_variance(a, b, groups, every, live):
    """(live channels,) squared errors of the differences of means and of deviations, each without one group a time."""
    n = len(groups)
    if n < 2:
        return np.zeros(live.sum())
    total = np.zeros(live.sum())
    without = [(moments(a.blocks(every - group)), moments(b.blocks(every - group))) for group in groups]
    for part in (lambda m: m[0], lambda m: np.sqrt(m[1])):
        replicates = np.array([(part(other) - part(one))[live] for one, other in without])
        total += (n - 1) / n * ((replicates - replicates.mean(axis=0)) ** 2).sum(axis=0)
    return total


def _measures(one, other, live, floor, bias):
    (mean_a, var_a, _), (mean_b, var_b, _) = one, other
    pooled = np.maximum((var_a + var_b)[live] / 2, floor)
    difference = (mean_b - mean_a)[live] / np.sqrt(pooled)
    ratio = np.log(np.maximum(var_b, floor)[live] / np.maximum(var_a, floor)[live])
    squared = difference**2 + (np.sqrt(var_b) - np.sqrt(var_a))[live] ** 2 / pooled
    with np.errstate(invalid="ignore"):
        distance = np.sqrt(np.maximum(np.mean(squared - bias), 0.0))
    return {
        "standardized_mean_difference": float(np.mean(np.abs(difference))),
        "log_variance_ratio": float(np.mean(ratio)),
        "absolute_log_variance_ratio": float(np.mean(np.abs(ratio))),
        "gaussian_w2": float(distance),
    }


def distribution_measures(a, b, whole=None):
    """Of rows (rows, channels) of two sides: the mean over channels that vary somewhere.

    What varies, the scale and the edges of the bins are those of ``whole``, the rows of which these are some.
    """
    all_a, all_b = whole or (a, b)
    varying = np.flatnonzero(np.ptp(all_a, axis=0) + np.ptp(all_b, axis=0) > 0)
    if not len(varying):
        return None
    found = {"wasserstein_1": [], "kolmogorov_smirnov": [], "population_stability_index": [], "jensen_shannon": []}
    for channel in varying:
        one, other = a[:, channel], b[:, channel]
        scale = math.sqrt((all_a[:, channel].var() + all_b[:, channel].var()) / 2)
        found["wasserstein_1"].append(scipy_stats.wasserstein_distance(one, other) / (scale or 1.0))
        found["kolmogorov_smirnov"].append(_largest_gap(one, other, 1e-5 * (scale or 1.0)))
        edges = np.quantile(all_a[:, channel], np.arange(1, 10) / 10) + 1e-5 * scale
        p, q = (_shares(each, edges) for each in (one, other))
        middle = (p + q) / 2
        found["population_stability_index"].append(float(np.sum((p - q) * np.log(p / q))))
        found["jensen_shannon"].append(float(np.sum(p * np.log(p / middle) + q * np.log(q / middle)) / 2))
    return {name: float(np.mean(values)) for name, values in found.items()}


def _largest_gap(one, other, same):
    """The largest difference of the two distribution functions, looked at where the next value is a new one."""
    places = np.sort(np.concatenate([one, other]))
    looked = places[:-1][np.diff(places) > same]
    one, other = np.sort(one), np.sort(other)
    gaps = np.searchsorted(one, looked, "right") / len(one) - np.searchsorted(other, looked, "right") / len(other)
    return float(np.abs(gaps).max()) if len(looked) else 0.0


def _shares(values, edges):
    counts = np.array([np.sum((values > low) & (values <= high)) for low, high in
                       zip([-np.inf, *edges], [*edges, np.inf], strict=True)]) + 0.5  # fmt: skip
    return counts / counts.sum()


def geometry_measures(a, b):
    """Of the same rows of two sides."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    own = unbiased_trace_of_product(a, a), unbiased_trace_of_product(b, b)
    cka = unbiased_trace_of_product(a, b) / math.sqrt(own[0] * own[1]) if min(own) > 0 else math.nan
    with np.errstate(invalid="ignore"):
        rank = np.log(participation_ratio(b) / participation_ratio(a))
    return {"linear_cka_distance": 1 - cka, "effective_rank": float(rank)}


def independent_distances(a, b, groups_a, groups_b):
    """Gaussian W2 between sides that saw samples of their own: of all, without each group of one, then of the other.

    None where no channel varies. A channel is measured by a tenth of the median deviation at least, and lives where it
    varies or where its mean moved by more than that.
    """
    (mean_a, var_a, _), (mean_b, var_b, _) = moments(a), moments(b)
    dead, floor = floor_of(var_a, var_b), floor_of(var_a, var_b, share=0.1)
    both = np.maximum(var_a, var_b)
    live = np.isfinite(var_a + var_b) & (both > 0) & (both >= dead)
    live |= (mean_b - mean_a) ** 2 > floor if floor else False
    if not live.any():
        return None
    every_a, every_b = set(a.block.tolist()), set(b.block.tolist())
    without_a = [moments(a.blocks(every_a - group)) for group in groups_a]
    without_b = [moments(b.blocks(every_b - group)) for group in groups_b]
    squared_error = np.zeros(live.sum())
    for without in (without_a, without_b):
        n = len(without)
        for part in (np.array([m[live] for m, _, _ in without]), np.array([np.sqrt(v[live]) for _, v, _ in without])):
            squared_error += (n - 1) / n * np.sum((part - part.mean(axis=0)) ** 2, axis=0)
    bias = squared_error / np.maximum((var_a + var_b)[live] / 2, floor)
    sides = [(moments(a), moments(b))]
    sides += [(one, moments(b)) for one in without_a] + [(moments(a), other) for other in without_b]
    return np.array([_measures(one, other, live, floor, bias)["gaussian_w2"] for one, other in sides])


def welch_half_width(values, count_a, count_b):
    """Half of the 95 % interval of ``values[0]`` from its replicates without groups of one side, then of the other."""
    parts = values[1 : count_a + 1], values[count_a + 1 :]
    squares = [(len(p) - 1) / len(p) * np.sum((p - p.mean()) ** 2) for p in parts]
    freedom = sum(squares) ** 2 / sum(s**2 / (n - 1) for s, n in zip(squares, (count_a, count_b), strict=True))
    return scipy_stats.t.ppf(0.975, freedom) * math.sqrt(sum(squares))
