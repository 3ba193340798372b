"""Comparing one site at two checkpoints, on two data sets or in two models, by every measure of the registry."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from covscan.measures import MEASURES, SIGNED, Family
from covscan.measures.geometry import Gram, participation_ratio
from covscan.measures.moments import MomentPair, gaussian_w2
from covscan.measures.replicates import FEWEST_GROUPS, groups_of, quantile
from covscan.measures.result import Result, judge
from covscan.measures.sampling import Sampling, sampling_of
from covscan.measures.views import (
    Kept,
    RowPair,
    distribution_pair,
    geometry_pair,
    half_moment_pair,
    moment_pair,
    row_pair,
)
from covscan.registry import resolve

Float64 = npt.NDArray[np.float64]
Noise = Mapping[str, float]

_MOMENT_GROUPS, _MOMENT_DRAWS = 32, 64
_ROW_GROUPS, _ROW_DRAWS = 16, 16
_FALSE_DISCOVERY_RATE = 0.05
_MATERIAL_MEAN = 0.2
SAME_SAMPLES = "needs the same samples on both sides"


@dataclass(frozen=True, slots=True)
class Distance:
    """``gaussian_w2`` in every replicate of the samples, (replicates,), and how these were drawn."""

    replicates: Float64
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every measure between two sides of one site; ``distance`` is None where no channel varies."""

    measures: dict[str, Result]
    channels_shifted: float | None
    distance: Distance | None


def family(name: Family) -> dict[str, Callable[[Any], Float64]]:
    """The functions of one family of measures, by name."""
    return {measure: resolve(spec.target) for measure, spec in MEASURES.items() if spec.family == name}


def noise_floors(kept: Kept, seed: int, *, paired: bool = True) -> dict[str, float]:
    """95th percentile of each measure between random halves of one side's samples; ``paired`` see ``compare``.

    64 draws for moments, 16 for what needs the rows. Empty where there are fewer than four blocks of samples.
    ``linear_cka_distance`` compares the same samples, so it has no such floor: see ``compare``.
    """
    floors: dict[str, float] = {}
    summary = kept.summary
    present = summary.moments.count.sum(axis=1) > 0
    groups = groups_of(present, _MOMENT_GROUPS)
    if groups.count < FEWEST_GROUPS:
        return floors
    first, second = groups.halves(_MOMENT_DRAWS, seed)
    moments = half_moment_pair(kept, first, second, Sampling(groups, groups, paired=True), paired=paired)
    if moments.live.any():
        floors |= {name: _high(measure(moments)) for name, measure in family("moments").items()}
    few = groups_of(present, _ROW_GROUPS)
    first, second = few.halves(_ROW_DRAWS, seed)
    rows = row_pair(kept, kept, paired=True)
    sorted_rows = distribution_pair(rows, first, second)
    if sorted_rows is not None:
        floors |= {name: _high(measure(sorted_rows)) for name, measure in family("distribution").items()}
    halves = geometry_pair(rows, first, second)
    if halves is not None:
        floors["effective_rank"] = _high(_log_rank(halves.a, halves.take_a) - _log_rank(halves.b, halves.take_b))
    return {name: floor for name, floor in floors.items() if math.isfinite(floor)}


def _log_rank(gram: Gram, take: Float64) -> Float64:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log(participation_ratio(gram, take))


def _high(values: Float64) -> float:
    return quantile(np.abs(values), 0.95)


def compare(a: Kept, b: Kept, noise_a: Noise, noise_b: Noise, seed: int, *, paired: bool = True) -> Comparison:
    """Every measure of moments, distributions and geometry from side ``a`` to side ``b``.

    ``paired`` says that both saw the same samples: chance is then one jackknife of the differences. Where each saw
    samples of its own, it is two, whose squares add up, and what compares sample by sample cannot be taken. Between
    two random disjoint draws of 256 digits ``gaussian_w2`` was significant at 1 of 3,000 sites of two small networks
    (100 pairs of draws each), and no other measure at any.
    """
    one, other = a.summary, b.summary
    if one.channels != other.channels:
        reason = f"{one.channels} channels on one side and {other.channels} on the other"
        return Comparison({name: Result.missing(reason) for name in _measured()}, None, None)
    noise = {name: max(noise_a[name], noise_b[name]) for name in noise_a.keys() & noise_b.keys()}
    sampling = sampling_of(one, other, _MOMENT_GROUPS, paired=paired)
    pair = moment_pair(a, b, sampling)
    results = _by_moments(pair, sampling, noise) | _by_rows(a, b, noise, seed, paired)
    return Comparison(
        {name: results[name] for name in _measured()},
        _channels_shifted(pair, sampling),
        Distance(gaussian_w2(pair), sampling) if pair.live.any() else None,
    )


def _measured() -> list[str]:
    return [name for name, spec in MEASURES.items() if spec.family != "derived"]


def _by_moments(pair: MomentPair, sampling: Sampling, noise: Noise) -> dict[str, Result]:
    if not pair.live.any():
        return dict.fromkeys(family("moments"), Result.missing("every channel is constant on both sides"))
    return {
        name: judge_replicates(name, measure(pair), sampling, noise.get(name))
        for name, measure in family("moments").items()
    }


def _by_rows(a: Kept, b: Kept, noise: Noise, seed: int, paired: bool) -> dict[str, Result]:
    sampling = sampling_of(a.summary, b.summary, _ROW_GROUPS, paired=paired)
    weights = sampling.weights()
    rows = row_pair(a, b, paired=paired)
    results: dict[str, Result] = {}
    pair = distribution_pair(rows, *weights)
    for name, measure in family("distribution").items():
        if pair is None:
            results[name] = Result.missing("no channel varies in the kept rows, or too few of them are finite")
        else:
            results[name] = judge_replicates(name, measure(pair), sampling, noise.get(name))
    return results | _by_geometry(rows, sampling, noise, seed)


def _by_geometry(rows: RowPair, sampling: Sampling, noise: Noise, seed: int) -> dict[str, Result]:
    weights = sampling.weights()
    pair = geometry_pair(rows, *weights)
    half = sampling.a.halves(_ROW_DRAWS, seed)[0] if sampling.paired and sampling.enough else None
    halves = None if half is None else geometry_pair(rows, half, half)
    results: dict[str, Result] = {}
    for name, measure in family("geometry").items():
        same_samples = MEASURES[name].same_samples
        if same_samples and not sampling.paired:
            results[name] = Result.missing(SAME_SAMPLES)
        elif pair is None:
            results[name] = Result.missing("fewer than five rows to compare")
        else:
            floor = _split_spread(measure(halves)) if same_samples and halves is not None else noise.get(name)
            results[name] = judge_replicates(name, measure(pair), sampling, floor)
    return results


def _split_spread(values: Float64) -> float | None:
    """How much a measure of the same samples differs between halves of them: it has no floor of its own."""
    finite = values[np.isfinite(values)]
    return quantile(np.abs(finite - quantile(finite, 0.5)), 0.95) if len(finite) else None


def judge_replicates(name: str, replicates: Float64, sampling: Sampling, noise: float | None) -> Result:
    """A measure's result from its replicates, the first of which is its value."""
    half_width = sampling.half_width(replicates)
    return judge(float(replicates[0]), noise, half_width, MEASURES[name].material, signed=name in SIGNED)


def _channels_shifted(pair: MomentPair, sampling: Sampling) -> float | None:
    """Share of channels that moved by over 0.2 sd at a false discovery rate of 5 % (Benjamini, Hochberg 1995)."""
    if not sampling.enough or not pair.live.any():
        return None
    difference = pair.difference
    error = sampling.error(difference)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(difference[0] == 0, 0.0, np.abs(difference[0]) / error)
    p = np.array([math.erfc(value) for value in (z / math.sqrt(2)).tolist()])  # two-sided, of a normal distribution
    ranks = np.argsort(np.argsort(p))
    passed = p <= _FALSE_DISCOVERY_RATE * (ranks + 1) / len(p)
    limit = p[passed].max() if passed.any() else -1.0
    return float(np.mean((p <= limit) & (np.abs(difference[0]) > _MATERIAL_MEAN)))
