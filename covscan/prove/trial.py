"""Short paired trainings at every place, fewer and longer ones from round to round."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from statistics import mean

from covscan.prove.calibration import Z, calibrated, pooled_variance
from covscan.prove.gains import Gain, gain
from covscan.prove.protocol import Ladder, Outcome, gain_at, gain_of, measure, outlook
from covscan.prove.runs import AS_IT_IS, Arm, Bench
from covscan.prove.types import MATERIAL, Estimate, Place, PlaceTrial, Question
from covscan.surgery.types import Insertion

SEEDS = 3
FULL = 150
"""Steps of the training that a trial stands for: the protocol's that gains were measured with. What it does not train
itself counts at the level that it ends on."""
HORIZONS = (120, 90, 75, 60, 45, 30)
_FIRST_LOOK = 30
_RUNGS_AROUND, _RUNGS_OF_AN_ARM = 3, 3.8
"""Learning rates of an arm: those around the best one without a normalization, and how many it is on average."""
_RUNGS_TO_START, _RUNGS_OF_THE_BASE = 5, 6.0
_SPARE = 0.85
"""The share of a budget that is planned for; the rest is for ladders that go on for longer than usual."""
_EXTRA_ARMS = 8
"""All places at once, three fixed affines, two other kinds, warm-up, scaled branches."""
_FEWEST = 3
_OTHER_KINDS, _CONTROLLED = 2, 3
"""So many of the best places are tried with another kind, and so many against a fixed affine."""
_WARMUP = 5


@dataclass(frozen=True, slots=True)
class Round:
    """So many places are trained for so many steps with so many seeds."""

    places: int
    steps: int
    seeds: int


def plan(places: int, budget: int) -> tuple[Round, ...]:
    """The rounds that a budget of steps allows; none for no places, or where it does not reach for three of them.

    One round for all places where that can be had at some horizon. Else a first look at all of them with one seed, and
    then as many as the rest of the budget allows.
    """
    if not places:
        return ()
    for steps in HORIZONS:
        if _cost(Round(places + _EXTRA_ARMS, steps, SEEDS)) <= _SPARE * budget:
            return (Round(places, steps, SEEDS),)
    look = Round(places, _FIRST_LOOK, 1)
    for steps in HORIZONS:
        for kept in range(places - 1, _FEWEST - 1, -1):
            if _cost(look) + _cost(Round(kept + _EXTRA_ARMS, steps, SEEDS)) <= _SPARE * budget:
                return look, Round(kept, steps, SEEDS)
    return ()


def affordable(budget: int, places: int) -> int:
    """The most of so many places for which ``plan`` finds rounds; 0 where it finds none for three."""
    return next((most for most in range(places, 0, -1) if plan(most, budget)), 0)


def _cost(each: Round) -> float:
    return each.steps * each.seeds * (_RUNGS_OF_THE_BASE + each.places * _RUNGS_OF_AN_ARM)


def _least(each: Round) -> int:
    """What a round costs where no ladder is extended."""
    return each.steps * each.seeds * _RUNGS_TO_START + each.places * _least_of_an_arm(each)


def _least_of_an_arm(each: Round) -> int:
    return each.steps * each.seeds * _RUNGS_AROUND


@dataclass(frozen=True, slots=True)
class Found:
    """What a trial found; ``base`` is the arm without a normalization and ``best`` the best with one."""

    places: tuple[PlaceTrial, ...]
    everywhere: Estimate | None
    rivals: Mapping[str, Estimate]
    base: Outcome
    best: Outcome
    ladder: Ladder


def run_trial(
    bench: Bench,
    rate: float | None,
    rounds: Sequence[Round],
    places: Sequence[Insertion],
    question: Question,
) -> Found:
    """Judge every place, best first.

    ``places`` come in the order in which they are expected to gain; ``question`` says what to compare them with: the
    next best kinds at the two best places, everywhere at once, scaled branches. ``rate`` is the user's own learning
    rate.
    """
    ladder = Ladder(rate or bench.trainer.usual_rate, reach=3)
    bench.reserved = sum(map(_least, rounds)) + _EXTRA_ARMS * _least_of_an_arm(rounds[-1])
    judged: dict[Place, PlaceTrial] = {}
    kept = list(places)
    for each in rounds:
        kept = kept[: each.places]
        bench.reserved -= len(ladder.rungs) * each.seeds * each.steps
        base = measure(bench, AS_IT_IS, ladder, each.seeds, each.steps, FULL)
        outcomes = {one: _train(bench, Arm((one,)), base, ladder, each, at_rate=rate is not None) for one in kept}
        kept.sort(key=lambda one: -outlook(base, outcomes[one]))
        last_round = each is rounds[-1]
        if last_round:
            outcomes = _with_other_kinds(bench, outcomes, kept, question.others, base, ladder, each)
        found = _judge(base, outcomes, ladder, each, at_rate=rate is not None)
        if last_round:
            found = _with_controls(bench, found, outcomes, base, ladder, each)
        judged |= found
    pooled = pooled_variance([gain_of(base, outcome) for outcome in outcomes.values()])
    return Found(
        places=tuple(sorted(judged.values(), key=lambda one: (-one.horizon * one.seeds, -_size(one)))),
        everywhere=_everywhere(bench, question.everywhere, outcomes, base, ladder, each, pooled),
        rivals=_rivals(bench, question.branches, base, ladder, each, pooled, known=rate is not None),
        base=base,
        best=min(outcomes.values(), key=lambda outcome: mean(outcome.areas[outcome.best])),
        ladder=ladder,
    )


def _train(bench: Bench, arm: Arm, base: Outcome, ladder: Ladder, each: Round, *, at_rate: bool = False) -> Outcome:
    """An arm at the rates around the best one without a normalization, further on where they lead, and at rung 0.

    That is the user's own rate; it is tried where it is known, ``at_rate``, and the budget allows.
    """
    around = replace(ladder, rungs=(base.best - 1, base.best, base.best + 1))
    bench.reserved = max(0, bench.reserved - _least_of_an_arm(each))
    return measure(bench, arm, around, each.seeds, each.steps, FULL, also=0 if at_rate else None)


def _with_other_kinds(
    bench: Bench,
    outcomes: Mapping[Insertion, Outcome],
    kept: Sequence[Insertion],
    others: Mapping[Place, Insertion],
    base: Outcome,
    ladder: Ladder,
    each: Round,
) -> dict[Insertion, Outcome]:
    """The outcomes, with another kind in a place where it is clearly better than the first choice."""
    chosen = dict(outcomes)
    for one in kept[:_OTHER_KINDS]:
        other = others.get(one.place)
        if other is None:
            continue
        outcome = _train(bench, Arm((other,)), base, ladder, each)
        better = gain(outcomes[one].chosen(), outcome.chosen())
        if better.low is not None and better.low > 0:
            del chosen[one]
            chosen[other] = outcome
    return chosen


def _judge(
    base: Outcome, outcomes: Mapping[Insertion, Outcome], ladder: Ladder, each: Round, *, at_rate: bool
) -> dict[Place, PlaceTrial]:
    gains = {one: gain_of(base, outcome) for one, outcome in outcomes.items()}
    pooled = pooled_variance(list(gains.values()))
    expected = {one: outlook(base, outcome) for one, outcome in outcomes.items()}
    best = max(expected, key=lambda one: expected[one])
    first = stays_first(gains)
    found = {}
    for one, outcome in outcomes.items():
        own = gain_at(base, outcome, 0) if at_rate else None
        found[one.place] = PlaceTrial(
            insertion=one,
            gain=calibrated(gains[one], pooled, each.steps),
            outlook=expected[one],
            at_rate=None if own is None else calibrated(own, pooled, each.steps),
            stays_first=first[one],
            exchangeable=one is not best and _alike(gains[best], gains[one], pooled),
            horizon=each.steps,
            seeds=each.seeds,
            rate=ladder.at(outcome.best),
        )
    return found


def stays_first(gains: Mapping[Insertion, Gain]) -> dict[Insertion, float]:
    """For each place the share of all redraws of the seeds, with replacement, in which it gains most."""
    seeds = len(next(iter(gains.values())).by_seed)
    draws = list(product(range(seeds), repeat=seeds))
    wins = dict.fromkeys(gains, 0)
    for draw in draws:
        wins[max(gains, key=lambda one: sum(gains[one].by_seed[seed] for seed in draw))] += 1
    return {one: count / len(draws) for one, count in wins.items()}


def _alike(best: Gain, other: Gain, pooled: float) -> bool:
    """Whether a place cannot be told from the best one: within two points, or within the seeds' spread."""
    difference = mean(a - b for a, b in zip(best.by_seed, other.by_seed, strict=True))
    return difference < max(MATERIAL, Z * math.sqrt(2 * pooled / len(best.by_seed)))


def _with_controls(
    bench: Bench,
    found: Mapping[Place, PlaceTrial],
    outcomes: Mapping[Insertion, Outcome],
    base: Outcome,
    ladder: Ladder,
    each: Round,
) -> dict[Place, PlaceTrial]:
    """The best places that gain something, with what a fixed affine of the same initial standardization gains there."""
    controlled = dict(found)
    best = sorted(outcomes, key=lambda one: -outlook(base, outcomes[one]))[:_CONTROLLED]
    for one in [one for one in best if gain_of(base, outcomes[one]).value > MATERIAL]:
        outcome = _train(bench, Arm((one,), "affine"), base, ladder, each)
        affine, over = gain_of(base, outcome), gain(outcome.chosen(), outcomes[one].chosen())
        pooled = pooled_variance([affine, over])
        controlled[one.place] = replace(
            found[one.place],
            affine=calibrated(affine, pooled, each.steps),
            over_affine=calibrated(over, pooled, each.steps),
        )
    return controlled


def _everywhere(
    bench: Bench,
    everywhere: Sequence[Insertion],
    outcomes: Mapping[Insertion, Outcome],
    base: Outcome,
    ladder: Ladder,
    each: Round,
    pooled: float,
) -> Estimate | None:
    if not everywhere:
        return None
    if len(everywhere) == 1 and everywhere[0] in outcomes:
        return calibrated(gain_of(base, outcomes[everywhere[0]]), pooled, each.steps)
    return calibrated(gain_of(base, _train(bench, Arm(tuple(everywhere)), base, ladder, each)), pooled, each.steps)


def _rivals(
    bench: Bench,
    branches: Sequence[Insertion],
    base: Outcome,
    ladder: Ladder,
    each: Round,
    pooled: float,
    *,
    known: bool,
) -> dict[str, Estimate]:
    """Cheaper remedies: a rate that rises over the first fifth, another rate than the user's, branches scaled down."""
    warm = measure(
        bench,
        replace(AS_IT_IS, warmup=max(1, each.steps // _WARMUP)),
        replace(ladder, rungs=(base.best, base.best + 1), reach=1),
        each.seeds,
        each.steps,
        FULL,
    )
    found = {"warm-up": calibrated(gain_of(base, warm), pooled, each.steps)}
    if branches:
        scaled = _train(bench, Arm(tuple(branches), "scale"), base, ladder, each)
        found["branches scaled by 1/sqrt(depth)"] = calibrated(gain_of(base, scaled), pooled, each.steps)
    if known and base.best != 0 and 0 in base.areas:
        name = "a larger learning rate" if base.best > 0 else "a smaller learning rate"
        found[name] = calibrated(gain(base.areas[0], base.areas[base.best]), pooled, each.steps)
    return found


def _size(one: PlaceTrial) -> float:
    return one.outlook if one.outlook is not None else -math.inf
