"""Time and memory of whole analyses as samples, checkpoints, sites and channels grow, beside the bare forward.

    make bench-growth
    python benchmarks/growth.py [PART ...] [--runs N] [--quick] [--into FOLDER]

A part is an axis; all of them without names. Each point is a run of the command line and a run that loads the same
checkpoints and passes the same batches, processes of their own, so that none inherits another's peak; the networks are
small, and where memory is in question they hold large activations, so that anything kept of them would show. After
every part ``results/growth.json`` and ``growth.md`` hold what is known so far. Ends with 1 where a bound is missed:
memory must not grow with the samples, and by less than 1 MiB per checkpoint and 50 sites.
"""

import argparse
import json
import math
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tables
from jobs import HERE, analyze, prepared, worker
from machine import machine
from processes import heed_termination, run
from workloads import Workload

Point = dict[str, Any]
SETTLED_SAMPLES = 512
SETTLED_CHECKPOINTS = 10
"""From which on growth is counted: before, libraries and the allocator still fill their pools."""
SAMPLES_BOUND = 1.05
"""Peak at the most samples over the peak at 512: five per cent are for the allocator's fragments."""
SITES_A_LAYER = 4
"""Inputs and outputs of a convolution and its ReLU."""
SITES = 50
CHECKPOINTS_BOUND = 1.0
"""Mebibytes per checkpoint and 50 sites."""

IMAGES = Workload("ladder", "ladder", (1, 8, 8), samples=128, batch=32)
VECTORS = Workload("accordion", "accordion", (64,), samples=128, batch=32)


@dataclass(frozen=True, slots=True)
class Axis:
    """What grows, over which values, and how a value becomes a network, samples and checkpoints."""

    heading: str
    values: tuple[int, ...]
    quick: tuple[int, ...]
    workload: Callable[[int], Workload]
    arguments: Callable[[int], Mapping[str, int]]
    checkpoints: Callable[[int], int] = lambda value: 2


AXES = {
    "samples": Axis(
        heading="10 convolutions of 16 channels on 32x32, 2 checkpoints",
        values=(128, 512, 2048, 8192),
        quick=(32,),
        workload=IMAGES.fed,
        arguments=lambda value: {"layers": 10},
    ),
    "checkpoints": Axis(
        heading="12 convolutions of 16 channels on 16x16, 128 samples",
        values=(2, 10, 50, 200),
        quick=(3,),
        workload=lambda value: IMAGES,
        arguments=lambda value: {"layers": 12, "scale": 2},
        checkpoints=lambda value: value,
    ),
    "sites": Axis(
        heading="convolutions of 8 channels on 8x8, 128 samples, 2 checkpoints",
        values=(10, 100, 300, 1000),
        quick=(12,),
        workload=lambda value: IMAGES,
        arguments=lambda value: {"layers": math.ceil(value / SITES_A_LAYER), "channels": 8, "scale": 1},
    ),
    "channels": Axis(
        heading="6 linear layers by turns to so many channels and back to 64, 128 samples, 2 checkpoints",
        values=(64, 512, 2048, 8192),
        quick=(128,),
        workload=lambda value: VECTORS,
        arguments=lambda value: {"channels": value},
    ),
}


def taken(command: Sequence[str], runs: int) -> dict[str, float]:
    """Least time and least peak: on a busy machine allocators held up to 30 MiB more in one run of five."""
    ran = [run(command) for _ in range(runs)]
    if failed := next((each for each in ran if each.code != 0), None):
        raise SystemExit(f"ended with {failed.code}: {' '.join(command)}\n{failed.said}")
    return {"seconds": min(each.seconds for each in ran), "peak_mib": min(each.peak_mib for each in ran)}


def point(name: str, axis: Axis, value: int, runs: int, folder: Path) -> Point:
    """Both at one value of the axis."""
    job = prepared(folder, axis.workload(value), "torch", axis.checkpoints(value), axis.arguments(value))
    found = {
        name: value,
        "covscan": taken(analyze(job), runs),
        "bare": taken(worker("bare-torch", job), runs),
        "measured": json.loads((folder / "report.json").read_text())["coverage"]["measured"],
    }
    shutil.rmtree(folder)
    own = found["covscan"]
    print(f"  {value} {name}, {found['measured']} sites: {own['seconds']:.1f} s, {own['peak_mib']:.0f} MiB", flush=True)
    return found


def with_slopes(name: str, points: Sequence[Point]) -> list[Point]:
    """By which power time grew from each point to the next."""
    found: list[Point] = []
    for number, each in enumerate(points):
        before = points[number - 1] if number else None
        slope = None
        if before is not None:
            times = math.log(each["covscan"]["seconds"] / before["covscan"]["seconds"])
            slope = round(times / math.log(each[name] / before[name]), 2)
        found.append({**each, "slope": slope})
    return found


def bounds(name: str, points: Sequence[Point]) -> list[dict[str, Any]]:
    """What must hold of the memory over this axis, where there are points enough to tell."""
    if name == "samples":
        settled = [each for each in points if each["samples"] >= SETTLED_SAMPLES]
        if len(settled) < 2:
            return []
        ratio = settled[-1]["covscan"]["peak_mib"] / settled[0]["covscan"]["peak_mib"]
        sentence = f"Peak from {settled[0]['samples']} to {settled[-1]['samples']} samples: × {ratio:.3f}"
        return [bound(f"{sentence}, at most {SAMPLES_BOUND}", ratio, SAMPLES_BOUND)]
    if name == "checkpoints":
        settled = [each for each in points if each["checkpoints"] >= SETTLED_CHECKPOINTS]
        if len(settled) < 2:
            return []
        counts, peaks = zip(*((each["checkpoints"], each["covscan"]["peak_mib"]) for each in settled), strict=True)
        slope = statistics.linear_regression(counts, peaks).slope * SITES / settled[0]["measured"]
        sentence = f"Per checkpoint and {SITES} sites, from {SETTLED_CHECKPOINTS} on: {slope:.2f} MiB"
        return [bound(f"{sentence}, at most {CHECKPOINTS_BOUND}", slope, CHECKPOINTS_BOUND)]
    return []


def bound(sentence: str, value: float, limit: float) -> dict[str, Any]:
    return {"sentence": sentence, "value": round(value, 3), "limit": limit, "met": value <= limit}


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(AXES)}; all without names")
    parser.add_argument("--runs", type=int, default=1, help="of each point; the least counts (1)")
    parser.add_argument("--quick", action="store_true", help="one small value each: whether all of this works")
    parser.add_argument("--into", type=Path, default=HERE / "results", help="folder of growth.json and growth.md")
    options = parser.parse_args(arguments)
    if unknown := [part for part in options.parts if part not in AXES]:
        parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(AXES)}")
    options.parts = options.parts or tuple(AXES)
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    heed_termination()
    options = parsed(arguments)
    options.into.mkdir(parents=True, exist_ok=True)
    path = options.into / "growth.json"
    results = json.loads(path.read_text()) if path.exists() else {"parts": {}}
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        for name in options.parts:
            print(name, flush=True)
            began, axis = time.perf_counter(), AXES[name]
            values = axis.quick if options.quick else axis.values
            points = [point(name, axis, each, options.runs, Path(folder) / f"{name}-{each}") for each in values]
            kept = bounds(name, points)
            results["parts"][name] = {
                "heading": axis.heading,
                "points": with_slopes(name, points),
                "bounds": kept,
                "seconds": round(time.perf_counter() - began, 1),
                "machine": machine(),
            }
            results["parts"] = {each: results["parts"][each] for each in AXES if each in results["parts"]}
            path.write_text(json.dumps(results, indent=1) + "\n")
            path.with_suffix(".md").write_text(tables.growth(results))
            missed |= any(not each["met"] for each in kept)
    print(tables.growth({"parts": {name: results["parts"][name] for name in options.parts}}))
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
