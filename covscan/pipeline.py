"""The one place that puts the parts together: settings in, report out."""

import datetime as dt
import platform
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from covscan.assembly import Assembly, SiteSurvey
from covscan.capture.types import Backend
from covscan.config import Settings
from covscan.config.progress import Progress, Silent
from covscan.data import open_samples
from covscan.data.types import Samples
from covscan.engine.series import measure_series, plan_network
from covscan.errors import Inconclusive
from covscan.models import open_source
from covscan.models.types import Source
from covscan.registry import resolve
from covscan.report.types import Report, Run
from covscan.rules.evidence import Evidence
from covscan.rules.questions import question

if TYPE_CHECKING:
    from covscan.prove.gather import Trainable

BACKENDS = {
    "torch": "covscan.capture.torch_backend:TorchBackend",
    "torchscript": "covscan.capture.script_backend:ScriptBackend",
    "onnx": "covscan.capture.onnx_backend:OnnxBackend",
}


def analyze(settings: Settings, progress: Progress | None = None, command: str = "covscan.analyze(...)") -> Report:
    """Measure every checkpoint, compare, judge. Raises UsageError for bad input and Inconclusive for an empty run."""
    progress = progress or Silent()
    began, clock = dt.datetime.now(dt.UTC), time.perf_counter()
    source, samples, backend = _open(settings)
    trainable, notes = _trainable(source, samples, settings)
    assembly = Assembly(source, samples, settings, backend.device)
    checkpoints = source.series.checkpoints
    progress.start([checkpoint.id for checkpoint in checkpoints], -(-samples.count // settings.batch_size))
    try:
        # numpy's matrices are small here: its threads would only fight with those of torch and onnxruntime for the
        # cores (measured on a busy machine with 2 of them: 84 s against 25 s for the digits sample).
        with threadpool_limits(1, user_api="blas"):
            for step in measure_series(backend, checkpoints, samples, settings, progress):
                assembly.add(step)
            evidence = assembly.evidence()
            if trainable is not None and evidence.coverage.measured:
                evidence = _tried(evidence, trainable, source, settings, progress)
    finally:
        progress.finish()
    run = Run(
        started=began.isoformat(timespec="seconds"),
        seconds=round(time.perf_counter() - clock, 3),
        host=platform.node(),
        command=command,
        versions=_versions(),
    )
    report = assembly.report(evidence, run, notes)
    if not report.coverage.measured:
        raise Inconclusive(
            "nothing-measured",
            "no site could be measured",
            found="; ".join(f"{skip.site}: {skip.reason}" for skip in report.coverage.skipped[:3]) or "no sites",
            hint="covscan sites lists what can be tapped and why the rest cannot",
        )
    return report


def _trainable(source: Source, samples: Samples, settings: Settings) -> "tuple[Trainable | None, list[str]]":
    """What short trainings need, where a loss is given and the model can be trained, and else why not in a sentence.

    Opened before anything is measured, so that a loss or a target that does not fit is said at once.
    """
    if settings.loss is None or settings.evidence == "forward":
        return None, []
    if source.engine != "torch":
        return None, [f"A model opened by {source.engine} cannot be trained here: forward evidence alone was used."]
    from covscan.prove.gather import open_bench

    return open_bench(source, settings, samples), []


def _tried(
    evidence: Evidence, trainable: "Trainable", source: Source, settings: Settings, progress: Progress
) -> Evidence:
    """The evidence with what gradients and short trainings add to it."""
    from covscan.prove.gather import gather

    assert source.engine == "torch"
    gradients, trials = gather(trainable, source, settings, evidence.network, question(evidence), progress.trial)
    return replace(evidence, gradients=gradients, trials=trials)


def survey(settings: Settings) -> SiteSurvey:
    """List the sites of the first checkpoint, or of the network as its factory makes it. Raises UsageError."""
    source, samples, backend = _open(settings, untrained=True)
    first = source.series.checkpoints[0]
    network = plan_network(backend, first, samples, settings)
    assembly = Assembly(source, samples, settings, backend.device)
    return assembly.survey(network)


def _open(settings: Settings, *, untrained: bool = False) -> tuple[Source, Samples, Backend]:
    source = open_source(settings, untrained=untrained)
    samples = open_samples(settings)
    backend: Backend = resolve(BACKENDS[source.engine])(source, settings)
    return source, samples, backend


def _versions() -> dict[str, str]:
    from importlib import metadata

    names = ("numpy", "onnx", "onnxruntime", "torch")
    return {"python": platform.python_version()} | {
        name: metadata.version(name) for name in names if name in sys.modules
    }
