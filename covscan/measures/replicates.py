"""Which blocks of samples go into each replicate of a statistic: all, all but one, or one random half."""

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

FEWEST_GROUPS = 4
"""Fewer groups of samples give neither an interval nor a noise floor worth printing."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Blocks of samples gathered into at most so many groups; ``member`` (groups, blocks) float64 of 0 and 1."""

    member: Float64

    @property
    def count(self) -> int:
        """Number of groups, each with data."""
        return len(self.member)

    def everything(self) -> Float64:
        """(1, blocks) weights that take all."""
        return np.ones((1, self.member.shape[1]))

    def leave_one_out(self) -> Float64:
        """(groups, blocks) weights that leave out one group each."""
        return 1.0 - self.member

    def halves(self, draws: int, seed: int) -> tuple[Float64, Float64]:
        """Two (draws, blocks) arrays of weights: a random half of the groups, and the other half."""
        chosen = _chosen_halves(self.count, draws, seed)
        return chosen @ self.member, (1.0 - chosen) @ self.member


@lru_cache(maxsize=16)
def _chosen_halves(count: int, draws: int, seed: int) -> Float64:
    """(draws, count) of 0 and 1: the same for all sites, and drawn once."""
    generator = np.random.default_rng([seed, count])
    chosen = np.zeros((draws, count))
    for row in chosen:
        row[generator.permutation(count)[: count // 2]] = 1.0
    return chosen


def groups_of(present: npt.NDArray[np.bool_], most: int) -> Groups:
    """Deal the blocks that hold data (``present`` (blocks,)) into at most ``most`` groups."""
    blocks = np.flatnonzero(present)
    count = min(most, len(blocks))
    member = np.zeros((count, len(present)))
    if count:
        member[np.arange(len(blocks)) % count, blocks] = 1.0
    return Groups(member)


def jackknife_error(replicates: Float64) -> Float64:
    """Standard error of a statistic from its values without each group in turn, along axis 0 (Tukey 1958)."""
    n = len(replicates)
    deviation = replicates - replicates.mean(axis=0)
    error: Float64 = np.sqrt((n - 1) / n * np.square(deviation).sum(axis=0))
    return error


def student_quantile(probability: float, freedom: float) -> float:
    """Quantile of Student's t; exact for 1 and 2 degrees of freedom, else Hill's expansion (1970), within 0.2 %."""
    if freedom == 1:
        return math.tan(math.pi * (probability - 0.5))
    if freedom == 2:
        return (2 * probability - 1) * math.sqrt(2 / (4 * probability * (1 - probability)))
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom ** (power + 1) for power, term in enumerate(terms))


def quantile(values: Float64, probability: float) -> float:
    """Quantile of a few ``values`` (n,), linear between them; NaN where one of them is.

    ``numpy.quantile`` takes six times as long.
    """
    ranked = np.sort(values)
    if np.isnan(ranked[-1]):
        return math.nan
    place = probability * (len(ranked) - 1)
    below = int(place)
    low, high = float(ranked[below]), float(ranked[min(below + 1, len(ranked) - 1)])
    return low + (high - low) * (place - below)
