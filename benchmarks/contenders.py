"""Who takes part: what each is, what it computes, and the command that runs it."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs import Job, analyze, worker

Told = dict[str, Any]
"""What a contender said of itself: seconds of ``load`` and ``forward`` (lists) or of its ``whole``, and ``seen``."""


def _worker(kind: str) -> Callable[[Job], list[str]]:
    return lambda job: worker(kind, job)


def _told_by_worker(job: Job) -> Told:
    return json.loads((Path(job["folder"]) / "worker.json").read_text())


def _told_by_report(job: Job) -> Told:
    report = json.loads((Path(job["folder"]) / "report.json").read_text())
    return {"whole": report["run"]["seconds"], "seen": report["coverage"]["measured"]}


def _polygraphy(job: Job) -> list[str]:
    program, script = Path(sys.executable).with_name("polygraphy"), Path(__file__).with_name("polygraphy_data.py")
    return [
        *(str(program), "run", job["checkpoints"][0], "--onnxrt", "--onnx-outputs", "mark", "all", "--validate"),
        *("--data-loader-script", str(script), "--log-file", str(Path(job["folder"]) / "polygraphy.log")),
    ]


def _told_by_polygraphy(job: Job) -> Told:
    said = (Path(job["folder"]) / "polygraphy.log").read_text()
    return {"seen": len(set(re.findall(r"Output: (\S+) is valid", said)))}


@dataclass(frozen=True, slots=True)
class Contender:
    """One row of a table.

    It reads the first ``checkpoints`` of the part and is set beside the covscan row ``against``; ``needs`` names the
    distributions without which it is left out. What it says about itself stands in ``told``'s files.
    """

    name: str
    title: str
    engine: str
    checkpoints: int
    command: Callable[[Job], list[str]]
    told: Callable[[Job], Told]
    reads: str
    computes: str
    beyond: str
    against: str | None = None
    factor: float = 1.0
    needs: str | None = None

    @property
    def bare(self) -> bool:
        return self.name == "bare"


def _capture(engine: str) -> Contender:
    return Contender(
        name="capture",
        title="covscan, capture alone",
        engine=engine,
        checkpoints=1,
        command=_worker("capture"),
        told=_told_by_worker,
        reads="inputs and outputs of every layer, 32 positions of each sample",
        computes="count, mean and variance by channel and block of samples, shares of zero, saturated and non-finite "
        "values, extremes, a sample of rows for quantiles and geometry",
        beyond="the blocks are what noise floors and intervals are made of",
    )


def _analyze(engine: str) -> Contender:
    return Contender(
        name="analyze",
        title="covscan analyze",
        engine=engine,
        checkpoints=2,
        command=lambda job: analyze(job, "--evidence", "forward"),
        told=_told_by_report,
        reads="inputs and outputs of every layer, 32 positions of each sample",
        computes="the statistics of both checkpoints; the shift between them by all measures of covscan, CKA among "
        "them; what each layer added itself, by replays; what it says of norms, units and depth",
        beyond="noise floors, intervals, findings, advice, a report",
    )


def _all_positions(engine: str) -> Contender:
    return Contender(
        name="analyze-all",
        title="covscan analyze --positions all",
        engine=engine,
        checkpoints=2,
        command=lambda job: analyze(job, "--evidence", "forward", "--positions", "all"),
        told=_told_by_report,
        reads="inputs and outputs of every layer, every position",
        computes="the same from every pixel or token",
        beyond="the same",
    )


def _bare(engine: str) -> Contender:
    return Contender(
        name="bare",
        title="bare load and forward",
        engine=engine,
        checkpoints=2,
        command=_worker(f"bare-{engine}"),
        told=_told_by_worker,
        reads="nothing",
        computes="nothing: what the others are compared with",
        beyond="nothing",
    )


CONTENDERS = (
    _bare("torch"),
    _capture("torch"),
    _analyze("torch"),
    _all_positions("torch"),
    Contender(
        name="pytorch-cka",
        title="pytorch-cka",
        engine="torch",
        checkpoints=2,
        command=_worker("pytorch-cka"),
        told=_told_by_worker,
        reads="outputs of all layers, every position, positions and channels as one long vector",
        computes="CKA of each layer with each, unbiased HSIC summed over batches",
        beyond="no noise, no advice",
        against="analyze",
        factor=2.0,
        needs="pytorch-cka",
    ),
    Contender(
        name="torchinstruments",
        title="torchinstruments",
        engine="torch",
        checkpoints=1,
        command=_worker("torchinstruments"),
        told=_told_by_worker,
        reads="outputs of all layers, every position, as one heap of numbers (no channels)",
        computes="mean, sd, extremes, exact quartiles, shares of zero and non-finite, of each batch by itself",
        beyond="no noise, no advice, no comparison; files for TensorBoard and Polars",
        against="capture",
        needs="torchinstruments",
    ),
    Contender(
        name="delve",
        title="delve",
        engine="torch",
        checkpoints=1,
        command=_worker("delve"),
        told=_told_by_worker,
        reads="outputs of convolutions (every position), linear layers and LSTMs (the last step of a sequence alone)",
        computes="covariance over channels, of it the share of directions that hold 99 % of the variance",
        beyond="no noise, no advice, no comparison",
        against="capture",
        needs="delve",
    ),
    _bare("onnx"),
    _capture("onnx"),
    _analyze("onnx"),
    _all_positions("onnx"),
    Contender(
        name="minmax",
        title="onnxruntime calibrator, MinMax",
        engine="onnx",
        checkpoints=1,
        command=_worker("minmax"),
        told=_told_by_worker,
        reads="every floating tensor, every value",
        computes="minimum and maximum, by nodes inside the graph, whose other optimizations are off",
        beyond="no noise, no advice, no comparison",
        against="capture",
        needs="onnxruntime",
    ),
    Contender(
        name="histogram",
        title="onnxruntime calibrator, Histogram",
        engine="onnx",
        checkpoints=1,
        command=_worker("histogram"),
        told=_told_by_worker,
        reads="every floating tensor, every value",
        computes="a histogram of |x| in 2,048 bins, of it the 99.999th percentile",
        beyond="no noise, no advice, no comparison",
        against="capture",
        needs="onnxruntime",
    ),
    Contender(
        name="histogram-batches",
        title="the same, called batch by batch",
        engine="onnx",
        checkpoints=1,
        command=_worker("histogram-batches"),
        told=_told_by_worker,
        reads="every floating tensor, every value",
        computes="the same, with bins added as the range grows",
        beyond="no noise, no advice, no comparison",
        against="capture",
        needs="onnxruntime",
    ),
    Contender(
        name="polygraphy",
        title="Polygraphy, --onnx-outputs mark all --validate",
        engine="onnx",
        checkpoints=1,
        command=_polygraphy,
        told=_told_by_polygraphy,
        reads="every tensor, every value",
        computes="mean, sd, median, extremes, three percentiles and NaN or infinity, of each batch by itself, as text",
        beyond="no noise, no advice; a comparison value by value with a second run whose outputs were kept",
        against="capture",
        needs="polygraphy",
    ),
)
