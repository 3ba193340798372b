"""What an ONNX file must keep to before anybody follows its edges or the places that it names."""

import math
import os
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx
from onnx.external_data_helper import uses_external_data

from covscan.errors import UsageError
from covscan.memory import size_text

Key = TypeVar("Key", bound=Hashable)

_LONGEST_NAME = 1 << 16
_TYPED = ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")
_PAIRS = frozenset({onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128})


def check_model(path: Path, model: onnx.ModelProto) -> None:
    """Raise UsageError where the graph of ``model`` has cycles, absurd names, or tensors unlike their shape."""
    for tensor in tensors_in(model):
        _check_tensor(path, tensor)
    _check_names(path, model)
    _check_inputs(path, model.graph)
    _check_values(path, model.graph.node)
    calls = {
        (function.domain, function.name): [(node.domain, node.op_type) for node in _every_node(function.node)]
        for function in model.functions
    }
    if _cyclic({name: [each for each in called if each in calls] for name, called in calls.items()}):
        raise _broken(path, "a function that calls itself")


def data_file(path: Path, location: str, name: str) -> Path:
    """The file beside the model at ``path`` that holds the tensor ``name``.

    Raises UsageError where it lies outside of the model's folder: whoever made the model would choose which of the
    user's files is read. Links are followed first, and those of a model hub's cache lead both files into one folder.
    Links in a circle lead nowhere and stay where they are: no file is there.
    """
    file = path.parent / location
    folders = (path.parent.resolve(), path.resolve().parent)
    try:
        plain = not Path(location).is_absolute() and ".." not in Path(location).parts
        led_to = Path(os.path.realpath(file))  # Path.resolve raises at circles before Python 3.13
        inside = plain and any(led_to.is_relative_to(folder) for folder in folders)
    except (OSError, ValueError):  # a name that is none
        inside = False
    if not inside:
        raise UsageError(
            "outside-data",
            f"{str(path)!r} keeps tensor {name[:80]!r} outside of its own folder",
            found=location[:200],
            hint="put the data file beside the model, and save the model with the file's plain name",
        )
    return file


def tensors_in(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor that is written in the file, those of subgraphs and functions included."""
    yield from _tensors_of_graph(model.graph)
    for function in model.functions:
        yield from _tensors_of_nodes(function.node)


def _tensors_of_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _tensors_of_nodes(graph.node)


def _tensors_of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for graph in _graphs_of(attribute):
                yield from _tensors_of_graph(graph)


def _graphs_of(attribute: onnx.AttributeProto) -> list[onnx.GraphProto]:
    return [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]


def _every_node(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in _graphs_of(attribute):
                yield from _every_node(graph.node)


def _check_tensor(path: Path, tensor: onnx.TensorProto) -> None:
    """That a tensor holds as many numbers as its shape says, unless they lie in another file."""
    count = math.prod(tensor.dims)
    if count < 0 or any(size < 0 for size in tensor.dims) or count >= 1 << 48:
        raise _absurd(path, tensor, f"shape {list(tensor.dims)[:8]}")
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except (KeyError, TypeError, ValueError) as error:
        raise _absurd(path, tensor, f"numbers of type {tensor.data_type}, which onnx does not know") from error
    written = _bytes_in_file(path, tensor)
    if uses_external_data(tensor) and written is None:
        return
    if written is not None:
        packed = dtype.name.lstrip("u").startswith(("int4", "int2", "float4"))
        needed = count * dtype.itemsize
        if written != needed and not packed:
            raise _absurd(path, tensor, f"{size_text(written)}, where its shape needs {size_text(needed)}")
    elif count and not any(getattr(tensor, field) for field in _TYPED):
        raise _absurd(path, tensor, f"no numbers, where its shape needs {count:,}")
    elif count and tensor.data_type not in _PAIRS and max(len(getattr(tensor, field)) for field in _TYPED) > count:
        raise _absurd(path, tensor, f"more numbers than its shape, which needs {count:,}")


def _bytes_in_file(path: Path, tensor: onnx.TensorProto) -> int | None:
    """How many bytes of the model's own file are the tensor's numbers; None for others."""
    if uses_external_data(tensor):
        said = {entry.key: entry.value for entry in tensor.external_data}
        length = said.get("length", "")
        return int(length) if said.get("location") == path.name and length.isdecimal() else None
    return len(tensor.raw_data) if tensor.HasField("raw_data") else None


def _check_names(path: Path, model: onnx.ModelProto) -> None:
    for name in _names_in(model.graph):
        if len(_text(path, name)) > _LONGEST_NAME:
            raise _broken(path, f"a name of over {_LONGEST_NAME:,} characters")
    for text in _texts_beside(model):
        _text(path, text)


def _text(path: Path, text: str | bytes) -> str:
    if not isinstance(text, str):  # protobuf gives bytes where they are no text
        raise _broken(path, f"a name that is not UTF-8: {text!r}"[:200])
    return text


def _names_in(graph: onnx.GraphProto) -> Iterator[str | bytes]:
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        yield value.name
    for value in (*graph.input, *graph.output):
        yield from (size.dim_param for size in value.type.tensor_type.shape.dim)
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        for attribute in node.attribute:
            yield attribute.name
            for inner in _graphs_of(attribute):
                yield from _names_in(inner)


def _texts_beside(model: onnx.ModelProto) -> Iterator[str | bytes]:
    """What is written about a model and its main graph, of any length."""
    graph = model.graph
    yield from (model.producer_name, model.producer_version, model.domain, model.doc_string)
    yield from (graph.name, graph.doc_string)
    yield from (each.domain for each in model.opset_import)
    for entry in (*model.metadata_props, *graph.metadata_props, *_notes_at(graph.node)):
        yield from (entry.key, entry.value)
    for function in model.functions:
        yield from (function.name, function.domain, *function.input, *function.output)


def _notes_at(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.StringStringEntryProto]:
    for node in nodes:
        yield from node.metadata_props


def _check_inputs(path: Path, graph: onnx.GraphProto) -> None:
    for value in graph.input:
        try:
            onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        except (KeyError, TypeError, ValueError) as error:
            raise _broken(path, f"the input {value.name[:80]!r}, which is no tensor of a known type") from error


def _check_values(path: Path, nodes: Iterable[onnx.NodeProto]) -> None:
    """That every value has one maker, and none comes from itself."""
    nodes = list(nodes)
    makers: dict[str, int] = {}
    for place, node in enumerate(nodes):
        for name in filter(None, node.output):
            if name in makers:
                raise _broken(path, f"two nodes that make {name[:80]!r}")
            makers[name] = place
    edges = {place: [makers[name] for name in node.input if name in makers] for place, node in enumerate(nodes)}
    if _cyclic(edges):
        raise _broken(path, "a cycle: a node that reads what comes from itself")


def _cyclic(edges: Mapping[Key, Sequence[Key]]) -> bool:
    """Whether some key leads back to itself; keys are taken away whose successors are all gone, until none can be."""
    waiting = {key: len(set(targets)) for key, targets in edges.items()}
    sources: dict[Key, list[Key]] = {}
    for key, targets in edges.items():
        for target in set(targets):
            sources.setdefault(target, []).append(key)
    free = [key for key, count in waiting.items() if not count]
    done = 0
    while free:
        done += 1
        for source in sources.get(free.pop(), ()):
            waiting[source] -= 1
            if not waiting[source]:
                free.append(source)
    return done < len(edges)


def _absurd(path: Path, tensor: onnx.TensorProto, found: str) -> UsageError:
    return UsageError(
        "unreadable-model",
        f"tensor {tensor.name[:80]!r} of {str(path)!r} does not hold what its shape says",
        found=found,
        hint="the file is damaged: export the model again",
    )


def _broken(path: Path, found: str) -> UsageError:
    return UsageError(
        "unreadable-model", f"the graph in {str(path)!r} is none", found=found, hint="export the model again"
    )
