"""Peak memory of whole analyses, over the number of samples and over the number of checkpoints.

    python benchmarks/memory.py

Memory must not grow with the samples, and by less than 1 MB per checkpoint and 50 sites. Each point is the least
of two runs of the command line, each a process of its own, so that none inherits another's peak; the network is fed
small images and holds large activations, so that anything kept of them would show. Writes
``benchmarks/results/memory.json`` and ``memory.md``; ends with 1 where a bound is missed.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from machine import machine
from nets import ladder

HERE = Path(__file__).parent
RESULTS = HERE / "results"
SAMPLES = (128, 256, 512, 1024, 2048)
CHECKPOINTS = (2, 5, 10, 20, 30)
RUNS = 2
"""Of each point the least of so many counts: on a busy machine allocators held up to 30 MiB more in one run of five."""
SETTLED = 10
"""Checkpoints from which on growth is counted: before, libraries and the allocator still fill their pools."""
SITES = 50
GROWTH_BOUND = 1.0
"""Mebibytes per checkpoint and 50 sites."""
SAMPLES_BOUND = 1.05
"""Peak at the most samples over the peak at 512: five per cent are for the allocator's fragments."""


def prepare(folder: Path) -> None:
    """Checkpoints that drift a little, and as many samples as the longest run reads."""
    drawing = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    network = ladder()
    for step in range(max(CHECKPOINTS)):
        torch.save({"step": step, "state_dict": network.state_dict()}, folder / f"step-{step}.pt")
        with torch.no_grad():
            for parameter in network.parameters():
                noise = torch.randn(parameter.shape, generator=drawing)
                parameter.add_(noise * parameter.std(), alpha=0.02)
    images = torch.randn(max(SAMPLES), 1, 8, 8, generator=drawing)
    np.savez(folder / "sample.npz", x=images.numpy())


def least(folder: Path, samples: int, checkpoints: int) -> dict[str, float]:
    """The run of several with the least peak."""
    return min((peak(folder, samples, checkpoints) for _ in range(RUNS)), key=lambda point: point["peak_mib"])


def peak(folder: Path, samples: int, checkpoints: int) -> dict[str, float]:
    """Peak resident memory of one run in MiB, and the number of sites it measured."""
    report = folder / "report.json"
    paths = [str(folder / f"step-{step}.pt") for step in range(checkpoints)]
    command = [
        *(sys.executable, "-m", "covscan", "analyze", "--quiet", "--model", f"{HERE / 'nets.py'}:ladder"),
        *("--data", str(folder / "sample.npz"), "--samples", str(samples), "-o", f"json={report}", *paths),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"covscan ended with {process.returncode}: {' '.join(command)}")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    measured = json.loads(report.read_text())["coverage"]["measured"]
    point = {"samples": samples, "checkpoints": checkpoints, "sites": measured}
    point["peak_mib"] = round(usage.ru_maxrss / unit, 1)
    print(f"{samples} samples, {checkpoints} checkpoints: {point['peak_mib']} MiB", flush=True)
    return point


def slope(points: Sequence[dict[str, float]]) -> float:
    """MiB for each further checkpoint and 50 sites, by least squares."""
    settled = [point for point in points if point["checkpoints"] >= SETTLED]
    counts = [point["checkpoints"] for point in settled]
    peaks = [point["peak_mib"] for point in settled]
    return float(np.polyfit(counts, peaks, 1)[0]) * SITES / points[0]["sites"]


def markdown(report: dict, host: dict[str, str | int]) -> str:
    def table(axis: str, points: Sequence[dict[str, float]]) -> list[str]:
        return [
            f"| {axis} | {' | '.join(str(point[axis]) for point in points)} |",
            "|---" * (len(points) + 1) + "|",
            f"| peak, MiB | {' | '.join(str(point['peak_mib']) for point in points)} |",
            "",
        ]

    lines = [
        "# What an analysis needs in memory",
        "",
        f"{host['processor']}, torch {host['torch']}, covscan {host['covscan']}; the least peak of {RUNS} runs.",
        "",
        *table("samples", report["over_samples"]),
        f"From 512 to {max(SAMPLES)} samples: × {report['samples_ratio']:.3f} (bound {SAMPLES_BOUND}).",
        "",
        *table("checkpoints", report["over_checkpoints"]),
        f"Per checkpoint and {SITES} sites, from {SETTLED} on: {report['growth']:.2f} MiB (bound {GROWTH_BOUND}).",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        over_samples = [least(folder, samples, 3) for samples in SAMPLES]
        over_checkpoints = [least(folder, 512, checkpoints) for checkpoints in CHECKPOINTS]
    at = {point["samples"]: point["peak_mib"] for point in over_samples}
    report = {
        "machine": machine(),
        "over_samples": over_samples,
        "samples_ratio": round(at[max(SAMPLES)] / at[512], 3),
        "over_checkpoints": over_checkpoints,
        "growth": round(slope(over_checkpoints), 3),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "memory.json").write_text(json.dumps(report, indent=2) + "\n")
    (RESULTS / "memory.md").write_text(markdown(report, report["machine"]))
    print(markdown(report, report["machine"]))
    return int(report["samples_ratio"] > SAMPLES_BOUND or report["growth"] > GROWTH_BOUND)


if __name__ == "__main__":
    sys.exit(main())
