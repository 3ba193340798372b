"""How far a short trial's gain may be from what the full protocol measures.

The seeds of a trial tell how much the batches matter, but not how a longer training or other seeds would differ. That
part was measured once, on the instances of ``benchmarks/normgain``.
"""

import math
from collections.abc import Sequence
from statistics import median, variance

from covscan.prove.gains import Gain
from covscan.prove.types import Estimate

MODEL_ERROR = 0.05
"""Standard deviation of (gain by the full protocol - gain by the trial) beyond the seeds' own, at ``HORIZON`` steps.

It grows as one over the square root of a shorter horizon: with three seeds the whole error was 0.05 at 120 steps, 0.08
at 60 and 0.13 at 30, over 15 instances.
"""
HORIZON = 120
SLOPE_ERROR = 0.1
"""The same, for each unit of gain."""
Z = 1.6449
"""Of a normal distribution, 90 % lies within so many standard deviations."""
_POOLED = 4
"""How many degrees of freedom the spread that all places share counts for beside a place's own."""


def pooled_variance(gains: Sequence[Gain]) -> float:
    """Variance between seeds at the median place; 0 where each has only one seed.

    The median, because a place where one seed diverged says nothing of how much seeds matter at the others.
    """
    found = [variance(each.by_seed) for each in gains if len(each.by_seed) > 1]
    return median(found) if found else 0.0


def calibrated(found: Gain, pooled: float, steps: int) -> Estimate:
    """A gain with the 90 % interval in which the full protocol's gain is expected; ``steps`` is the trial's horizon.

    The seeds' spread counts twice, since the protocol's own seeds are others and differ as much.
    """
    seeds = len(found.by_seed)
    own = variance(found.by_seed) if seeds > 1 else 0.0
    spread = (own * (seeds - 1) + pooled * _POOLED) / (seeds - 1 + _POOLED)
    model = MODEL_ERROR**2 * max(1.0, HORIZON / steps)
    reach = Z * math.sqrt(2 * spread / seeds + model + (SLOPE_ERROR * found.value) ** 2)
    return Estimate(found.value, found.value - reach, min(1.0, found.value + reach))
