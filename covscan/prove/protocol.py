"""An arm over a ladder of learning rates, and arms against each other."""

import math
from dataclasses import dataclass
from statistics import mean

from covscan.prove.gains import RUNG, Gain, area, best_rung, clipped, gain
from covscan.prove.runs import Arm, Bench, Curve

_SOFTNESS = 0.1
"""Rates whose mean area is so much above the least one, as a share of it, weigh 1/e of the best."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """Where learning rates are tried: rung r is ``rate * sqrt(10) ** r``.

    All of ``rungs`` are, and up to ``reach`` more beyond an end at which the best one lies.
    """

    rate: float
    rungs: tuple[int, ...] = (-2, -1, 0, 1, 2)
    reach: int = 2

    def at(self, rung: int) -> float:
        """The learning rate of a rung."""
        return float(f"{self.rate * RUNG**rung:.4g}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One arm: its loss curves and areas by rung, and the losses that clip them, each in the order of the seeds."""

    arm: Arm
    curves: dict[int, tuple[Curve, ...]]
    areas: dict[int, tuple[float, ...]]
    starts: tuple[float, ...]

    @property
    def best(self) -> int:
        """The rung with the least mean area."""
        return best_rung(self.areas)

    def curve(self) -> tuple[float, ...]:
        """Mean over the seeds of the loss at each step at the best rung, clipped at the loss of the start."""
        seeds = [
            [clipped(loss, start) for loss in curve.losses]
            for curve, start in zip(self.curves[self.best], self.starts, strict=True)
        ]
        return tuple(map(mean, zip(*seeds, strict=True)))

    def chosen(self) -> tuple[float, ...]:
        """Each seed's area at the rung that the other seeds find best, so that choosing is not rewarded twice."""
        seeds = range(len(next(iter(self.areas.values()))))
        if len(seeds) < 2:
            return self.areas[self.best]
        found = []
        for left_out in seeds:
            others = {
                rung: [a for seed, a in enumerate(areas) if seed != left_out] for rung, areas in self.areas.items()
            }
            found.append(self.areas[best_rung(others)][left_out])
        return tuple(found)

    def around_best(self) -> tuple[float, ...]:
        """Each seed's area averaged over the rungs, the more weight the less a rung's mean area.

        Which of two neighbouring rates is better is partly chance, so the mean of both is the steadier figure to order
        places by.
        """
        means = {rung: mean(areas) for rung, areas in self.areas.items()}
        least = min(means.values())
        weights = {rung: math.exp(-(each - least) / (_SOFTNESS * abs(least) or 1.0)) for rung, each in means.items()}
        whole = sum(weights.values())
        seeds = range(len(self.starts))
        return tuple(sum(weights[rung] * self.areas[rung][seed] for rung in weights) / whole for seed in seeds)


def measure(
    bench: Bench, arm: Arm, ladder: Ladder, seeds: int, steps: int, full: int = 0, also: int | None = None
) -> Outcome:
    """Train an arm at every rung of the ladder, and beyond its ends where the best one lies there.

    Beyond them only as long as the bench affords it, and then at the rung ``also``, be it far away. Areas are those of
    a training of ``full`` steps where that is longer (``covscan.prove.gains.area``).
    """
    starts = tuple(bench.initial_loss(seed) for seed in range(seeds))
    curves: dict[int, tuple[Curve, ...]] = {}
    areas: dict[int, tuple[float, ...]] = {}

    def climb(rung: int) -> None:
        curves[rung] = tuple(bench.curve(arm, ladder.at(rung), seed, steps) for seed in range(seeds))
        areas[rung] = tuple(area(curve, start, full) for curve, start in zip(curves[rung], starts, strict=True))

    for rung in ladder.rungs:
        climb(rung)
    low, high = min(ladder.rungs), max(ladder.rungs)
    for _ in range(ladder.reach):
        best = best_rung(areas)
        if not bench.affords(seeds * steps):
            break
        if best == max(areas) and best < high + ladder.reach:
            climb(best + 1)
        elif best == min(areas) and best > low - ladder.reach:
            climb(best - 1)
        else:
            break
    if also is not None and also not in areas and bench.affords(seeds * steps):
        climb(also)
    return Outcome(arm, dict(sorted(curves.items())), dict(sorted(areas.items())), starts)


def gain_of(without: Outcome, with_: Outcome) -> Gain:
    """The gain of one arm over another, each at its best learning rate, chosen on other seeds than it counts on."""
    return gain(without.chosen(), with_.chosen())


def outlook(without: Outcome, with_: Outcome) -> float:
    """The gain by which places are ordered: over the rates around the best of each arm, mean over the seeds."""
    return gain(without.around_best(), with_.around_best()).value


def gain_at(without: Outcome, with_: Outcome, rung: int) -> Gain | None:
    """The gain at one and the same learning rate; None where either was not tried there."""
    if rung not in without.areas or rung not in with_.areas:
        return None
    return gain(without.areas[rung], with_.areas[rung])
