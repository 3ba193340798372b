"""The weights of an ONNX graph, and how ONNX Runtime comes to them."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx

from covscan.capture.onnx_constants import FLOATING, Array, aligned, is_external, map_tensor
from covscan.capture.onnx_runtime import onnxruntime
from covscan.errors import UsageError
from covscan.models.onnx_check import tensors_in
from covscan.models.onnx_wire import LARGE

# What ONNX Runtime wraps itself: types that numpy has no number for stay with it.
_MAPPED = frozenset(np.dtype(kind).name for kind in "efdbhilqBHILQ?")


class LentWeights:
    """The large initializers of a model, and how ONNX Runtime comes to them without copying them over and over.

    ``lean`` is a copy of the model that names them alone. What lies in a file where its numbers can be used as they
    are ONNX Runtime maps itself, and lets go of what it has brought into another form. What starts between two
    numbers' places (as most do inside of a model's own file) is read here, once for all sessions that share ``read``,
    and used by ONNX Runtime where it was read.
    What is no file's, or in a file behind a symbolic link that leaves the model's folder, as model hubs lay out their
    caches, ONNX Runtime takes from an array only, which it copies.
    """

    def __init__(self, model: onnx.ModelProto, folder: Path, read: dict[str, Array] | None = None) -> None:
        self.lean = onnx.ModelProto()
        self._read: dict[str, Array] = {} if read is None else read
        self._used: dict[str, Array] = {}
        self._copied: dict[str, Array] = {}
        self._handles: list[Any] = []
        self.files = {folder / location for tensor in tensors_in(model) if (location := _location(tensor))}
        """The files that ONNX Runtime opens itself."""
        copy_fields(model, self.lean, but="graph")
        copy_fields(model.graph, self.lean.graph, but="initializer")
        for tensor in model.graph.initializer:
            self._add(tensor, folder)

    def lend(self, options: Any) -> Any:
        """``options`` of a session, which from then on needs this object."""
        used = {name: self._lent(array) for name, array in self._used.items()}
        copied = {name: self._lent(array) for name, array in self._copied.items()}
        for name, value in used.items():
            options.add_initializer(name, value)
        if copied:
            options.add_external_initializers(list(copied), list(copied.values()))
        return options

    def _add(self, tensor: onnx.TensorProto, folder: Path) -> None:
        if not is_external(tensor):
            array = _inside(tensor)
            if array is None:
                self.lean.graph.initializer.add().CopyFrom(tensor)
                return
            self._copied[tensor.name] = array
            named = self.lean.graph.initializer.add(
                name=tensor.name, data_type=tensor.data_type, dims=tensor.dims, data_location=onnx.TensorProto.EXTERNAL
            )
            named.external_data.add(key="location", value=tensor.name)
            return
        self.lean.graph.initializer.add().CopyFrom(tensor)
        array = _outside(tensor, folder)
        if array is None:
            return
        if not _reachable(tensor, folder):
            self._copied[tensor.name] = aligned(array)
        elif not array.flags.aligned:
            if tensor.name not in self._read:
                self._read[tensor.name] = aligned(array)
            self._used[tensor.name] = self._read[tensor.name]

    def _lent(self, array: Array) -> Any:
        self._handles.append(onnxruntime.OrtValue.ortvalue_from_numpy(array))
        return self._handles[-1]


def copy_fields(source: Any, into: Any, but: str) -> None:
    """Copy all fields of a message ``but`` one."""
    for field, value in source.ListFields():
        if field.name != but:
            if field.is_repeated:
                getattr(into, field.name).extend(value)
            elif field.message_type is not None:
                getattr(into, field.name).CopyFrom(value)
            else:
                setattr(into, field.name, value)


def _inside(tensor: onnx.TensorProto) -> Array | None:
    """The numbers of a large tensor that are written in the model; None for others, and for sizes and places."""
    if len(tensor.raw_data) < LARGE or tensor.data_type not in FLOATING:
        return None
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    if dtype.name not in _MAPPED:
        return None
    return np.frombuffer(tensor.raw_data, dtype.newbyteorder("<")).astype(dtype, copy=False).reshape(tuple(tensor.dims))


def _outside(tensor: onnx.TensorProto, folder: Path) -> Array | None:
    """A memory map of an external tensor. Raises UsageError."""
    if np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)).name not in _MAPPED:
        return None
    try:
        return map_tensor(tensor, folder)
    except (OSError, ValueError) as error:
        raise UsageError(
            "unreadable-weights",
            f"external data of tensor '{tensor.name}' in '{folder}' cannot be read",
            found=str(error),
            hint="keep the external data file beside the .onnx file, whole and under its own name",
        ) from error


def _reachable(tensor: onnx.TensorProto, folder: Path) -> bool:
    """Whether ONNX Runtime opens the tensor's file: links are followed, and none may leave the folder."""
    return (folder / _location(tensor)).resolve().is_relative_to(folder.resolve())


def _location(tensor: onnx.TensorProto) -> str:
    """The name of the file that holds an external tensor, else nothing."""
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
