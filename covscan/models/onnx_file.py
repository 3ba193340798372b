"""A series of ONNX files."""

import dataclasses
import math
from pathlib import Path
from typing import Literal

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from covscan.config.settings import Settings
from covscan.errors import CovscanError, UsageError
from covscan.memory import bounded, require
from covscan.models.detection import truncated
from covscan.models.formats import Saved
from covscan.models.onnx_check import check_model, data_file, tensors_in
from covscan.models.onnx_wire import without_numbers
from covscan.models.series import Shelf, collect_first
from covscan.models.steps import counters_in
from covscan.models.types import Checkpoint

_PACKED = 8  # two 4-bit numbers share a byte, four of 2 bits do; numpy gives each its own


class OnnxFileSource:
    """Reads one graph per checkpoint, anew at each call, so that the caller may change it."""

    engine: Literal["onnx"] = "onnx"

    def __init__(self, shelf: Shelf, notes: list[str]) -> None:
        self.series = shelf.series
        self.description = "ONNX models"
        self.notes = notes
        self._shelf = shelf

    def check(self, checkpoint: Checkpoint) -> None:
        """Raise UsageError where the files of ``checkpoint`` changed since they were hashed."""
        self._shelf.saved(checkpoint)

    def identity(self) -> str:
        """The file's content decides alone."""
        return ""

    def proto(self, checkpoint: Checkpoint) -> onnx.ModelProto:
        """The graph of ``checkpoint`` without its external data, whose files exist. Raises UsageError.

        Large weights in the file itself are external data of that file.
        """
        return _load(self._shelf.saved(checkpoint).path)

    def whole(self, checkpoint: Checkpoint) -> onnx.ModelProto:
        """``proto`` with the weights that lie in the file, to be written elsewhere. Raises UsageError."""
        return _load(self._shelf.saved(checkpoint).path, whole=True)


def open_onnx(settings: Settings, shelf: Shelf, notes: list[str]) -> OnnxFileSource:
    """The source for ONNX files. Raises UsageError."""
    del settings  # an ONNX file needs neither a factory nor trust
    source = OnnxFileSource(shelf, notes)
    errors: list[CovscanError] = []
    for checkpoint in shelf.unseen():
        try:
            source.proto(checkpoint)
        except UsageError as error:
            errors.append(error)
    collect_first(errors)
    return source


def stated_steps(saved: Saved, *, trust: bool = False) -> dict[str, int]:
    """The training counters among the model's ``metadata_props``."""
    return counters_in({entry.key: entry.value for entry in _parse(saved.path).metadata_props})


def with_external_data(saved: Saved) -> Saved:
    """``saved`` with the files beside it that hold its tensors. Raises UsageError where one is missing."""
    return dataclasses.replace(saved, files=(saved.path, *_external_files(saved.path, _parse(saved.path))))


def whole_model(saved: Saved) -> Saved:
    """``with_external_data``, of a model that was written to its end. Raises UsageError."""
    proto = _parse(saved.path)
    # The operator sets stand behind the graph: without them the file was cut between the two.
    if not proto.opset_import or not proto.graph.node:
        raise truncated(saved.path, "its graph or what follows it is missing")
    return dataclasses.replace(saved, files=(saved.path, *_external_files(saved.path, proto)))


def _load(path: Path, *, whole: bool = False) -> onnx.ModelProto:
    proto = _parse(path, whole=whole)
    if not proto.graph.node:
        raise UsageError("unreadable-model", f"{str(path)!r} holds an ONNX graph without nodes")
    check_model(path, proto)
    _external_files(path, proto)
    return proto


def _parse(path: Path, *, whole: bool = False) -> onnx.ModelProto:
    """The model in ``path``; its large weights stay in the file unless ``whole``. Raises UsageError."""
    try:
        size = path.stat().st_size
        require(size, repr(str(path)), hint="use a machine with more memory, or keep the tensors in external data")
        with bounded(size, repr(str(path))):
            lean = None if whole else without_numbers(path)
            proto = onnx.ModelProto.FromString(path.read_bytes() if lean is None else lean)
    except DecodeError as error:
        raise truncated(path, f"not valid ONNX protobuf ({error})") from error
    except OSError as error:
        raise UsageError("unreadable-file", f"{str(path)!r} cannot be read", found=str(error)) from error
    if not proto.ir_version or not proto.HasField("graph"):
        raise UsageError(
            "unreadable-model",
            f"{str(path)!r} is no ONNX model",
            found=f"IR version {proto.ir_version}, {'a' if proto.HasField('graph') else 'no'} graph",
        )
    return proto


def _external_files(path: Path, proto: onnx.ModelProto) -> tuple[Path, ...]:
    """The other files that hold tensors. Raises UsageError where one is missing or cut."""
    needed: dict[Path, tuple[int, str]] = {}
    for tensor in tensors_in(proto):
        if uses_external_data(tensor):
            location, end = _place(path, tensor)
            file = data_file(path, location, tensor.name)
            needed[file] = max(needed.get(file, (0, tensor.name)), (end, tensor.name))
    for file, (end, name) in needed.items():
        if not file.is_file():
            raise UsageError(
                "missing-external-data",
                f"{str(path)!r} keeps tensors in {str(file)!r}, which does not exist",
                found=f"the first is {name!r}",
                hint="copy the data file beside the model; its name is fixed inside the model",
            )
        if file.stat().st_size < end:
            raise truncated(file, f"tensor {name!r} of {path.name} ends at byte {end:,}")
    return tuple(sorted(file for file in needed if file != path))


def _place(path: Path, tensor: onnx.TensorProto) -> tuple[str, int]:
    """The name of the file that holds the tensor's numbers, and where in it they end."""
    try:
        where = ExternalDataInfo(tensor)
        offset, length = int(where.offset or 0), int(where.length or 0)
        needed = math.prod(tensor.dims) * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _unplaced(path, tensor, str(error)) from error
    if min(offset, length) < 0 or (length and length < needed // _PACKED):
        raise _unplaced(path, tensor, f"offset {offset}, length {length}, where its shape needs {needed} bytes")
    return str(where.location), offset + length


def _unplaced(path: Path, tensor: onnx.TensorProto, found: str) -> UsageError:
    return UsageError(
        "unreadable-model",
        f"{str(path)!r} does not say where the numbers of {tensor.name[:80]!r} lie",
        found=found[:160],
        hint="export the model again",
    )
