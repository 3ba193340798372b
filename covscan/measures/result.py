"""What a measure gives: a value with what sampling alone would give, or the reason why there is none."""

import math
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Result:
    """A value, the noise floor, and the ends of the paired 95 % interval; None where ``status`` says why."""

    value: float | None
    noise: float | None = None
    low: float | None = None
    high: float | None = None
    significant: bool = False
    status: str | None = None

    @classmethod
    def missing(cls, reason: str) -> Self:
        """A measure that could not be taken."""
        return cls(None, status=reason)


def judge(value: float, noise: float | None, half_width: float | None, material: float, *, signed: bool) -> Result:
    """Put the interval around a value and decide whether it clears both the noise and the effect size.

    ``signed`` measures keep negative ends; the others are distances and cannot go below 0. Without an interval or a
    noise floor nothing is significant.
    """
    if not math.isfinite(value):
        return Result.missing("not finite: no variance left to compare")
    if half_width is None or not math.isfinite(half_width):
        return Result(value, noise, status="too few samples for an interval")
    low, high = value - half_width, value + half_width
    nearest = 0.0 if low <= 0.0 <= high else min(abs(low), abs(high))
    if not signed:
        low = max(low, 0.0)
    clears = noise is not None and nearest > noise and abs(value) >= material
    return Result(value, noise, low, high, significant=clears)
