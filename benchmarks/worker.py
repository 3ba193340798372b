"""What runs inside a contender's process, by its name: the bare passes, and what peers offer as a library.

    python benchmarks/worker.py NAME JOB.json

Each function opens the job's files, works, and tells its seconds of loading and of passes, one each for every
checkpoint where the contender takes them one by one, and how many layers or tensors it saw. The answer goes into
``worker.json`` in the job's folder. Imports are inside the functions: a contender pays for its own alone.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch

Answer = dict[str, Any]
WIDEST = 8192
"""Channels: delve's covariance of GPT-2's head, 50,257 wide, would take 20 GB."""


class Timer:
    """Seconds by phase, in order."""

    def __init__(self) -> None:
        self.phases: dict[str, list[float]] = {"load": [], "forward": []}
        self._last = time.perf_counter()

    def lap(self, phase: str | None = None) -> None:
        """Count what passed since the last lap to ``phase``, or to none."""
        now = time.perf_counter()
        if phase is not None:
            self.phases[phase].append(round(now - self._last, 4))
        self._last = now


def batches(job: Answer) -> "Iterator[np.ndarray]":
    import numpy as np

    with np.load(job["data"]) as arrays:
        data = arrays["x"]
    for start in range(0, len(data), job["batch"]):
        yield data[start : start + job["batch"]]


def network_of(job: Answer, path: str) -> "torch.nn.Module":
    import nets
    import torch

    network = getattr(nets, job["factory"])(**job["arguments"])
    network.load_state_dict(torch.load(path, weights_only=True)["state_dict"])
    return network.eval()


def layers_of(network: "torch.nn.Module") -> list[str]:
    """Modules without modules inside that run."""
    import torch

    return [
        name
        for name, module in network.named_modules()
        if name and not any(module.children()) and not isinstance(module, torch.nn.Sequential | torch.nn.Identity)
    ]


def bare_torch(job: Answer) -> Answer:
    import torch

    fed = [torch.from_numpy(batch) for batch in batches(job)]
    timer = Timer()
    for path in job["checkpoints"]:
        network = network_of(job, path)
        timer.lap("load")
        with torch.inference_mode():
            for batch in fed:
                network(batch)
        timer.lap("forward")
    return {**timer.phases, "seen": 0}


def bare_onnx(job: Answer) -> Answer:
    import onnxruntime

    fed = list(batches(job))
    timer = Timer()
    for path in job["checkpoints"]:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        timer.lap("load")
        for batch in fed:
            session.run(None, {"x": batch})
        timer.lap("forward")
        del session
    return {**timer.phases, "seen": 0}


def covscan_capture(job: Answer) -> Answer:
    """Every default statistic of one checkpoint, without replays, comparisons, rules and a report."""
    from threadpoolctl import threadpool_limits

    from covscan.capture.recorder import SummaryRecorder
    from covscan.config import Settings
    from covscan.engine.subjects import plan_network
    from covscan.memory import keep_freed
    from covscan.subjects import open_series

    keep_freed()  # as the command does

    timer = Timer()
    settings = Settings(
        model=f"{Path(__file__).parent / 'nets.py'}:{job['factory']}" if job["engine"] == "torch" else None,
        model_args=tuple(job["arguments"].items()) if job["engine"] == "torch" else (),
        checkpoints=(job["checkpoints"][0],),
        data=job["data"],
        batch_size=job["batch"],
        device="cpu",
    )
    (subject,) = open_series(settings).subjects
    network = plan_network(subject, settings)
    timer.lap("load")
    recorder = SummaryRecorder(network, subject.samples, settings.seed)
    with threadpool_limits(1, user_api="blas"):
        subject.backend.measure(subject.checkpoint, network, subject.samples.batches(), recorder)
    seen = len(recorder.summary().sites)
    timer.lap("forward")
    return {**timer.phases, "seen": seen}


def pytorch_cka(job: Answer) -> Answer:
    """The README's call: two models, a loader, all layers that run."""
    import torch
    from cka import compute_cka

    loader = torch.utils.data.DataLoader([torch.from_numpy(batch) for batch in batches(job)], batch_size=None)
    timer = Timer()
    one, other = (network_of(job, path) for path in job["checkpoints"])
    layers = layers_of(one)
    timer.lap("load")
    (matrix,) = compute_cka(one, other, loader, layers=layers, device="cpu", progress=False)
    timer.lap("forward")
    return {**timer.phases, "seen": len(layers), "values": matrix.diagonal().tolist()}


def torchinstruments(job: Answer) -> Answer:
    """Each pass sampled, and not one a minute; layers alone, and of histograms the least that it allows."""
    import torch
    from torchinstruments import AlwaysSampler, inject_observer, remove_observer

    fed = [torch.from_numpy(batch) for batch in batches(job)]
    timer = Timer()
    network = network_of(job, job["checkpoints"][0])
    layers = layers_of(network)
    timer.lap("load")
    with tempfile.TemporaryDirectory() as folder:
        inject_observer(
            network,
            output_dir=Path(folder) / "stats",
            sampler=AlwaysSampler(),
            selector=lambda name, module: name in layers,
            max_histogram_modules=1,
        )
        with torch.inference_mode():
            for batch in fed:
                network(batch)
        remove_observer(network)
        found = {each["layer"] for each in json.loads((Path(folder) / "stats" / "result.json").read_text())}
    timer.lap("forward")
    return {**timer.phases, "seen": len(found)}


def delve(job: Answer) -> Answer:
    """Saturation of every convolution, linear layer and LSTM, as its README does at the end of an epoch."""
    import torch
    from delve import SaturationTracker

    fed = [torch.from_numpy(batch) for batch in batches(job)]
    timer = Timer()
    network = network_of(job, job["checkpoints"][0])
    timer.lap("load")

    def narrow(layers: dict[str, torch.nn.Module]) -> dict[str, torch.nn.Module]:
        return {name: layer for name, layer in layers.items() if getattr(layer, "out_features", 0) <= WIDEST}

    with tempfile.TemporaryDirectory() as folder:
        tracker = SaturationTracker(
            f"{folder}/run", save_to="csv", modules=network, layer_filter=narrow, stats=["lsat"], device="cpu"
        )
        with torch.inference_mode():
            for batch in fed:
                network(batch)
        tracker.add_saturations()
        tracker.close()
    timer.lap("forward")
    return {**timer.phases, "seen": len(tracker.layers)}


class Reader:
    """The samples as onnxruntime's calibrators want to be handed them."""

    def __init__(self, arrays: "Iterator[np.ndarray]") -> None:
        self._arrays = arrays

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._arrays, None)
        return None if batch is None else {"x": batch}


def calibrated(job: Answer, method: str, *, by_batch: bool = False) -> Answer:
    """Ranges of every floating tensor, in one call as ``quantize_static`` does it or in one for each batch."""
    from onnxruntime.quantization.calibrate import CalibrationMethod, create_calibrator

    fed = list(batches(job))
    timer = Timer()
    with tempfile.TemporaryDirectory() as folder:
        calibrator = create_calibrator(
            Path(job["checkpoints"][0]),
            augmented_model_path=f"{folder}/augmented.onnx",
            calibrate_method=CalibrationMethod[method],
        )
        timer.lap("load")
        for part in [[batch] for batch in fed] if by_batch else [fed]:
            calibrator.collect_data(Reader(iter(part)))
        ranges = calibrator.compute_data()
        timer.lap("forward")
        del calibrator
    return {**timer.phases, "seen": len(list(ranges.keys()))}


WORK: dict[str, Callable[[Answer], Answer]] = {
    "bare-torch": bare_torch,
    "bare-onnx": bare_onnx,
    "capture": covscan_capture,
    "pytorch-cka": pytorch_cka,
    "torchinstruments": torchinstruments,
    "delve": delve,
    "minmax": lambda job: calibrated(job, "MinMax"),
    "histogram": lambda job: calibrated(job, "Percentile"),
    "histogram-batches": lambda job: calibrated(job, "Percentile", by_batch=True),
}


def main() -> None:
    job = json.loads(Path(sys.argv[2]).read_text())
    answer = WORK[sys.argv[1]](job)
    (Path(job["folder"]) / "worker.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
