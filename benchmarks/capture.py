"""What capture adds to the bare forward pass: one run, both measured in turn.

    python benchmarks/capture.py

The bound is 1.3 times the bare forward at the default settings on 2 cores. Bare and captured passes
alternate, so that what else the machine does falls on both; the ratio is taken pair by pair. "With replays"
also runs modules on the weights of two earlier checkpoints, as an analysis of a series does from its third
checkpoint on. Writes ``benchmarks/results/capture.json`` and ``capture.md``; ends with 1 where the median
ratio misses the bound.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from machine import machine
from nets import resnet18, transformer12
from torch import nn

from covscan.capture.recorder import SummaryRecorder
from covscan.capture.torch_backend import TorchBackend
from covscan.capture.types import Network
from covscan.config import Settings
from covscan.data.types import Batch
from covscan.models.types import Checkpoint, Series

RESULTS = Path(__file__).parent / "results"
BOUND = 1.3
THREADS = 2
REPEATS = 7
BATCHES = 4
BLOCKS = 16


@dataclass(frozen=True, slots=True)
class Workload:
    """A network and the batches it is fed."""

    name: str
    build: Callable[[], nn.Module]
    inputs: tuple[torch.Tensor, ...]

    @property
    def batch_size(self) -> int:
        return len(self.inputs[0])


def workloads() -> list[Workload]:
    drawing = torch.Generator().manual_seed(0)
    images = tuple(torch.randn(32, 3, 224, 224, generator=drawing) for _ in range(BATCHES))
    tokens = tuple(torch.randint(5000, (8, 128), generator=drawing) for _ in range(BATCHES))
    return [
        Workload("ResNet-18, 32 images of 224x224", resnet18, images),
        Workload("transformer, 12 layers of 768, 8 texts of 128 tokens", transformer12, tokens),
    ]


class Weights:
    """A series of three checkpoints in memory, which differ by a little noise."""

    engine = "torch"
    description = "benchmark"

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        checkpoints = tuple(
            Checkpoint(f"step-{step}", Path(f"step-{step}.pt"), step, "") for step in range(3)
        )
        self.series = Series(checkpoints, "given")
        drawing = torch.Generator().manual_seed(1)
        self._weights = [_moved(module, drawing) for _ in checkpoints[:-1]] + [module.state_dict()]

    def module(self, checkpoint: Checkpoint) -> nn.Module:
        return self._module

    def weights(self, checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
        return self._weights[self.series.checkpoints.index(checkpoint)]


def _moved(module: nn.Module, drawing: torch.Generator) -> dict[str, torch.Tensor]:
    return {
        name: weight + 0.01 * torch.randn(weight.shape, generator=drawing)
        if weight.is_floating_point()
        else weight
        for name, weight in module.state_dict().items()
    }


class Fed:
    """The workload's inputs as covscan's samples."""

    def __init__(self, workload: Workload) -> None:
        self._inputs = [inputs.numpy() for inputs in workload.inputs]
        self._size = workload.batch_size
        self.count = self._size * len(self._inputs)
        self.available = self.count
        self.blocks = BLOCKS
        self.fingerprint = ""
        self.description = "random"
        self.names = ()

    def batches(self) -> Iterator[Batch]:
        for number, inputs in enumerate(self._inputs):
            index = np.arange(number * self._size, (number + 1) * self._size)
            yield Batch(index=index, block=index % BLOCKS, positional=(inputs,))


@dataclass(frozen=True, slots=True)
class Bench:
    """A workload, ready to be run bare, captured, and captured with replays."""

    module: nn.Module
    workload: Workload
    source: Weights
    backend: TorchBackend
    network: Network
    samples: Fed

    def bare(self) -> None:
        with torch.inference_mode():
            for inputs in self.workload.inputs:
                self.module(inputs)

    def captured(self, *, references: int) -> None:
        *earlier, last = self.source.series.checkpoints
        recorder = SummaryRecorder(self.network, self.samples, self.workload.batch_size, seed=0)
        self.backend.measure(
            last, self.network, self.samples.batches(), recorder, tuple(earlier[:references])
        )
        assert len(recorder.summary().sites) == len(self.network.measured()), "a site was lost on the way"


def prepare(workload: Workload) -> Bench:
    torch.manual_seed(0)
    module = workload.build().eval()
    source = Weights(module)
    samples = Fed(workload)
    backend = TorchBackend(source, Settings(device="cpu", batch_size=workload.batch_size))
    network = backend.plan(source.series.checkpoints[-1], next(iter(samples.batches())))
    return Bench(module, workload, source, backend, network, samples)


def seconds(job: Callable[[], None]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def measure(workload: Workload) -> dict[str, object]:
    """Seconds of each variant, repeat by repeat, and the ratios to the bare pass of the same repeat."""
    bench = prepare(workload)
    variants: dict[str, Callable[[], None]] = {
        "bare": bench.bare,
        "capture": lambda: bench.captured(references=0),
        "capture with replays": lambda: bench.captured(references=2),
    }
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for job in variants.values():
        job()
    for _ in range(REPEATS):
        for name, job in variants.items():
            taken[name].append(seconds(job))
    return {
        "workload": workload.name,
        "sites": len(bench.network.measured()),
        "samples": bench.samples.count,
        "seconds": {name: [round(value, 4) for value in values] for name, values in taken.items()},
        "ratios": {name: summary(taken[name], taken["bare"]) for name in variants if name != "bare"},
    }


def summary(captured: list[float], bare: list[float]) -> dict[str, float]:
    ratios = [one / other for one, other in zip(captured, bare, strict=True)]
    return {
        "min": round(min(ratios), 3),
        "median": round(statistics.median(ratios), 3),
        "of_minima": round(min(captured) / min(bare), 3),
    }


def markdown(results: list[dict], host: dict[str, str | int]) -> str:
    lines = [
        "# What capture costs",
        "",
        f"{host['processor']}, {THREADS} threads, torch {host['torch']}, covscan {host['covscan']}.",
        f"{REPEATS} repeats in turn, {BATCHES} batches each; the bound is a median of {BOUND} for capture.",
        "",
        "| workload | sites | bare, ms a sample | capture: median (min) | with replays: median (min) |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        bare = 1000 * statistics.median(result["seconds"]["bare"]) / result["samples"]
        cells = [f"{ratio['median']:.2f} ({ratio['min']:.2f})" for ratio in result["ratios"].values()]
        lines.append(f"| {result['workload']} | {result['sites']} | {bare:.1f} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    torch.set_num_threads(THREADS)
    host = machine()
    results = [measure(workload) for workload in workloads()]
    RESULTS.mkdir(exist_ok=True)
    report = {"bound": BOUND, "threads": THREADS, "machine": host, "results": results}
    (RESULTS / "capture.json").write_text(json.dumps(report, indent=2) + "\n")
    (RESULTS / "capture.md").write_text(markdown(results, host))
    print(markdown(results, host))
    return int(any(result["ratios"]["capture"]["median"] > BOUND for result in results))


if __name__ == "__main__":
    sys.exit(main())
