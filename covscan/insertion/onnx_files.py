"""Putting a normalization into an ONNX file: another file with the same weights and a few nodes more."""

import filecmp
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from covscan.capture.onnx_branches import inline_functions
from covscan.capture.onnx_feeding import bind, cut, fill
from covscan.capture.onnx_graph import index_graph
from covscan.capture.onnx_measure import Measurement
from covscan.capture.onnx_session import Session, open_session
from covscan.capture.onnx_study import Study, study
from covscan.config import Settings
from covscan.data.types import Samples
from covscan.errors import UsageError
from covscan.insertion.onnx_place import Place, find_place
from covscan.insertion.staging import Staging, told
from covscan.insertion.types import Outcome, Request
from covscan.models.formats import Saved
from covscan.models.onnx_file import with_external_data
from covscan.models.types import Checkpoint, OnnxSource
from covscan.surgery import onnx_rewiring
from covscan.surgery.calibration import Calibrating, Calibration
from covscan.surgery.difference import Difference, Differences
from covscan.surgery.onnx_nodes import Chain, normalize


def insert_onnx(source: OnnxSource, samples: Samples, settings: Settings, request: Request) -> Outcome:
    """Put the normalization in, write the file, and compare it with the original. Raises UsageError."""
    checkpoint = source.series.checkpoints[0]
    model = inline_functions(source.whole(checkpoint), checkpoint.path)
    beside = _data_files(checkpoint.path, request.output)
    first = next(iter(samples.batches()))
    found = study(model, checkpoint, first)
    place = find_place(model, found, request)
    exact = place.insertion.norm.startswith("BatchNorm")
    calibration = _calibrated(found, checkpoint, place, samples, settings) if exact else None
    changed = _changed(model, place, calibration)
    with Staging() as staging:
        for original, copy in beside.items():
            staging.copy(original, copy)
        temporary = staging.stage(request.output)
        with told(request.output):
            temporary.write_bytes(changed.SerializeToString())
        _check(temporary, checkpoint.path)
        difference = _compared(model, checkpoint.path, temporary, found, samples)
        staging.commit()
    return Outcome(
        insertion=place.insertion,
        written=(request.output, *beside.values()),
        difference=difference,
        training=None,
        calibrated_on=calibration.rows if calibration else 0,
        renamed=(),
        load=(str(request.output),),
        notes=(*source.notes, *_notes(source.proto(checkpoint), checkpoint.path, request.output, beside)),
    )


def _data_files(path: Path, output: Path) -> dict[Path, Path]:
    """The files with weights that have to be copied to stand beside the output, and where to. Raises UsageError.

    In one folder both models share them. A copy that is there already is left as it is.
    """
    files = with_external_data(Saved(path, "onnx", (path,), (path,))).files
    copies = {}
    for original in (file for file in files if file != path):
        copy = output.parent / original.relative_to(path.parent)
        if copy.resolve() == original.resolve():
            continue
        if not copy.exists():
            copies[original] = copy
        elif not filecmp.cmp(original, copy, shallow=False):
            raise UsageError(
                "unwritable-output",
                f"the weights of the model would have to be copied to '{copy}', where another file is",
                hint="choose another folder for -o",
            )
    return copies


def _calibrated(
    found: Study, checkpoint: Checkpoint, place: Place, samples: Samples, settings: Settings
) -> Calibration:
    recorder = Calibrating({place.site.key}, place.insertion.channels)
    network = replace(place.network, sites=(place.site,))
    run = Measurement(checkpoint, found.prepared, network, recorder, replace(settings, positions=None), found.size, ())
    for number, batch in enumerate(samples.batches(), start=1):
        run.batch(batch, number)
    return recorder.result(place.insertion.site)


def _changed(model: onnx.ModelProto, place: Place, calibration: Calibration | None) -> onnx.ModelProto:
    """A copy of the graph with the normalization in it; weights in other files stay there."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    chain = Chain(f"{place.insertion.site}/{place.insertion.norm}", onnx_rewiring.names_of(copy.graph))
    statistics = (calibration.mean, calibration.variance) if calibration else None
    if place.readers:
        target = onnx_rewiring.in_front(copy, place.source, place.readers, chain)
        normalize(chain, place.insertion, place.value, place.source, target, statistics)
    else:
        target = place.source
        start = onnx_rewiring.behind(copy, place.source, chain)
        normalize(chain, place.insertion, place.value, start, target, statistics)
    onnx_rewiring.place(copy, chain, target=target)
    return copy


def _check(written: Path, original: Path) -> None:
    """Let ONNX's own checker judge the file by its path. Raises UsageError unless it objects to the original too."""
    try:
        onnx.checker.check_model(str(written))
    except Exception as error:
        try:
            onnx.checker.check_model(str(original))
        except Exception:  # noqa: BLE001 - whatever it is, it was there before
            return
        raise UsageError(
            "invalid-model",
            "ONNX's checker does not accept the model with the normalization in it",
            found=str(error).strip().split("\n")[0],
            hint="another --norm or --position may do; please report it, since the original is accepted",
        ) from error


def _compared(model: onnx.ModelProto, path: Path, written: Path, found: Study, samples: Samples) -> Difference:
    """How far the outputs of the original and of the written file are apart, each node computed as it is written."""
    after = onnx.load_model(str(written), load_external_data=False)
    sessions = [open_session(model, path, as_written=True), open_session(after, written, as_written=True)]
    outputs = [output.name for output in model.graph.output if output.name not in sessions[0].unreadable()]
    inputs = index_graph(model, path.parent).inputs
    differences = Differences()
    for number, batch in enumerate(samples.batches(), start=1):
        for chunk in cut(batch, found.size, fixed=found.size is not None):
            feeds = bind(inputs, fill(chunk), path)
            one, two = (_arrays(session, outputs, feeds, f"batch {number}") for session in sessions)
            differences.add(one, two, chunk.batch.n)
    return differences.result()


def _arrays(session: Session, outputs: list[str], feeds: Any, where: str) -> list[npt.NDArray[np.generic]]:
    values = session.run(outputs, feeds, where=where).values()
    return [value for value in values if isinstance(value, np.ndarray) and value.dtype.kind in "fiub"]


def _notes(original: onnx.ModelProto, path: Path, output: Path, copies: dict[Path, Path]) -> list[str]:
    notes = []
    shared = with_external_data(Saved(path, "onnx", (path,), (path,))).files[1:] if not copies else ()
    if shared:
        names = ", ".join(file.name for file in shared[:3])
        notes.append(f"The weights stay in {names}, which {path.name} and {output.name} now share.")
    if original.functions:
        notes.append("The model's local functions were written out.")
    return notes
