"""How far a value may be from its baseline before it counts as another."""

import math
from statistics import NormalDist

from covscan.config.policy import Tolerances
from covscan.gate.baseline_types import KnownValue

_ERROR_RATE = 0.05
_SLACK = 1e-9
"""Relative; what is left of a difference of two decimals in binary."""


def tolerance(known: KnownValue, now: KnownValue, given: Tolerances, compared: int) -> float | None:
    """The difference that is borne, in the unit of the value; None where nothing says how large it is.

    The larger of ``relative`` times the baseline's size and ``absolute``, where one of them is given. Otherwise the
    measured noise: the half widths of the two 95 % intervals added in quadrature, which is the 95 % interval of a
    difference between two independent samples; wider for the number of values ``compared``, so that 95 % of *runs* and
    not of values pass (Bonferroni, one-sided); and never less than a noise floor, below which values mean nothing.
    The same samples and seed give the same values and no difference, so this bears what another sample would do.

    Measured with the default measures and statistics on disjoint samples of the digits, same checkpoints (64 and 256
    samples, two networks, 532 pairs): the half widths alone fail 27 % of the runs, with the noise floors 3 % (8 % of
    one network's), widened as well 0.2 %. That is of values: findings are thresholds without a tolerance, and another
    sample showed a new one in up to 14 % of the runs at 256 samples. ``wasserstein_1`` is the exception: where a site
    was nearly constant before, its interval is too narrow by far, and it wants ``relative``.
    """
    if given.relative is not None or given.absolute is not None:
        return max((given.relative or 0.0) * abs(known.value), given.absolute or 0.0)
    widths = [each.half_width for each in (known, now) if each.half_width is not None]
    floors = [each.noise for each in (known, now) if each.noise is not None]
    if not widths and not floors:
        return None
    return max(widening(compared) * math.hypot(*widths), *floors, 0.0)


def widening(compared: int) -> float:
    """What the half width of a 95 % interval is multiplied by so that one of ``compared`` leaves it in 5 % of runs."""
    normal = NormalDist()
    return max(normal.inv_cdf(1 - _ERROR_RATE / max(compared, 1)) / normal.inv_cdf(0.975), 1.0)


def apart(a: float, b: float, borne: float) -> bool:
    """Whether two values are further apart than what is borne, whichever is larger."""
    return abs(a - b) - borne > _SLACK * max(abs(a), abs(b))


def excess(baseline: float, value: float, borne: float) -> float:
    """By how much the value's size is above what is borne; 0 where it is not, negative where it is below by more."""
    difference = abs(value) - abs(baseline)
    beyond = abs(difference) - borne
    if beyond <= _SLACK * max(abs(value), abs(baseline)):
        return 0.0
    return math.copysign(beyond, difference)
