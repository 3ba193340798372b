"""What one run measures: a series of checkpoints, two data sets through one checkpoint, or two models on the same."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from covscan.capture.types import Backend
from covscan.config import Settings
from covscan.data import open_samples
from covscan.data.alike import check_alike
from covscan.data.types import Samples
from covscan.engine.correspondence import correspond
from covscan.engine.subjects import Subject, plan_network
from covscan.errors import Inconclusive, UsageError
from covscan.models import open_source
from covscan.models.factories import factories_for
from covscan.models.types import Checkpoint, Source
from covscan.registry import resolve

BACKENDS = {
    "torch": "covscan.capture.torch_backend:TorchBackend",
    "torchscript": "covscan.capture.script_backend:ScriptBackend",
    "onnx": "covscan.capture.onnx_backend:OnnxBackend",
}


@dataclass(frozen=True, slots=True)
class Opened:
    """The columns of a report, and what makes their difference."""

    kind: Literal["checkpoints", "data", "models"]
    subjects: tuple[Subject, ...]


def open_series(settings: Settings, *, untrained: bool = False) -> Opened:
    """Every checkpoint of one source on the same samples. Raises UsageError."""
    return series_of(open_source(settings, untrained=untrained), open_samples(settings), settings)


def series_of(source: Source, samples: Samples, settings: Settings) -> Opened:
    """Every checkpoint of an open source on open samples."""
    backend = _backend(source, settings)
    subjects = [Subject(each.id, each, source, backend, samples) for each in source.series.checkpoints]
    return Opened("checkpoints", tuple(subjects))


def open_data_sets(settings: Settings) -> Opened:
    """The reference data and the data, through one checkpoint. Raises UsageError where they are not of one kind."""
    source = open_source(settings)
    checkpoint = _only(source, "two data sets are compared through one checkpoint", "name that one alone")
    backend = _backend(source, settings)
    # Labels are left out where they are there: production data have none.
    reference = open_samples(replace(settings, data=settings.reference_data), option="--reference-data", labelled=False)
    data = open_samples(settings, labelled=False)
    if settings.target is not None and not (reference.has_target or data.has_target):
        open_samples(settings)  # tells that there is no such array, and which there are
    first, second = data_names(settings.reference_data, settings.data)
    check_alike(reference, data, (first, second))
    return Opened(
        "data",
        (
            Subject(first, checkpoint, source, backend, reference, paired=False),
            Subject(second, checkpoint, source, backend, data, paired=False),
        ),
    )


def open_models(first: Settings, second: Settings) -> Opened:
    """Two models on the same samples, each site beside the one that it is in the other. Raises UsageError.

    ``--model`` goes to the side that holds weights alone, unless ``second`` names a factory of its own. Raises
    Inconclusive where no site of one is one of the other.
    """
    first, second = factories_for(first, second)
    sources = open_source(first), open_source(second)
    wanted = "two models are compared, each one checkpoint"
    one, other = (_only(source, wanted, "name one file on each side") for source in sources)
    samples = open_samples(first)
    names = model_names(one.path, other.path)
    here = Subject(names[0], one, sources[0], _backend(sources[0], first), samples)
    there = Subject(names[1], other, sources[1], _backend(sources[1], second), samples)
    return Opened("models", _mapped(here, there, first))


def _mapped(here: Subject, there: Subject, settings: Settings) -> tuple[Subject, Subject]:
    """Both with the view on what they have in common."""
    everything = replace(settings, sites=(), exclude=())
    network, other = plan_network(here, settings), plan_network(there, everything)
    view, other_view = correspond(network, other, (here.id, there.id))
    if not view.sites:
        raise Inconclusive(
            "nothing-mapped",
            f"no site of '{here.id}' could be found in '{there.id}'",
            found="; ".join(f"{skip.site}: {skip.reason}" for skip in (*other.skipped[:2], *view.unmapped[:2])),
            hint="covscan sites lists the names of each. An ONNX file must hold the names that the exporter gave, and "
            "quantized layers must be in the QDQ format (QuantizeLinear and DequantizeLinear around each)",
        )
    if settings.sites or settings.exclude:
        # What was left out on the one side is not missing on the other.
        whole = correspond(plan_network(here, everything), other, (here.id, there.id))
        other_view = replace(other_view, unmapped=whole[1].unmapped)
    return (
        replace(here, view=view, network=view.restricted(network)),
        replace(there, view=other_view, network=other_view.restricted(other)),
    )


def _backend(source: Source, settings: Settings) -> Backend:
    backend: Backend = resolve(BACKENDS[source.engine])(source, settings)
    return backend


def _only(source: Source, wanted: str, hint: str) -> Checkpoint:
    checkpoints = source.series.checkpoints
    if len(checkpoints) != 1:
        found = f"{len(checkpoints)} checkpoints, {checkpoints[0].path} to {checkpoints[-1].path}"
        raise UsageError("one-checkpoint", wanted, found=found, hint=hint)
    return checkpoints[0]


def data_names(reference: Any, data: Any) -> tuple[str, str]:
    """What two data sets are called: the names of their files, with as much of the path as tells them apart."""
    named = reference if isinstance(reference, str) else "reference", data if isinstance(data, str) else "data"
    return _apart(*(Path(name).parts or (name,) for name in named))


def model_names(first: Path, second: Path) -> tuple[str, str]:
    """What two models are called: the stems of their files, else their names, with as much of the path as is needed."""
    if first.stem != second.stem:
        return first.stem, second.stem
    return _apart(first.parts, second.parts)


def _apart(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, str]:
    for depth in range(1, max(len(one), len(other)) + 1):
        names = "/".join(one[-depth:]), "/".join(other[-depth:])
        if names[0] != names[1]:
            return names
    name = one[-1]
    return f"{name} (1)", f"{name} (2)"


def samples_of(opened: Opened) -> list[Samples]:
    """The open data sets, each once."""
    return list({id(subject.samples): subject.samples for subject in opened.subjects}.values())
