"""covscan and its peers side by side: the same checkpoints, samples and machine, in one run.

    make bench-peers
    python benchmarks/peers.py [PART ...] [--rounds N] [--minutes M] [--limit S] [--samples N] [--quick] [--into FOLDER]

Each contender is a process of its own, one after the other and in turn, so that what else the machine does falls on
all. A part is a network and an engine, ``flat`` (memory over samples) or ``traps`` (what peers get wrong); all of them
without names. After every part ``results/peers.json`` and ``peers.md`` hold what is known so far, with the
other parts as they were. Ends with 1 where a target is missed or a contender failed.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import tables
from contenders import CONTENDERS, Contender
from jobs import HERE, Job, prepared
from machine import machine
from processes import heed_termination, run
from ratios import beyond_bare, ended, summary, targets
from workloads import SMALL, WORKLOADS, Workload

ENGINES = ("torch", "onnx")
PARTS = ("traps", "flat", *(f"{name}-{engine}" for name in WORKLOADS for engine in ENGINES))
"""The cheap first: what they leave of the time goes to the others' rounds."""
QUICK = tuple(f"small-{engine}" for engine in ENGINES)
DEAR = 20.0
"""Seconds from which on a contender runs in the first round alone."""
FLAT = Workload("ladder", "ladder", (1, 8, 8), samples=64, batch=32)
FLAT_ARGUMENTS = {"layers": 6}
FLAT_SAMPLES = (64, 512)


def missing(contender: Contender) -> str | None:
    """Why a contender cannot take part, if so."""
    if contender.needs is None:
        return None
    try:
        version(contender.needs)
    except PackageNotFoundError:
        return f"{contender.needs} is not installed"
    return None


def once(contender: Contender, job: Job, limit: float) -> dict[str, Any]:
    """What one process took and told; ``over`` where it was ended at the limit, ``failed`` where it ended by itself."""
    for leftover in ("worker.json", "report.json", "polygraphy.log"):
        (Path(job["folder"]) / leftover).unlink(missing_ok=True)
    allowed = limit if contender.needs is not None else None  # covscan and the bare passes are what this is about
    ran = run(contender.command(job), limit=allowed, env={"BENCHMARK_JOB": str(Path(job["folder"]) / "job.json")})
    taken: dict[str, Any] = {"seconds": ran.seconds, "peak_mib": ran.peak_mib}
    if ran.code is None:
        return taken | {"over": limit}
    if ran.code != 0:
        return taken | {"failed": f"ended with {ran.code}: {ran.said.strip()[-400:]}"}
    return taken | contender.told(job)


def progress(name: str, taken: dict[str, Any]) -> None:
    """One line of progress."""
    outcome = f"over {taken['over']:.0f} s" if "over" in taken else taken.get("failed", f"{taken['seconds']:.1f} s")
    print(f"  {name}: {outcome}, {taken['peak_mib']:.0f} MiB", flush=True)


def in_turn(entered: Sequence[Contender], job: Job, rounds: int, seconds: float, limit: float) -> Iterator[dict]:
    """Rounds of all, each begun with another one; after the first only while time is left, and without the dear."""
    began = time.perf_counter()
    staying = list(entered)
    for number in range(rounds):
        taken = {}
        turn = number % len(staying)
        for contender in (*staying[turn:], *staying[:turn]):
            taken[contender.name] = once(contender, job, limit)
            progress(contender.name, taken[contender.name])
        yield taken
        staying = [
            each for each in staying if each.bare or (taken[each.name]["seconds"] < DEAR and ended(taken[each.name]))
        ]
        expected = sum(taken[each.name]["seconds"] for each in staying)
        if len(staying) == 1 or time.perf_counter() - began + expected > seconds:
            break


def network_part(
    workload: Workload, engine: str, options: argparse.Namespace, seconds: float, folder: Path
) -> dict[str, Any]:
    """All contenders of one engine on one network."""
    job = prepared(folder, workload, engine, 2)
    contenders = [each for each in CONTENDERS if each.engine == engine]
    absent = {each.name: reason for each in contenders if (reason := missing(each)) is not None}
    entered = [each for each in contenders if each.name not in absent]
    rounds = list(in_turn(entered, job, options.rounds, seconds, options.limit))
    rows = {each.name: summary(each.name, each.checkpoints, rounds) for each in entered}
    rivals = {each.name: (each.against, each.factor) for each in entered if each.against is not None}
    return {
        "heading": f"{workload.described()}, {'PyTorch' if engine == 'torch' else 'ONNX Runtime'}",
        "engine": engine,
        "rows": {name: row for name, row in rows.items() if row is not None},
        "over": {name: each["over"] for one in rounds for name, each in one.items() if "over" in each},
        "failed": {name: each["failed"] for one in rounds for name, each in one.items() if "failed" in each},
        "missing": absent,
        # A tiny network says whether all of this works, and nothing else.
        "targets": [] if options.quick else targets(engine, rounds, rivals),
        "beyond_bare_mib": {name: beyond_bare(name, rounds) for name in ("capture", "analyze", "analyze-all")},
        "rounds": rounds,
    }


def flat_part(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Peaks of everybody at few and at eight times as many samples of a network with large activations."""
    found: dict[str, dict[str, Any]] = {engine: {} for engine in ENGINES}
    failed: dict[str, str] = {}
    for engine in ENGINES:
        for samples in FLAT_SAMPLES:
            job = prepared(folder / f"{engine}-{samples}", FLAT.fed(samples), engine, 2, FLAT_ARGUMENTS)
            for each in CONTENDERS:
                if each.engine == engine and missing(each) is None:
                    taken = once(each, job, options.limit)
                    progress(f"{each.name}, {samples} samples", taken)
                    found[engine].setdefault(each.name, []).append(taken["peak_mib"] if ended(taken) else None)
                    if "failed" in taken:
                        failed[f"{each.name}-{engine}"] = taken["failed"]
    return {"samples": FLAT_SAMPLES, "peaks_mib": found, "layers": FLAT_ARGUMENTS["layers"], "failed": failed}


def traps_part(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """What ``traps.py`` finds, as it tells it."""
    folder.mkdir()
    ran = run([sys.executable, str(HERE / "traps.py"), str(folder / "traps.json")], limit=10 * options.limit)
    if ran.code != 0:
        return {"traps": [], "failed": {"traps": f"ended with {ran.code}: {ran.said[-400:]}"}}
    return {"traps": json.loads((folder / "traps.json").read_text())}


def measured(part: str, options: argparse.Namespace, seconds: float, folder: Path) -> dict[str, Any]:
    """One part, by its name; after ``seconds`` it begins no other round."""
    if part == "flat":
        return flat_part(options, folder)
    if part == "traps":
        return traps_part(options, folder)
    name, _, engine = part.rpartition("-")
    workload = {**WORKLOADS, **SMALL}[name]
    return network_part(workload.fed(options.samples or workload.samples), engine, options, seconds, folder)


def host() -> dict[str, Any]:
    """The machine and the releases of all that took part."""
    releases = {}
    for name in sorted({each.needs for each in CONTENDERS if each.needs}):
        try:
            releases[name] = version(name)
        except PackageNotFoundError:
            continue
    return machine() | {"peers": releases}


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all without names")
    parser.add_argument("--rounds", type=int, default=3, help="of each part at most (3)")
    parser.add_argument(
        "--minutes", type=float, default=12, help="that the rounds after the first are fitted into (12)"
    )
    parser.add_argument("--limit", type=float, default=30, help="seconds after which a peer is ended (30)")
    parser.add_argument("--samples", type=int, help="instead of each network's own number")
    parser.add_argument("--quick", action="store_true", help="a tiny network instead: whether all of this works")
    parser.add_argument("--into", type=Path, default=HERE / "results", help="folder of peers.json and peers.md")
    options = parser.parse_args(arguments)
    known = (*PARTS, *QUICK)
    if unknown := [part for part in options.parts if part not in known]:
        parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    options.parts = options.parts or (QUICK if options.quick else PARTS)
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    heed_termination()
    options = parsed(arguments)
    options.into.mkdir(parents=True, exist_ok=True)
    path = options.into / "peers.json"
    results = json.loads(path.read_text()) if path.exists() else {"parts": {}}
    bad = False
    end = time.perf_counter() + 60 * options.minutes
    with tempfile.TemporaryDirectory() as name:
        for number, part in enumerate(options.parts):
            print(part, flush=True)
            began = time.perf_counter()
            found = measured(part, options, (end - began) / (len(options.parts) - number), Path(name) / part)
            shutil.rmtree(Path(name) / part)  # the checkpoints of all parts at once are 4 GB
            results["parts"][part] = {**found, "seconds": round(time.perf_counter() - began, 1), "machine": host()}
            results["parts"] = {each: results["parts"][each] for each in (*PARTS, *QUICK) if each in results["parts"]}
            path.write_text(json.dumps(results, indent=1) + "\n")
            path.with_suffix(".md").write_text(tables.peers(results))
            bad |= bool(found.get("failed")) or any(not each["met"] for each in found.get("targets", ()))
    print(tables.peers({"parts": {part: results["parts"][part] for part in options.parts}}))
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
