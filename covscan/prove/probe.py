"""The one-step counterfactual: put a normalization there, take one step, and look at the loss on other samples.

For each pair of disjoint batches the gradient comes from the first and the loss after the step from the second, least
over a ladder of step sizes in the direction of the user's optimizer (as GradInit, Zhu et al. 2021, judges scales).
"""

import math
from collections.abc import Callable, Sequence

import torch

from covscan.prove.gains import gain
from covscan.prove.pool import Draw
from covscan.prove.runs import AS_IT_IS, Arm, Bench
from covscan.prove.types import Estimate
from covscan.surgery.types import Insertion

PAIRS = 8
RUNGS = tuple(range(-3, 5))
"""Step sizes are the optimizer's usual rate times the square root of ten to these powers."""
_BATCH = 256
FORWARDS = len(RUNGS) + 3
"""What one place costs for one pair, in forward passes; a backward pass counts two."""


def probe(
    bench: Bench,
    insertions: Sequence[Insertion],
    pairs: int = PAIRS,
    tick: Callable[[int], None] = lambda forwards: None,
) -> dict[Insertion, Estimate]:
    """Relative change of the loss after one step for each insertion, with a 90 % interval over the pairs.

    Batches are as large as half of the samples allows, at most 256: the question is about the step and not about noise.
    ``tick`` is told how many forward passes were made so far.
    """
    before = bench.forwards
    size = max(1, min(_BATCH, bench.pool.count // 2))
    without: list[float] = []
    with_: dict[Insertion, list[float]] = {insertion: [] for insertion in insertions}
    for number in range(pairs):
        drawn = bench.pool.disjoint(number, 2, size)
        first, second = drawn[0], drawn[-1]
        without.append(least_loss(bench, AS_IT_IS, number, first, second))
        for insertion in insertions:
            with_[insertion].append(least_loss(bench, Arm((insertion,)), number, first, second))
            tick(bench.forwards - before)
    found = {insertion: gain(without, losses) for insertion, losses in with_.items()}
    return {insertion: Estimate(each.value, each.low, each.high) for insertion, each in found.items()}


def least_loss(bench: Bench, arm: Arm, seed: int, first: Draw, second: Draw) -> float:
    """The least loss on ``second`` after one step on ``first``, over the ladder; not above the loss without a step.

    The batches are those that ``seed`` draws.
    """
    what = ("step", arm, seed, first.n, second.n, bench.start_digest(seed))
    found = bench.recall(what, float | None, lambda: _least_loss(bench, arm, seed, first, second))
    return bench.initial_loss(seed) if found is None else found


def _least_loss(bench: Bench, arm: Arm, seed: int, first: Draw, second: Draw) -> float | None:
    """As ``least_loss``; None where the loss without a step is not finite."""
    with bench.session(seed, arm) as trained:
        bench.reseed(seed, 0)
        start = bench.loss(first)
        value = float(start.detach())
        if not math.isfinite(value):
            bench.forwards += 1
            return None
        start.backward()  # type: ignore[no-untyped-call]
        origin = [parameter.detach().clone() for parameter in trained]
        rate = bench.trainer.usual_rate
        bench.trainer.make(trained, rate).step()
        with torch.no_grad():
            step = [(parameter - old) / rate for parameter, old in zip(trained, origin, strict=True)]
            losses = [
                _moved(bench, trained, origin, step, rate * math.sqrt(10) ** rung, seed, second) for rung in RUNGS
            ]
    bench.forwards += FORWARDS
    return min((loss for loss in losses if math.isfinite(loss)), default=value)


def _moved(
    bench: Bench,
    trained: Sequence[torch.nn.Parameter],
    origin: Sequence[torch.Tensor],
    step: Sequence[torch.Tensor],
    rate: float,
    seed: int,
    draw: Draw,
) -> float:
    for parameter, old, direction in zip(trained, origin, step, strict=True):
        parameter.copy_(old + rate * direction)
    bench.reseed(seed, 1)
    return float(bench.loss(draw))
