"""Numbers that are written in an ONNX file, read from where they lie without copying what is mapped."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx.reference import ReferenceEvaluator

from covscan.capture.onnx_graph import Graph
from covscan.errors import UsageError
from covscan.memory import guarded

Array = npt.NDArray[np.generic]
FLOATING = frozenset(
    {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.BFLOAT16}
)
_WHOLE = frozenset({onnx.TensorProto.INT64, onnx.TensorProto.INT32, onnx.TensorProto.BOOL, onnx.TensorProto.STRING})


def is_external(tensor: onnx.TensorProto) -> bool:
    """Whether the numbers lie in another file."""
    return bool(tensor.data_location == onnx.TensorProto.EXTERNAL)


def read_tensor(tensor: onnx.TensorProto, folder: Path) -> Array:
    """The tensor as an array, mapped from disk where external; bfloat16 as float32. Raises UsageError."""
    try:
        array = map_tensor(tensor, folder)
        if array is None:
            array = onnx.numpy_helper.to_array(tensor, base_dir=str(folder))
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            "unreadable-weights",
            f"tensor '{tensor.name}' of the ONNX model in {folder} cannot be read",
            found=str(error),
            hint="keep the external data file beside the .onnx file, whole and under its own name",
        ) from error
    return array.astype(np.float32) if tensor.data_type == onnx.TensorProto.BFLOAT16 else array


def map_tensor(tensor: onnx.TensorProto, folder: Path) -> Array | None:
    """An external tensor, as a read-only memory map; None where it is inline, empty or of a packed type.

    Where it starts between two numbers' places, as most do inside of a model's own file, the array is not ``aligned``:
    numpy reads it nearly as quickly, kernels of others have to be given a copy.
    """
    if not is_external(tensor):
        return None
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    size = int(np.prod(tensor.dims, dtype=np.int64))
    if size == 0 or dtype.kind not in "fiub" or dtype.name.startswith(("int4", "uint4", "int2", "uint2")):
        return None
    entries = {entry.key: entry.value for entry in tensor.external_data}
    mapped = np.memmap(
        folder / entries["location"],
        dtype=np.uint8,
        mode="r",
        offset=int(entries.get("offset", 0)),
        shape=(size * dtype.itemsize,),
    )
    found: Array = mapped.view(np.ndarray).view(dtype).reshape(tuple(tensor.dims))
    return found


def aligned(array: Array) -> Array:
    """``array``, or a copy of it where its numbers do not lie at multiples of their size."""
    return array if array.flags.aligned else array.copy()


def constant_value(graph: Graph, name: str) -> Array:
    """The value of a constant, computed where it only follows from what is written. Raises UsageError."""
    if name in graph.leaves:
        return read_tensor(graph.leaves[name], graph.folder)
    needed = constant_nodes(graph, name)
    feeds = {root: read_tensor(graph.leaves[root], graph.folder) for root in graph.roots(name)}
    values = [onnx.helper.make_tensor_value_info(root, graph.leaves[root].data_type, None) for root in feeds]
    body = onnx.helper.make_graph(needed, "constants", values, [onnx.ValueInfoProto(name=name)])
    model = onnx.helper.make_model(body, opset_imports=list(graph.model.opset_import))
    with guarded():
        result: Array = ReferenceEvaluator(model).run(None, feeds)[0]
    return result


def constant_nodes(graph: Graph, name: str) -> list[onnx.NodeProto]:
    """The nodes that compute constant ``name`` from the leaves, in order of execution."""
    places: set[int] = set()
    pending = [name]
    while pending:
        value = pending.pop()
        index = graph.producer.get(value)
        if index is not None and value not in graph.leaves and index not in places:
            places.add(index)
            pending.extend(source for source in graph.nodes[index].input if source)
    return [graph.nodes[index] for index in sorted(places)]


class Weights(Mapping[str, Array]):
    """Floating arrays of a graph by name, read when they are asked for; a lone number is arithmetic (an epsilon)."""

    def __init__(self, graph: Graph) -> None:
        self._folder = graph.folder
        self._tensors = {name: t for name, t in graph.leaves.items() if t.dims and t.data_type in FLOATING}

    def __getitem__(self, name: str) -> Array:
        """The tensor of that name; KeyError if there is none."""
        return read_tensor(self._tensors[name], self._folder)

    def __iter__(self) -> Iterator[str]:
        """Names in the order of the file."""
        return iter(self._tensors)

    def __len__(self) -> int:
        """How many weights there are."""
        return len(self._tensors)

    def elements(self) -> int:
        """How many numbers they hold together, without reading them."""
        return sum(int(np.prod(tensor.dims, dtype=np.int64)) for tensor in self._tensors.values())


def is_weight(tensor: onnx.TensorProto) -> bool:
    """Whether the tensor holds numbers that training moves: no sizes, places or switches."""
    return tensor.data_type not in _WHOLE
