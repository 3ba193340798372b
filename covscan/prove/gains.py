"""From loss curves to gains, over paired seeds.

The measure is the area under the training loss: its mean over the steps, each step clipped at the loss of the start, so
that a run that diverges costs no more than one that learned nothing (as in Wortsman et al. 2023). An arm counts at
its own best learning rate, because who adds a normalization also tunes the rate again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile
from statistics import fmean, mean, pvariance, stdev
from typing import Literal

from covscan.measures.replicates import student_quantile
from covscan.prove.runs import Curve

Areas = Mapping[int, Sequence[float]]
"""By rung of the ladder of learning rates: the area of each seed, in the order of the seeds."""

_ALIKE = 1e-3
_LAST_PART = 4

_WINDOW = 0.15
"""Half of a window that a curve is smoothed over, relative to the step in its middle.

Over 200 simulated steps of exponential and power-law losses, 5 to 30 % of noise, three or five seeds, true speed-ups of
1.5, 3 and 8 were found as 1.46-1.50, 2.9-3.0 and 7.5-7.9; windows of a tenth of all steps found 5.5 for 8.
"""

RUNG = math.sqrt(10)
"""Neighbouring learning rates of a search differ by this factor."""


@dataclass(frozen=True, slots=True)
class Gain:
    """Relative change of an area against the model as it is, positive where it got smaller; at most 1.

    ``value`` is the mean over the seeds and ``by_seed`` each seed's own; ``low`` and ``high`` bound a 90 % interval (t
    over the paired seeds), None with one seed.
    """

    value: float
    low: float | None
    high: float | None
    by_seed: tuple[float, ...]

    @property
    def error(self) -> float | None:
        """Standard error over the seeds."""
        return stdev(self.by_seed) / math.sqrt(len(self.by_seed)) if len(self.by_seed) > 1 else None


def area(curve: Curve, start: float, full: int = 0) -> float:
    """Mean over the steps of the loss, clipped at ``start``.

    Of a training that would go on to ``full`` steps the rest counts at the level of the curve's last quarter, as where
    a short trial stands for a longer training: a place that is slow at first but gets lower is not undervalued.
    """
    losses = [clipped(loss, start) for loss in curve.losses]
    rest = max(0, full - len(losses))
    if not rest:
        return mean(losses)
    level = mean(losses[-max(1, len(losses) // _LAST_PART) :])
    return (sum(losses) + rest * level) / (len(losses) + rest)


def clipped(loss: float, start: float) -> float:
    """The loss, or that of the start where it is larger or not finite."""
    return min(loss, start) if math.isfinite(loss) else start


def best_rung(areas: Areas) -> int:
    """The rung with the least mean area; of those within a thousandth of it the one nearest to rung 0."""
    least = min(mean(values) for values in areas.values())
    near = [rung for rung, values in areas.items() if mean(values) <= least + abs(least) * _ALIKE]
    return min(near, key=lambda rung: (abs(rung), rung))


def gain(without: Sequence[float], with_: Sequence[float]) -> Gain:
    """Relative change from paired areas, each relative to the mean without."""
    scale = mean(without)
    differences = tuple((a - b) / scale if scale > 0 else 0.0 for a, b in zip(without, with_, strict=True))
    value = mean(differences)
    if len(differences) < 2:
        return Gain(value, None, None, differences)
    reach = student_quantile(0.95, len(differences) - 1) * stdev(differences) / math.sqrt(len(differences))
    return Gain(value, value - reach, value + reach, differences)


def largest_stable(curves: Mapping[int, Sequence[Curve]], starts: Sequence[float]) -> int | None:
    """The highest rung at which every seed stays finite and ends below its start, None where none does."""
    return max((rung for rung, seeds in curves.items() if stable(seeds, starts)), default=None)


def stable(seeds: Sequence[Curve], starts: Sequence[float]) -> bool:
    """Whether every seed stays finite and ends below its start."""
    return all(all(map(math.isfinite, c.losses)) and _end(c) < start for c, start in zip(seeds, starts, strict=True))


Bound = Literal["exactly", "at least", "at most"]


@dataclass(frozen=True, slots=True)
class SpeedUp:
    """How many times fewer steps reach the same loss, the lowest that both arms reach; below 1 where it takes more.

    ``bound`` says that it may be more, because the arm was there at its first step, or less, because the model as it is
    was. ``low`` and ``high`` bound a 90 % interval; None where that end is open, and both with one seed.
    """

    value: float
    bound: Bound
    low: float | None
    high: float | None


def speed_up(without: Sequence[Curve], with_: Sequence[Curve]) -> SpeedUp | None:
    """How many times fewer steps the second arm needs for a loss than the first, over paired seeds.

    Curves are averaged over the seeds and smoothed over steps within 15 % of each other, the same share everywhere, so
    that a fast arm is not slowed down by it. The interval is a jackknife's over the seeds, in the logarithm, with t; a
    seed that opens an end when it is left out opens that of the interval. None where an arm has no finite loss.
    """
    pairs = list(zip(without, with_, strict=True))
    whole, count = _ratio(pairs), len(pairs)
    if whole is None:
        return None
    left_out = [_ratio([*pairs[:seed], *pairs[seed + 1 :]]) for seed in range(count)] if count > 1 else []
    parts = [part for part in left_out if part is not None]
    if not parts:
        return SpeedUp(math.exp(whole[0]), whole[1], None, None)
    spread = (count - 1) * pvariance([value for value, _ in parts])
    reach = student_quantile(0.95, count - 1) * math.sqrt(spread)
    bounds = {bound for _, bound in (whole, *parts)}
    return SpeedUp(
        math.exp(whole[0]),
        whole[1],
        None if "at most" in bounds else math.exp(whole[0] - reach),
        None if "at least" in bounds else math.exp(whole[0] + reach),
    )


def _ratio(pairs: Sequence[tuple[Curve, Curve]]) -> tuple[float, Bound] | None:
    """Logarithm of the ratio of the steps at which two mean curves reach the lowest loss that both do."""
    slow, fast = (_smooth([pair[arm] for pair in pairs]) for arm in (0, 1))
    if not slow or not fast:
        return None
    goal = max(min(loss for _, loss in curve) for curve in (slow, fast))
    before, after = _passage(slow, goal), _passage(fast, goal)
    bound: Bound = "exactly" if before == after or min(before, after) > 1 else "at least" if after <= 1 else "at most"
    return math.log(before / after), bound


def _passage(curve: Sequence[tuple[float, float]], goal: float) -> float:
    """The step at which a curve first comes down to a loss, between two steps where it lies there."""
    place = next(place for place, (_, loss) in enumerate(curve) if loss <= goal)
    step, loss = curve[place]
    if place == 0:
        return step
    before, above = curve[place - 1]
    return before + (step - before) * (above - goal) / (above - loss)


def _smooth(curves: Sequence[Curve]) -> list[tuple[float, float]]:
    """Mean step, from 1 on, and mean loss of a window around each step, as far as every curve is finite."""
    steps = zip(*(curve.losses for curve in curves), strict=True)
    level = [fmean(losses) for losses in takewhile(lambda losses: all(map(math.isfinite, losses)), steps)]
    total = list(accumulate(level, initial=0.0))
    found = []
    for step in range(1, len(level) + 1):
        reach = int(_WINDOW * step)
        first, last = step - reach, min(step + reach, len(level))
        found.append(((first + last) / 2, (total[last] - total[first - 1]) / (last - first + 1)))
    return found


def _end(curve: Curve) -> float:
    last = curve.losses[-max(1, len(curve.losses) // 10) :]
    return mean(last) if all(map(math.isfinite, last)) else math.inf
