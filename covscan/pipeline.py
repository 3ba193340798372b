"""The one place that puts the parts together: settings in, report out."""

import datetime as dt
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from covscan.assembly import Assembly, SiteSurvey
from covscan.capture.threads import computing_threads
from covscan.config import Settings
from covscan.config.progress import Progress, Silent
from covscan.data.types import Samples
from covscan.engine.subjects import plan_network
from covscan.errors import Inconclusive, UsageError
from covscan.measuring import assembled
from covscan.models.types import Source
from covscan.parallel import Opening, open_by
from covscan.report.types import Coverage, Report, Run
from covscan.rules.evidence import Evidence
from covscan.rules.questions import question
from covscan.subjects import Opened, open_series

if TYPE_CHECKING:
    from covscan.prove.gather import Trainable


def analyze(settings: Settings, progress: Progress | None = None, command: str = "covscan.analyze(...)") -> Report:
    """Measure every checkpoint, compare, judge; with reference data, one checkpoint on both data sets.

    Raises UsageError for bad input and Inconclusive for an empty run.
    """
    if settings.reference_data is not None:
        _check_untrained(settings)
        return _measured(Clock(), ("covscan.subjects:open_data_sets", (settings,)), progress, command)
    return _measured(Clock(), ("covscan.subjects:open_series", (settings,)), progress, command)


def compare_models(
    first: Settings, second: Settings, progress: Progress | None = None, command: str = "covscan.compare_models(...)"
) -> Report:
    """Measure two models on the samples of ``first``, compare them site by site, judge the second.

    Raises UsageError for bad input and Inconclusive where nothing of one model could be found in the other.
    """
    return _measured(Clock(), ("covscan.subjects:open_models", (first, second)), progress, command)


def _unmeasured(coverage: Coverage) -> str:
    """Why nothing was measured: the first few reasons, or the modules that were never called."""
    reasons = [f"{skip.site}: {skip.reason}" for skip in coverage.skipped[:3]]
    if not reasons and coverage.never_fired:
        names = ", ".join(coverage.never_fired[:3])
        reasons = [f"{len(coverage.never_fired)} modules that were never called: {names}"]
    return "; ".join(reasons) or "no sites"


@dataclass(frozen=True, slots=True)
class Clock:
    """When a run began."""

    began: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    ticks: float = field(default_factory=time.perf_counter)

    def run(self, command: str) -> Run:
        """The report's record of the run that ends now."""
        return Run(
            started=self.began.isoformat(timespec="seconds"),
            seconds=round(time.perf_counter() - self.ticks, 3),
            host=platform.node(),
            command=command,
            versions=_versions(),
        )


def _check_untrained(settings: Settings) -> None:
    """Raise UsageError where training is asked for, of which a comparison of data sets has none."""
    asked = {"--loss": settings.loss, "--optimizer": settings.optimizer, "--lr": settings.lr}
    asked |= {"--trial-steps": settings.trial_steps, "--evidence": settings.evidence}
    named = [option for option, value in asked.items() if value is not None and value != "forward"]
    if named:
        raise UsageError(
            "not-trained",
            f"{named[0]} belongs to training, and two data sets are compared without any",
            hint=f"leave out {' and '.join(named)}, or --reference-data",
        )


def _measured(clock: Clock, opening: Opening, progress: Progress | None, command: str) -> Report:
    opened, settings = open_by(opening), opening[1][0]
    progress = progress or Silent()
    return concluded(
        opened, lambda: assembled(opening, opened, progress), settings, progress, lambda: clock.run(command)
    )


def concluded(
    opened: Opened,
    measure: Callable[[], tuple[Assembly, list[str]]],
    settings: Settings,
    progress: Progress,
    run: Callable[[], Run],
    trained: Source | None = None,
) -> Report:
    """The report on what ``measure`` measures, with the sentences it adds; ``run`` is asked for its record at the end.

    Trainings use the checkpoints of ``trained``, where those are fewer than were measured. Raises UsageError, and
    Inconclusive where nothing could be measured.
    """
    trained = trained or opened.subjects[0].source
    for subject in opened.subjects:
        subject.source.identity()  # before a loss is imported, whose module is no part of the model
    trainable, notes = open_training(trained, opened.subjects[0].samples, settings, progress.note)
    try:
        # numpy's matrices are small here: its threads would only fight with those of torch and onnxruntime for the
        # cores (measured on a busy machine with 2 of them: 84 s against 25 s for the digits sample).
        with threadpool_limits(1, user_api="blas"), computing_threads(settings.threads):
            assembly, fitting = measure()
            evidence = assembly.evidence()
            if trainable is not None and evidence.coverage.measured:
                evidence = _tried(evidence, trainable, trained, settings, progress)
    finally:
        progress.finish()
    report = assembly.report(evidence, run(), [*notes, *fitting])
    if not report.coverage.measured:
        raise Inconclusive(
            "nothing-measured",
            "no site could be measured",
            found=_unmeasured(report.coverage),
            hint="covscan sites lists what can be tapped and why the rest cannot",
        )
    return report


def open_training(
    source: Source, samples: Samples, settings: Settings, note: Callable[[str], None] = lambda text: None
) -> "tuple[Trainable | None, list[str]]":
    """What short trainings need, where a loss is given and the model can be trained, and else why not in a sentence.

    Opened before anything is measured, so that a loss or a target that does not fit is said at once.
    """
    if settings.loss is None or settings.evidence == "forward":
        return None, []
    if source.engine != "torch":
        return None, [f"A model opened by {source.engine} cannot be trained here: forward evidence alone was used."]
    from covscan.prove.gather import open_bench

    return open_bench(source, settings, samples, note=note), []


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
    opened = open_series(settings, untrained=True)
    network = plan_network(opened.subjects[0], settings)
    return Assembly(opened, settings).survey(network)


def _versions() -> dict[str, str]:
    from importlib import metadata

    names = ("numpy", "onnx", "onnxruntime", "torch")
    return {"python": platform.python_version()} | {
        name: metadata.version(name) for name in names if name in sys.modules
    }
