"""Opening an ONNX graph in ONNX Runtime with some of its inner values as outputs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from covscan.capture.onnx_constants import Array
from covscan.capture.onnx_runtime import onnxruntime
from covscan.capture.onnx_weights import LentWeights
from covscan.capture.threads import asked_threads
from covscan.confinement import confined
from covscan.errors import UsageError
from covscan.memory import guarded

RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    *(
        each
        for each in vars(onnxruntime.capi.onnxruntime_pybind11_state).values()
        if isinstance(each, type) and issubclass(each, Exception)
    ),
    RuntimeError,
    ValueError,
    TypeError,
)
_FOREIGN = re.compile(r"tensor\((bfloat16|float8|float4|u?int[24]\b)")
_NO_SECOND_FORM = "session.disable_prepacking"
_FOLDER = "session.model_external_initializers_file_folder_path"
NUMBERS = {
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
    weights: LentWeights
    """What the engine reads from; it must live as long as the engine does."""

    def types(self) -> dict[str, str]:
        """What ONNX Runtime calls the type of each output: ``tensor(float)``, ``seq(tensor(float))``."""
        return {output.name: str(output.type) for output in self.engine.get_outputs()}

    def unreadable(self) -> dict[str, str]:
        """Outputs of types that numpy has no array for (bfloat16, 8-bit floats, 4-bit integers), with the type."""
        return {name: kind[7:-1] for name, kind in self.types().items() if _FOREIGN.match(kind)}

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Array], *, where: str) -> dict[str, Any]:
        """Values of ``outputs``. Raises UsageError that says which batch it was (``where``)."""
        if not outputs:  # ONNX Runtime takes none for all
            return {}
        try:
            with guarded():
                values = confined(partial(_run, self.engine, list(outputs), feeds))
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
    types = {output.name: NUMBERS.get(output.type) for output in engine.get_outputs()}
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
    model: onnx.ModelProto,
    path: Path,
    outputs: Iterable[str] = (),
    *,
    as_written: bool = False,
    once: bool = False,
    read: dict[str, Array] | None = None,
) -> Session:
    """Open a copy of ``model`` with ``outputs`` added to the graph's own. Raises UsageError.

    ``path`` is the user's file; external data is found relative to it and mapped, never copied. ``as_written`` runs
    node by node what is written, where ONNX Runtime would fuse nodes, which rounds differently. ``once``: it will run
    a few times only, so that no second form of the weights is made, which would take as much memory as they do.
    ``read`` keeps by name the weights that had to be read, for further sessions of the same weights.
    """
    options = onnxruntime.SessionOptions()
    # One block for all values of a run, planned for each batch size: 947 MiB for a ResNet-50 in threes, 753 without.
    options.enable_mem_pattern = False
    if as_written:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if once:
        # The shape of a value is told when it is made, which lets go of it; else it would wait to the end.
        options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
        options.add_session_config_entry(_NO_SECOND_FORM, "1")
    options.log_severity_level = 4
    options.intra_op_num_threads = asked_threads() or 0
    options.add_session_config_entry(_FOLDER, str(path.parent.resolve()))
    weights = LentWeights(model, path.parent, read)
    try:
        with guarded():
            written = tapped_model(weights.lean, outputs).SerializeToString()
            lent = weights.lend(options)
            engine = confined(
                lambda: onnxruntime.InferenceSession(written, lent, providers=["CPUExecutionProvider"]),
                files=weights.files,
            )
    except RUNTIME_ERRORS as error:
        raise _refused(path, error) from error
    return Session(path=path, engine=engine, weights=weights)


def tapped_model(model: onnx.ModelProto, outputs: Iterable[str]) -> onnx.ModelProto:
    """A copy of ``model`` whose graph also returns ``outputs``; every name in it stays as it was."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    present = {output.name for output in copy.graph.output}
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs if name not in present)
    return copy


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
