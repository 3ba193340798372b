"""From loss curves to gains, over paired seeds.

The measure is the area under the training loss: its mean over the steps, each step clipped at the loss of the start, so
that a run that diverges costs no more than one that learned nothing (as in Wortsman et al. 2023). An arm counts at
its own best learning rate, because who adds a normalization also tunes the rate again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from covscan.measures.replicates import student_quantile
from covscan.prove.runs import Curve

Areas = Mapping[int, Sequence[float]]
"""By rung of the ladder of learning rates: the area of each seed, in the order of the seeds."""

_ALIKE = 1e-3
_LAST_PART = 4

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


def speed_up(without: Sequence[Curve], with_: Sequence[Curve]) -> tuple[float, bool] | None:
    """How many times fewer steps reach what the model as it is reaches in the end; True where that is a lower bound.

    Curves are averaged over the seeds and smoothed over a tenth of the steps. None where the arm never gets there.
    """
    slow, fast = _smooth(without), _smooth(with_)
    goal = min(slow)
    reached = next((step for step, loss in enumerate(fast) if loss <= goal), None)
    if reached is None:
        return None
    return (slow.index(goal) + 1) / (reached + 1), reached == 0


def _smooth(curves: Sequence[Curve]) -> list[float]:
    steps = list(zip(*(c.losses for c in curves), strict=True))
    level = [mean(values) if all(map(math.isfinite, values)) else math.inf for values in steps]
    width = max(1, len(level) // 10)
    return [mean(level[max(0, end - width) : end]) for end in range(1, len(level) + 1)]


def _end(curve: Curve) -> float:
    last = curve.losses[-max(1, len(curve.losses) // 10) :]
    return mean(last) if all(map(math.isfinite, last)) else math.inf
