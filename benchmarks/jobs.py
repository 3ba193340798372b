"""Files for contenders to read, and the commands of those that every benchmark runs."""

import functools
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from processes import run
from workloads import Workload

HERE = Path(__file__).parent
Job = dict[str, Any]
"""What ``prepare.py`` and ``worker.py`` read: ``job.json`` in its folder, whose paths lie in the folder too."""


def prepared(
    folder: Path, workload: Workload, engine: str, checkpoints: int, arguments: Mapping[str, int] | None = None
) -> Job:
    """Write checkpoints for ``engine``, torch or onnx, and samples into ``folder``, and the job that names them."""
    folder.mkdir(parents=True)
    job: Job = {
        "folder": str(folder),
        "engine": engine,
        "factory": workload.factory,
        "arguments": dict(arguments or {}),
        "shape": workload.shape,
        "words": workload.words,
        "samples": workload.samples,
        "batch": workload.batch,
        "checkpoints": checkpoints,
        "onnx": engine == "onnx",
    }
    path = folder / "job.json"
    path.write_text(json.dumps(job))
    done = run([sys.executable, str(HERE / "prepare.py"), str(path)])
    if done.code != 0:
        raise SystemExit(f"{workload.title} could not be written for {engine}:\n{done.said}")
    suffix = "onnx" if engine == "onnx" else "pt"
    job["checkpoints"] = [str(folder / f"step-{step}.{suffix}") for step in range(checkpoints)]
    job["data"] = str(folder / "data.npz")
    path.write_text(json.dumps(job))
    return job


def worker(kind: str, job: Job) -> list[str]:
    """What runs a function of ``worker.py``."""
    return [sys.executable, str(HERE / "worker.py"), kind, str(Path(job["folder"]) / "job.json")]


def analyze(job: Job, *options: str) -> list[str]:
    """``covscan analyze`` of all checkpoints of the job with every setting at its default, and nothing remembered."""
    model = []
    if job["engine"] == "torch":
        model = ["--model", f"{HERE / 'nets.py'}:{job['factory']}"]
        model += [part for name, value in job["arguments"].items() for part in ("--model-arg", f"{name}={value}")]
    return [
        *(sys.executable, "-m", "covscan", "analyze", "--quiet", "--no-config", "--device", "cpu"),
        *(["--no-cache"] if "--no-cache" in covscan_options() else []),
        *model,
        *("--data", job["data"], "--samples", str(job["samples"]), "--batch-size", str(job["batch"])),
        *("-o", f"json={Path(job['folder']) / 'report.json'}"),
        *options,
        *job["checkpoints"],
    ]


@functools.cache
def covscan_options() -> frozenset[str]:
    """Every word of the help of ``covscan analyze``."""
    shown = subprocess.run(
        [sys.executable, "-m", "covscan", "analyze", "--help"], capture_output=True, text=True, check=True
    )
    return frozenset(shown.stdout.split())
