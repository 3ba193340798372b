"""Measures of how the samples lie to each other, from the kept rows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GeometryPair:
    """Gram matrices (rows, rows) of the same rows at two checkpoints, centred, and the rows each replicate takes."""

    a: Float64
    b: Float64
    take: npt.NDArray[np.bool_]


def gram(values: Float64) -> Float64:
    """(rows, rows) inner products of the centred rows of ``values`` (rows, channels)."""
    centred = values - values.mean(axis=0)
    product: Float64 = centred @ centred.T
    return product


def unbiased_hsic(k: Float64, m: Float64) -> float:
    """HSIC_1 of Song et al. (2012) from two Gram matrices (n, n), n > 3; for K = M of a linear kernel tr(S^2)."""
    n = len(k)
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    rows_k, rows_m = k.sum(axis=0), m.sum(axis=0)
    trace = float((k * m).sum())
    product = float(rows_k.sum()) * float(rows_m.sum()) / ((n - 1) * (n - 2))
    return (trace + product - 2 * float(rows_k @ rows_m) / (n - 2)) / (n * (n - 3))


def participation_ratio(k: Float64) -> float:
    """tr(S)^2 / tr(S^2) of the covariance behind a Gram matrix, both traces unbiased.

    Between 1 (all variance in one direction) and the number of channels (none stands out); NaN where there is none.
    Unlike the plug-in value it does not sink when there are fewer rows than channels.
    """
    squared = unbiased_hsic(k, k)
    trace = (float(np.trace(k)) - float(k.sum()) / len(k)) / (len(k) - 1)  # a subset of rows has another mean
    return trace**2 / squared if squared > 0 else float("nan")


def linear_cka_distance(pair: GeometryPair) -> Float64:
    """1 - unbiased linear CKA: how much the similarities between samples changed.

    CKA = HSIC_1(K, L) / sqrt(HSIC_1(K, K) HSIC_1(L, L)) (Kornblith 2019; Nguyen 2021 for the unbiased form). 0 is the
    same geometry, about 1 an unrelated one; sampling can take it slightly past 1. Blind to rotations, to a common
    scale and to any shift of the mean: a complement to the other measures, which see just those.
    """
    values = []
    for take in pair.take:
        a, b = pair.a[np.ix_(take, take)], pair.b[np.ix_(take, take)]
        product = unbiased_hsic(a, a) * unbiased_hsic(b, b)
        values.append(1.0 - unbiased_hsic(a, b) / np.sqrt(product) if product > 0 else np.nan)
    return np.array(values)


def effective_rank(pair: GeometryPair) -> Float64:
    """ln of the later over the earlier effective rank, as the participation ratio tr(S)^2/tr(S^2).

    0 is no change, -0.69 half the directions. Blind to which directions they are.
    """
    values = []
    for take in pair.take:
        a, b = (participation_ratio(g[np.ix_(take, take)]) for g in (pair.a, pair.b))
        values.append(np.log(b / a) if a > 0 and b > 0 else np.nan)
    return np.array(values)
