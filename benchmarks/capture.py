"""What capture adds to the bare forward pass: one run, both measured in turn.

    python benchmarks/capture.py

The bound is 1.3 times the bare forward at the default settings on 2 cores. Bare and captured passes
alternate, so that what else the machine does falls on both; the ratio is taken pair by pair, of wall time
(which the bound is about) and of processor time on one thread (which a busy machine distorts less). "With
replays" also runs modules on the weights of two earlier checkpoints, as an analysis of a series does from its third
checkpoint on: the first 32 samples are replayed, and what that costs is spread over as many batches as a run of the
default length has for each replayed one. Writes ``benchmarks/results/capture.json`` and
``capture.md``; ends with 1 where the median ratio of wall time misses the bound.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command does; read when torch is imported

import numpy as np
import torch
from machine import machine
from nets import resnet18, transformer12
from threadpoolctl import threadpool_limits
from torch import nn

from covscan.capture.recorder import SummaryRecorder
from covscan.capture.torch_backend import TorchBackend
from covscan.capture.types import Network, Reference
from covscan.config import Settings
from covscan.data.types import Batch
from covscan.models.types import Checkpoint, Series

RESULTS = Path(__file__).parent / "results"
BOUND = 1.3
THREADS = 2
REPEATS = 5
BATCHES = 4
BLOCKS = 16
SAMPLES = 512
"""Of a default run, from which the recorder reckons how many batches lie between two replayed ones."""
REPLAYED_SAMPLES, REPLAY_EVERY = 32, 16
"""So many samples are replayed first, and of all one in so many."""


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
    foreign = False
    description = "benchmark"

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        checkpoints = tuple(Checkpoint(f"step-{step}", Path(f"step-{step}.pt"), step, "") for step in range(3))
        self.series = Series(checkpoints, "given")
        drawing = torch.Generator().manual_seed(1)
        self._weights = [_moved(module, drawing) for _ in checkpoints[:-1]] + [module.state_dict()]

    def module(self, checkpoint: Checkpoint) -> nn.Module:
        return self._module

    def weights(self, checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
        return self._weights[self.series.checkpoints.index(checkpoint)]


def _moved(module: nn.Module, drawing: torch.Generator) -> dict[str, torch.Tensor]:
    return {
        name: weight + 0.01 * torch.randn(weight.shape, generator=drawing) if weight.is_floating_point() else weight
        for name, weight in module.state_dict().items()
    }


class Fed:
    """The workload's inputs as covscan's samples."""

    def __init__(self, workload: Workload) -> None:
        self._inputs = [inputs.numpy() for inputs in workload.inputs]
        self._size = workload.batch_size
        self.count = self.available = SAMPLES
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
        replayed = tuple(Reference(each.id, each, self.backend) for each in earlier[:references])
        recorder = SummaryRecorder(self.network, self.samples, seed=0)
        # As the pipeline does: numpy's second thread would go on spinning while torch computes.
        with threadpool_limits(1, user_api="blas"):
            self.backend.measure(last, self.network, self.samples.batches(), recorder, replayed)
        assert len(recorder.summary().sites) == len(self.network.measured()), "a site was lost on the way"


def prepare(workload: Workload) -> Bench:
    torch.manual_seed(0)
    module = workload.build().eval()
    source = Weights(module)
    samples = Fed(workload)
    backend = TorchBackend(source, Settings(device="cpu", batch_size=workload.batch_size))
    network = backend.plan(source.series.checkpoints[-1], next(iter(samples.batches())))
    return Bench(module, workload, source, backend, network, samples)


def taken(variants: dict[str, Callable[[], None]], clock: Callable[[], float]) -> dict[str, list[float]]:
    """Seconds of each variant, in turn, after a round that warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for repeat in range(-1, REPEATS):
        for name, job in variants.items():
            start = clock()
            job()
            if repeat >= 0:
                seconds[name].append(round(clock() - start, 4))
    return seconds


def measure(workload: Workload) -> dict[str, object]:
    """Wall time on two threads and processor time on one, repeat by repeat, and their ratios to the bare pass."""
    bench = prepare(workload)
    variants: dict[str, Callable[[], None]] = {
        "bare": bench.bare,
        "capture": lambda: bench.captured(references=0),
        "replays": lambda: bench.captured(references=2),
    }
    torch.set_num_threads(THREADS)
    wall = taken(variants, time.perf_counter)
    torch.set_num_threads(1)
    with threadpool_limits(1):
        processor = taken(variants, time.process_time)
    replayed = min(BATCHES, max(1, REPLAYED_SAMPLES // workload.batch_size))
    return {
        "workload": workload.name,
        "sites": len(bench.network.measured()),
        "samples": workload.batch_size * BATCHES,
        "seconds": {"wall": wall, "processor": processor},
        "ratios": {"wall": ratios(wall, replayed), "processor": ratios(processor, replayed)},
    }


def ratios(seconds: dict[str, list[float]], replayed: int) -> dict[str, dict[str, float]]:
    """Least and median ratio to the bare pass of the same repeat, without and with replays in ``replayed`` batches."""
    share = BATCHES / REPLAY_EVERY / replayed  # of what was replayed, in a run of the default length
    rounds = list(zip(seconds["bare"], seconds["capture"], seconds["replays"], strict=True))
    found = {
        "capture": [capture / bare for bare, capture, _ in rounds],
        "with replays": [(capture + (replays - capture) * share) / bare for bare, capture, replays in rounds],
    }
    return {
        name: {"min": round(min(values), 3), "median": round(statistics.median(values), 3)}
        for name, values in found.items()
    }


def markdown(results: list[dict], host: dict[str, str | int]) -> str:
    lines = [
        "# What capture costs",
        "",
        f"{host['processor']}, torch {host['torch']}, covscan {host['covscan']}.",
        f"{REPEATS} repeats in turn; the bound is a median of {BOUND} for capture in wall time.",
        "",
        f"Ratio to the bare forward: median (least). Wall time is on {THREADS} threads, processor time on one.",
        "",
        "| workload | sites | bare, ms a sample | capture, wall | processor | with replays, wall | processor |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        bare = 1000 * statistics.median(result["seconds"]["wall"]["bare"]) / result["samples"]
        cells = [
            f"{ratio['median']:.2f} ({ratio['min']:.2f})"
            for name in ("capture", "with replays")
            for ratio in (result["ratios"][clock][name] for clock in ("wall", "processor"))
        ]
        lines.append(f"| {result['workload']} | {result['sites']} | {bare:.1f} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    host = machine()
    results = [measure(workload) for workload in workloads()]
    RESULTS.mkdir(exist_ok=True)
    report = {"bound": BOUND, "threads": THREADS, "machine": host, "results": results}
    (RESULTS / "capture.json").write_text(json.dumps(report, indent=2) + "\n")
    (RESULTS / "capture.md").write_text(markdown(results, host))
    print(markdown(results, host))
    return int(any(result["ratios"]["wall"]["capture"]["median"] > BOUND for result in results))


if __name__ == "__main__":
    sys.exit(main())
