"""From the readings of many sites to one estimate, and how that stands to a limit."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from covscan.gate.readings import Reading

Standing = Literal["met", "inconclusive", "exceeded"]
GRAVITY: dict[Standing, int] = {"met": 0, "inconclusive": 1, "exceeded": 2}
Tensors = Sequence[Sequence[Reading]]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval, and the reading that it is, None where many made it."""

    value: float
    low: float
    high: float
    reading: Reading | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound and its side: an upper one is exceeded from above, a lower one from below."""

    bound: float
    upper: bool

    def standing(self, found: Estimate | Reading) -> Standing:
        """``exceeded`` where the whole interval lies beyond the limit, ``inconclusive`` where a part of it does."""
        if self.upper:
            beyond, within = found.low > self.bound, found.high <= self.bound
        else:
            beyond, within = found.high < self.bound, found.low >= self.bound
        return "exceeded" if beyond else "met" if within else "inconclusive"


def worst(tensors: Tensors, limit: Limit) -> Estimate:
    """The reading that stands worst to the limit, by its interval first, then by its value.

    Where several keep the limit alike, none of them is named.
    """
    sign = 1 if limit.upper else -1

    def rank(reading: Reading) -> tuple[int, float]:
        return GRAVITY[limit.standing(reading)], sign * reading.value

    readings = sorted((each for tensor in tensors for each in tensor), key=lambda reading: reading.order)
    found = max(readings, key=rank)
    alike = limit.standing(found) == "met" and sum(rank(each) == rank(found) for each in readings) > 1
    return Estimate(found.value, found.low, found.high, None if alike else found)


def median(tensors: Tensors, limit: Limit) -> Estimate:
    """The median of the sites; its interval is that of the medians of the lower and of the upper ends."""
    ends = [_of_tensor(readings, limit) for readings in tensors]
    value, low, high = (statistics.median(column) for column in zip(*ends, strict=True))
    return Estimate(value, low, high)


def share(tensors: Tensors, beyond: float) -> Estimate:
    """The share of sites that are larger than ``beyond``: for sure, by their values, and possibly."""
    ends = [_of_tensor(readings, Limit(beyond, upper=True)) for readings in tensors]
    value, low, high = (sum(each > beyond for each in column) / len(ends) for column in zip(*ends, strict=True))
    return Estimate(value, low, high)


def _of_tensor(readings: Iterable[Reading], limit: Limit) -> tuple[float, float, float]:
    """(value, low, high) of the worst that one site does at any of its checkpoints or pairs."""
    choose: Callable[[Iterable[float]], float] = max if limit.upper else min
    values, lows, highs = zip(*((each.value, each.low, each.high) for each in readings), strict=True)
    return choose(values), choose(lows), choose(highs)
