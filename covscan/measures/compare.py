"""Comparing one site at two checkpoints by every measure of the registry."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from covscan.measures import MEASURES, Family
from covscan.measures.geometry import GeometryPair, participation_ratio
from covscan.measures.replicates import FEWEST_GROUPS, Groups, groups_of, jackknife_error, student_quantile
from covscan.measures.result import Result, judge
from covscan.measures.views import distribution_pair, geometry_pair, half_moment_pair, moment_pair, paired_rows
from covscan.registry import resolve
from covscan.stats import SiteSummary

Float64 = npt.NDArray[np.float64]
Noise = Mapping[str, float]

SIGNED = frozenset({"log_variance_ratio", "effective_rank", "excess_log_variance_ratio"})
_MOMENT_GROUPS, _MOMENT_DRAWS = 32, 64
_ROW_GROUPS, _ROW_DRAWS = 16, 16
_FALSE_DISCOVERY_RATE = 0.05
_MATERIAL_MEAN = 0.2


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every measure between two checkpoints of one site."""

    measures: dict[str, Result]
    channels_shifted: float | None


def family(name: Family) -> dict[str, Callable[[Any], Float64]]:
    """The functions of one family of measures, by name."""
    return {measure: resolve(spec.target) for measure, spec in MEASURES.items() if spec.family == name}


def noise_floors(summary: SiteSummary, seed: int) -> dict[str, float]:
    """95th percentile of each measure between random halves of one checkpoint's samples.

    64 draws for moments, 16 for what needs the rows. Empty where there are fewer than four blocks of samples.
    ``linear_cka_distance`` compares the same samples, so it has no such floor: see ``compare``.
    """
    floors: dict[str, float] = {}
    groups = _groups(summary, summary, _MOMENT_GROUPS)
    if groups.count < FEWEST_GROUPS:
        return floors
    first, second = groups.halves(_MOMENT_DRAWS, seed)
    moments = half_moment_pair(summary, first, second, groups)
    if moments.live.any():
        floors |= {name: _high(measure(moments)) for name, measure in family("moments").items()}
    few = _groups(summary, summary, _ROW_GROUPS)
    first, second = few.halves(_ROW_DRAWS, seed)
    rows = paired_rows(summary.rows, summary.rows)
    sorted_rows = distribution_pair(rows, first, second)
    if sorted_rows is not None:
        floors |= {name: _high(measure(sorted_rows)) for name, measure in family("distribution").items()}
    one, other = geometry_pair(rows, first), geometry_pair(rows, second)
    if one is not None and other is not None:
        floors["effective_rank"] = _high(_log_rank(one) - _log_rank(other))
    return {name: floor for name, floor in floors.items() if math.isfinite(floor)}


def _log_rank(pair: GeometryPair) -> Float64:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log(participation_ratio(pair.a, pair.take))


def _high(values: Float64) -> float:
    return float(np.quantile(np.abs(values), 0.95))


def compare(a: SiteSummary, b: SiteSummary, noise_a: Noise, noise_b: Noise, seed: int) -> Comparison:
    """Every measure of moments, distributions and geometry from checkpoint ``a`` to ``b``."""
    if a.channels != b.channels:
        reason = f"{a.channels} channels at one checkpoint and {b.channels} at the other"
        return Comparison({name: Result.missing(reason) for name in _measured()}, None)
    noise = {name: max(noise_a[name], noise_b[name]) for name in noise_a.keys() & noise_b.keys()}
    results = _by_moments(a, b, noise)
    results |= _by_rows(a, b, noise, seed)
    return Comparison({name: results[name] for name in _measured()}, _channels_shifted(a, b))


def _measured() -> list[str]:
    return [name for name, spec in MEASURES.items() if spec.family != "derived"]


def _by_moments(a: SiteSummary, b: SiteSummary, noise: Noise) -> dict[str, Result]:
    groups = _groups(a, b, _MOMENT_GROUPS)
    weights = np.concatenate([groups.everything(), groups.leave_one_out()])
    pair = moment_pair(a, b, weights, groups)
    if not pair.live.any():
        return dict.fromkeys(family("moments"), Result.missing("every channel is constant at both checkpoints"))
    return {name: _judged(name, measure(pair), groups, noise.get(name)) for name, measure in family("moments").items()}


def _by_rows(a: SiteSummary, b: SiteSummary, noise: Noise, seed: int) -> dict[str, Result]:
    groups = _groups(a, b, _ROW_GROUPS)
    weights = np.concatenate([groups.everything(), groups.leave_one_out()])
    rows = paired_rows(a.rows, b.rows)
    results: dict[str, Result] = {}
    pair = distribution_pair(rows, weights, weights)
    for name, measure in family("distribution").items():
        if pair is None:
            results[name] = Result.missing("no channel varies in the kept rows")
        else:
            results[name] = _judged(name, measure(pair), groups, noise.get(name))
    geometry = geometry_pair(rows, weights)
    halves = geometry_pair(rows, groups.halves(_ROW_DRAWS, seed)[0]) if groups.count >= FEWEST_GROUPS else None
    for name, measure in family("geometry").items():
        if geometry is None:
            results[name] = Result.missing("fewer than five rows to compare")
            continue
        floor = noise.get(name)
        if name == "linear_cka_distance" and halves is not None:
            floor = _split_spread(measure(halves))
        results[name] = _judged(name, measure(geometry), groups, floor)
    return results


def _split_spread(values: Float64) -> float | None:
    """How much a measure of the same samples differs between halves of them: it has no floor of its own."""
    finite = values[np.isfinite(values)]
    return float(np.quantile(np.abs(finite - np.median(finite)), 0.95)) if len(finite) else None


def _judged(name: str, values: Float64, groups: Groups, noise: float | None) -> Result:
    return judge_replicates(name, float(values[0]), values[1:], groups.count, noise)


def judge_replicates(name: str, value: float, replicates: Float64, groups: int, noise: float | None) -> Result:
    """A measure's result from its value and its leave-one-group-out replicates."""
    half_width = None
    if groups >= FEWEST_GROUPS and np.isfinite(replicates).all():
        half_width = student_quantile(0.975, groups - 1) * float(jackknife_error(replicates))
    return judge(value, noise, half_width, MEASURES[name].material, signed=name in SIGNED)


def _groups(a: SiteSummary, b: SiteSummary, most: int) -> Groups:
    present = (a.moments.count.sum(axis=1) > 0) & (b.moments.count.sum(axis=1) > 0)
    return groups_of(present, most)


def _channels_shifted(a: SiteSummary, b: SiteSummary) -> float | None:
    """Share of channels that moved by over 0.2 sd at a false discovery rate of 5 % (Benjamini, Hochberg 1995)."""
    groups = _groups(a, b, _MOMENT_GROUPS)
    if groups.count < FEWEST_GROUPS:
        return None
    pair = moment_pair(a, b, np.concatenate([groups.everything(), groups.leave_one_out()]), groups)
    if not pair.live.any():
        return None
    difference = pair.difference()
    error = jackknife_error(difference[1:])
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(difference[0] == 0, 0.0, np.abs(difference[0]) / error)
    normal = NormalDist()
    p = np.array([2 * normal.cdf(-float(value)) for value in z])
    ranks = np.argsort(np.argsort(p))
    passed = p <= _FALSE_DISCOVERY_RATE * (ranks + 1) / len(p)
    limit = p[passed].max() if passed.any() else -1.0
    return float(np.mean((p <= limit) & (np.abs(difference[0]) > _MATERIAL_MEAN)))
