"""How a shift of the data travels: relative to what it is where the data enter."""

import math

import numpy as np

from covscan.measures import MEASURES
from covscan.measures.compare import Distance
from covscan.measures.result import Result

NAME = "shift_amplification"


def shift_amplification(site: Distance | None, entry: Distance | None) -> Result:
    """``gaussian_w2`` at a site divided by the largest that is significant where the data enter the network.

    Between two data sets through the same weights: 1 passes the shift on, 2 doubles it, 0 leaves nothing of it. Its
    interval comes from leaving out the same samples at both places; it is significant where that interval excludes 1
    and the value is at least 1.5, or at most 1/1.5. Standard deviations are those of each site, so that a linear map of
    single channels gives exactly 1. Blind to what the shift does to shape and correlations; ``entry`` is None where the
    data do not shift beyond noise.
    """
    if entry is None:
        return Result.missing("no shift above noise where the data enter")
    if site is None:
        return Result.missing("every channel is constant on both sides")
    value = float(site.replicates[0] / entry.replicates[0])
    half_width = None
    if site.sampling.same(entry.sampling):
        with np.errstate(divide="ignore", invalid="ignore"):
            half_width = site.sampling.half_width(site.replicates / entry.replicates)
    if half_width is None:
        return Result(value, status="too few samples for an interval")
    low, high = max(value - half_width, 0.0), value + half_width
    material = value == 0.0 or abs(math.log(value)) >= math.log(MEASURES[NAME].material)
    return Result(value, None, low, high, significant=material and not low <= 1.0 <= high)
