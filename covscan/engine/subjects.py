"""What is measured as one column of a report: a checkpoint of some source, run by some back end on some samples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from covscan.capture.recorder import SummaryRecorder
from covscan.capture.types import Backend, Network, Reference
from covscan.config import Settings
from covscan.config.progress import Progress
from covscan.data.types import Batch, Samples
from covscan.engine.captured import Captured
from covscan.engine.selection import select_sites
from covscan.engine.views import View
from covscan.errors import OutOfMemory
from covscan.measures.movement import nonfinite_weights
from covscan.measures.norms import norm_evidence
from covscan.memory import give_back, memory_error, what_was_needed
from covscan.models.types import Checkpoint, Source


@dataclass(frozen=True, slots=True)
class Subject:
    """One column: ``id`` names it in the report.

    ``paired`` says that the other columns see the same samples. Where it stands beside another model, ``network`` holds
    the sites that both have, and ``view`` what the report calls them.
    """

    id: str
    checkpoint: Checkpoint
    source: Source
    backend: Backend
    samples: Samples
    paired: bool = True
    network: Network | None = None
    view: View | None = None

    def has_weights_of(self, other: "Subject") -> bool:
        """Whether both run the very same weights."""
        return self.source is other.source and self.checkpoint == other.checkpoint

    def can_replay(self, other: "Subject") -> bool:
        """Whether a layer of this one can be run with the weights of the other, which differ."""
        return self.source.engine == other.source.engine and not self.has_weights_of(other)


def plan_network(subject: Subject, settings: Settings) -> Network:
    """The sites that are to be measured of a subject, under the names of its own network."""
    if subject.network is not None:
        return subject.network
    batch = next(iter(subject.samples.batches()))
    return select_sites(subject.backend.plan(subject.checkpoint, batch), settings.sites, settings.exclude)


def capture(subject: Subject, earlier: Sequence[Subject], settings: Settings, progress: Progress) -> Captured:
    """Run a subject's samples through it; ``earlier`` are those whose weights its layers are replayed with.

    Raises UsageError, and OutOfMemory where batches of this size are too large for it.
    """
    try:
        return _captured(subject, earlier, settings, progress)
    except Exception as error:
        lacking = memory_error(error)
        if lacking is None:
            raise
        raise OutOfMemory.of(what_was_needed(lacking)) from error


def _captured(subject: Subject, earlier: Sequence[Subject], settings: Settings, progress: Progress) -> Captured:
    network = plan_network(subject, settings)
    give_back()
    progress.sites([(site.key.site, site.key.position) for site in network.sites])
    recorder = SummaryRecorder(network, subject.samples, settings.seed)
    names = {} if subject.view is None else subject.view.calls
    references = tuple(Reference(other.id, other.checkpoint, other.backend, names) for other in earlier)
    batches = _counted(subject.samples, progress)
    subject.backend.measure(subject.checkpoint, network, batches, recorder, references)
    give_back()
    summary = recorder.summary()
    weights = subject.backend.weights(subject.checkpoint)
    norms = subject.backend.norms(subject.checkpoint, network)
    captured = Captured(
        network, summary, norm_evidence(network, norms, summary.sites, weights), nonfinite_weights(weights)
    )
    subject.source.check(subject.checkpoint)  # what was read until now is what the digest is of
    return captured.renamed(subject.view) if subject.view is not None and subject.view.renames else captured


def _counted(samples: Samples, progress: Progress) -> Iterator[Batch]:
    for batch in samples.batches():
        yield batch
        progress.batch()
