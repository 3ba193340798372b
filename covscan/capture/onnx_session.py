"""Opening an ONNX graph in ONNX Runtime with some of its inner values as outputs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_state

from covscan.capture.onnx_constants import FLOATING, Array, is_external, map_tensor
from covscan.capture.threads import asked_threads
from covscan.errors import UsageError
from covscan.memory import guarded

RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    *(each for each in vars(runtime_state).values() if isinstance(each, type) and issubclass(each, Exception)),
    RuntimeError,
    ValueError,
    TypeError,
)
_FOREIGN = re.compile(r"tensor\((bfloat16|float8|float4|u?int[24]\b)")
_FOLDER = "session.model_external_initializers_file_folder_path"
# What ONNX Runtime wraps itself: types that numpy has no number for stay with it.
_MAPPED = frozenset(np.dtype(kind).name for kind in "efdbhilqBHILQ?")

_LARGE = 4096
"""Bytes to a tensor that is handed over by itself."""
_NUMBERS = {
    f"tensor({name})": np.dtype(kind)
    for name, kind in {
        "float": "f4", "double": "f8", "float16": "f2", "bool": "?",
        "int8": "i1", "int16": "i2", "int32": "i4", "int64": "i8",
        "uint8": "u1", "uint16": "u2", "uint32": "u4", "uint64": "u8",
    }.items()
}  # fmt: skip
_PLAIN = frozenset("fiub")
"""Kinds of numpy arrays that ONNX Runtime reads where they lie."""


@dataclass(frozen=True, slots=True)
class Session:
    """A graph that is open in ONNX Runtime; ``path`` is the user's file, for messages."""

    path: Path
    engine: Any
    weights: tuple[Any, ...]
    """What the engine reads from; it must live as long as the engine does."""

    def unreadable(self) -> dict[str, str]:
        """Outputs of types that numpy has no array for (bfloat16, 8-bit floats, 4-bit integers), with the type."""
        types = {output.name: str(output.type) for output in self.engine.get_outputs()}
        return {name: kind[7:-1] for name, kind in types.items() if _FOREIGN.match(kind)}

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Array], *, where: str) -> dict[str, Any]:
        """Values of ``outputs``. Raises UsageError that says which batch it was (``where``)."""
        if not outputs:  # ONNX Runtime takes none for all
            return {}
        try:
            with guarded():
                values = _run(self.engine, list(outputs), feeds)
        except RUNTIME_ERRORS as error:
            fed = ", ".join(f"'{name}' {array.dtype}{list(array.shape)}" for name, array in feeds.items())
            raise UsageError(
                "model-failed",
                f"ONNX model '{self.path}' failed on {where}",
                found=f"{first_line(error)} (fed {fed})",
                hint="check that the sample data has the shapes and values that the model was exported for",
            ) from error
        return dict(zip(outputs, values, strict=True))


class _Lent:
    """The memory of a tensor that ONNX Runtime holds, for numpy, which keeps this and so the tensor alive."""

    def __init__(self, value: Any, dtype: np.dtype[Any]) -> None:
        self._value = value
        self.__array_interface__ = {
            "shape": tuple(value.shape()),
            "typestr": dtype.str,
            "data": (value.data_ptr(), False),
            "version": 3,
        }


def _run(engine: Any, outputs: list[str], feeds: Mapping[str, Array]) -> list[Any]:
    """Values of ``outputs`` where ONNX Runtime computed them: memory that its next run takes again once they are gone.

    ``InferenceSession.run`` copies every value into fresh memory: 1.2 times the bare run of a ResNet-18 with all inner
    values, and 0.93 to 1.15 without. What is not made of plain numbers goes that way.
    """
    types = {output.name: _NUMBERS.get(output.type) for output in engine.get_outputs()}
    dtypes = [dtype for name in outputs if (dtype := types[name]) is not None]
    if len(dtypes) < len(outputs) or any(array.dtype.kind not in _PLAIN for array in feeds.values()):
        values: list[Any] = engine.run(outputs, dict(feeds))
        return values
    given = {
        name: onnxruntime.OrtValue.ortvalue_from_numpy(np.asarray(array, order="C")) for name, array in feeds.items()
    }
    made = engine.run_with_ort_values(outputs, given)
    return [_array(value, dtype) for value, dtype in zip(made, dtypes, strict=True)]


def _array(value: Any, dtype: np.dtype[Any]) -> Array:
    shape = tuple(value.shape())
    return np.asarray(_Lent(value, dtype)) if 0 not in shape else np.empty(shape, dtype)


def open_session(
    model: onnx.ModelProto, path: Path, outputs: Iterable[str] = (), *, as_written: bool = False
) -> Session:
    """Open a copy of ``model`` with ``outputs`` added to the graph's own. Raises UsageError.

    ``path`` is the user's file; external data is found relative to it and mapped, never copied. ``as_written`` runs
    node by node what is written, where ONNX Runtime would fuse nodes, which rounds differently.
    """
    options = onnxruntime.SessionOptions()
    if as_written:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = asked_threads() or 0
    options.add_session_config_entry(_FOLDER, str(path.parent.resolve()))
    lean, arrays = _without_weights(model, path.parent)
    handles = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in arrays.values()]
    if arrays:
        options.add_external_initializers(list(arrays), handles)
    try:
        with guarded():
            engine = onnxruntime.InferenceSession(
                tapped_model(lean, outputs).SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
    except RUNTIME_ERRORS as error:
        raise _refused(path, error) from error
    return Session(path=path, engine=engine, weights=(*arrays.values(), *handles))


def tapped_model(model: onnx.ModelProto, outputs: Iterable[str]) -> onnx.ModelProto:
    """A copy of ``model`` whose graph also returns ``outputs``; every name in it stays as it was."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    present = {output.name for output in copy.graph.output}
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs if name not in present)
    return copy


def _without_weights(model: onnx.ModelProto, folder: Path) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """A copy of ``model`` that names its large initializers alone, and these as arrays.

    ONNX Runtime reads them where they lie: in a memory map of external data, or among the numbers of the model itself,
    which would else be copied, written, parsed and copied again (planning a ResNet-18 took 0.61 s so, and 0.42 since).
    It refuses to open external data through a symbolic link that leaves the model's folder, which is how model hubs
    lay out their caches; a mapped file has no such trouble.
    """
    lean = onnx.ModelProto()
    copy_fields(model, lean, but="graph")
    copy_fields(model.graph, lean.graph, but="initializer")
    arrays: dict[str, Array] = {}
    for tensor in model.graph.initializer:
        array = _outside(tensor, folder) if is_external(tensor) else _inside(tensor)
        if array is None or is_external(tensor):
            lean.graph.initializer.add().CopyFrom(tensor)
        else:
            named = lean.graph.initializer.add(
                name=tensor.name, data_type=tensor.data_type, dims=tensor.dims, data_location=onnx.TensorProto.EXTERNAL
            )
            named.external_data.add(key="location", value=tensor.name)
        if array is not None:
            arrays[tensor.name] = array
    return lean, arrays


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
    if len(tensor.raw_data) < _LARGE or tensor.data_type not in FLOATING:
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


def _refused(path: Path, error: Exception) -> UsageError:
    text = first_line(error)
    version = onnxruntime.__version__
    if "opset" in text.lower() or "ir_version" in text.lower() or "ir version" in text.lower():
        hint = f"newer than onnxruntime {version} reads: upgrade onnxruntime or export with an older opset"
    elif "is not a registered function" in text or "No opset import" in text or "not found" in text.lower():
        hint = f"onnxruntime {version} does not know this operator: export the model without custom operators"
    elif "NOT_IMPLEMENTED" in text:
        hint = f"onnxruntime {version} cannot run this operator in that version or type: export with another opset"
    else:
        hint = f"check that onnxruntime {version} opens the file by itself"
    return UsageError("unreadable-model", f"onnxruntime cannot open '{path}'", found=text, hint=hint)


def first_line(error: Exception) -> str:
    """The first line of what a lower layer said."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
