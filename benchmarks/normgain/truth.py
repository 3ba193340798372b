"""The gain of each place, measured: short paired trainings over seeds and learning rates.

    python benchmarks/normgain/truth.py --processes 2

Appends one JSON line per instance to ``data/truth.jsonl`` and leaves out the numbers that are there already. What the
fields are is in README.md.
"""

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from instances import INSTANCES, SEEDS, build
from metrics import spearman
from places import Place, analyze, bench_of, places_of
from working import add_arguments, work

from covscan.prove.gains import Gain
from covscan.prove.protocol import Ladder, Outcome, gain_of, measure
from covscan.prove.runs import AS_IT_IS, Arm

STEPS = 150
TRUTH = Path(__file__).parent / "data" / "truth.jsonl"


def truth_of(number: int, steps: int = STEPS, seeds: int = SEEDS) -> dict[str, Any]:
    """Everything that is measured of an instance, as it is written down."""
    began = time.process_time()
    report, rate = analyze(number)
    places = places_of(report, build(number))
    bench = bench_of(number, seeds)
    ladder = Ladder(bench.trainer.usual_rate)

    def run(insertions: Sequence[Place], form: str = "norm") -> Outcome:
        arm = Arm(tuple(place.insertion for place in insertions), form)  # type: ignore[arg-type]
        return measure(bench, arm, ladder, seeds, steps)

    without = measure(bench, AS_IT_IS, ladder, seeds, steps)
    alone = [run([place]) for place in places]
    gains = [gain_of(without, outcome) for outcome in alone]
    behind = [place for place in places if place.insertion.position == "after"] or places
    everywhere = run(behind)
    best = max(range(len(places)), key=lambda chosen: gains[chosen].value)
    affine = run([places[best]], "affine")
    return {
        **asdict(INSTANCES[number]),
        "loss": INSTANCES[number].loss,
        "steps": steps,
        "seeds": seeds,
        "usual_rate": bench.trainer.usual_rate,
        "checkpoint_rate": _short(rate),
        "initial_loss": [_short(bench.initial_loss(seed)) for seed in range(seeds)],
        "none": _outcome(without),
        "places": [
            {**place.as_json(), "gain": _gain(gain), **_outcome(outcome)}
            for place, gain, outcome in zip(places, gains, alone, strict=True)
        ],
        "all": {"gain": _gain(gain_of(without, everywhere)), **_outcome(everywhere)},
        "affine": {"place": best, "gain": _gain(gain_of(without, affine)), **_outcome(affine)},
        "reliability": reliability([gain.by_seed for gain in gains]),
        "updates": bench.steps,
        "seconds": round(time.process_time() - began, 1),
    }


def reliability(by_seed: Sequence[Sequence[float]]) -> float | None:
    """Spearman between the places' gains of one seed and the mean of the others, averaged over the seeds."""
    if len(by_seed) < 2:
        return None
    seeds = range(len(by_seed[0]))
    found = [
        spearman(
            [gains[seed] for gains in by_seed],
            [fmean(gain for other, gain in enumerate(gains) if other != seed) for gains in by_seed],
        )
        for seed in seeds
    ]
    return round(fmean(found), 4)


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "best": outcome.best,
        "areas": {str(rung): [_short(area) for area in areas] for rung, areas in outcome.areas.items()},
        "final": [_final(curve.losses) for curve in outcome.curves[outcome.best]],
    }


def _final(losses: Sequence[float]) -> float | None:
    last = losses[-max(1, len(losses) // 10) :]
    return _short(fmean(last)) if all(map(math.isfinite, last)) else None


def _gain(gain: Gain) -> dict[str, Any]:
    low, high = (None if end is None else round(end, 4) for end in (gain.low, gain.high))
    return {
        "value": round(gain.value, 4),
        "low": low,
        "high": high,
        "error": None if gain.error is None else round(gain.error, 4),
        "by_seed": [round(value, 4) for value in gain.by_seed],
    }


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, len(INSTANCES))
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    for record in work(truth_of, options, options.output or TRUTH, options.steps):
        best = max(place["gain"]["value"] for place in record["places"])
        print(f"{record['number']:4} {record['family']:12} best {best:6.3f}  {record['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
