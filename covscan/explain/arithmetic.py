"""Computing a number of a report again from others of it, which were rounded to six digits when it was written."""

import math
from collections.abc import Callable, Mapping

from covscan.report.explanation import Check

ROUNDING = 5e-6
"""The largest relative error of a number with six significant digits."""
_MARGIN = 1.5


def exact(value: float) -> str:
    """A number as the report has it."""
    return f"{value:.6g}"


def computed(
    formula: str, numbers: str, function: Callable[..., float], parts: Mapping[str, float], stated: float
) -> Check:
    """Put ``parts`` into ``function`` and compare with what the report states.

    ``numbers`` is a template of the parts' names in braces. What rounding may do to the result is what it
    does when each part moves by its own rounding error.
    """
    result = function(**parts)
    moved = [abs(function(**{**parts, name: value * (1 + ROUNDING)}) - result) for name, value in parts.items()]
    tolerance = _MARGIN * (sum(moved) + ROUNDING * (abs(result) + abs(stated)))
    shown = numbers.format(**{name: exact(value) for name, value in parts.items()})
    return compared(formula, f"{shown} = {exact(result)}", result, stated, tolerance)


def compared(formula: str, numbers: str, result: float, stated: float, tolerance: float) -> Check:
    """A result against what the report states; further apart than ``tolerance`` they do not agree."""
    agrees = math.isfinite(result) and abs(result - stated) <= tolerance
    return Check(formula=formula, numbers=numbers, stated=exact(stated), agrees=agrees)


def holds(formula: str, numbers: str, stated: str, *, true: bool) -> Check:
    """A statement about numbers that has to be true."""
    return Check(formula=formula, numbers=numbers, stated=stated, agrees=true)
