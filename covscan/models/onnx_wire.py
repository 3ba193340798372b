"""An ONNX model without the large numbers that are written in its file: where they lie there is said instead.

A parser would hold them all in memory, and every copy of the model again; so they are read where they are needed, as
those of external data are. A file is walked by protobuf's encoding (varint, 64 bit, length and bytes, 32 bit), which
is all that this module knows of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import onnx

LARGE = 4096
"""Bytes of a tensor that is worth reading by itself."""
MAPPED = frozenset({onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE})
"""Types of weights that numpy has numbers for; sizes, places and switches are read with the graph."""

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_LONGEST = 10  # bytes of a varint
_MOST_FIELDS = 2**17
"""Of a message: walking takes 6 us a field, and nobody's graph has so many nodes."""
_FEW_FIELDS = 32
"""Of a tensor, which has 14 kinds; one that has more writes its numbers one by one."""
_GRAPH = onnx.ModelProto.GRAPH_FIELD_NUMBER
_INITIALIZER = onnx.GraphProto.INITIALIZER_FIELD_NUMBER
_DATA_TYPE, _RAW = onnx.TensorProto.DATA_TYPE_FIELD_NUMBER, onnx.TensorProto.RAW_DATA_FIELD_NUMBER
_ELSEWHERE = frozenset(
    {
        onnx.TensorProto.EXTERNAL_DATA_FIELD_NUMBER,
        onnx.TensorProto.DATA_LOCATION_FIELD_NUMBER,
        onnx.TensorProto.SEGMENT_FIELD_NUMBER,
    }
)


class _UnusualError(Exception):
    """The file is damaged or written in a way that exporters do not write: the parser is to read all of it."""


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a message: from ``start``, its content from ``body`` to before ``end``, in bytes of the file."""

    number: int
    wire: int
    start: int
    body: int
    end: int
    value: int


def without_numbers(path: Path) -> bytes | None:
    """The model in ``path``, serialized, with its large float16, float32 and float64 initializers as external data.

    These lie in ``path`` itself. None where the file is none that can be cut so. Raises OSError.
    """
    with path.open("rb") as file:
        try:
            return _model(file, path.stat().st_size, path.name)
        except (_UnusualError, UnicodeEncodeError):  # the name may be no text
            return None


def _model(file: BinaryIO, size: int, name: str) -> bytes:
    parts, graphs = [], 0
    for field in _fields(file, 0, size):
        if field.number == _GRAPH and field.wire == _BYTES:
            graphs += 1
            parts += _message(_GRAPH, _graph(file, field, name))
        else:
            parts.append(_read(file, field.start, field.end))
    if graphs != 1:  # those of several would be merged
        raise _UnusualError
    return b"".join(parts)


def _graph(file: BinaryIO, graph: _Field, name: str) -> list[bytes]:
    parts = []
    for field in _fields(file, graph.body, graph.end):
        if field.number == _INITIALIZER and field.wire == _BYTES and field.end - field.body >= LARGE:
            parts += _message(_INITIALIZER, _tensor(file, field, name))
        else:
            parts.append(_read(file, field.start, field.end))
    return parts


def _tensor(file: BinaryIO, tensor: _Field, name: str) -> list[bytes]:
    fields = list(islice(_fields(file, tensor.body, tensor.end), _FEW_FIELDS + 1))
    raw = [field for field in fields if field.number == _RAW]
    types = [field.value for field in fields if field.number == _DATA_TYPE and field.wire == _VARINT]
    movable = len(raw) == len(types) == 1 and raw[0].end - raw[0].body >= LARGE and types[0] in MAPPED
    if not movable or len(fields) > _FEW_FIELDS or any(field.number in _ELSEWHERE for field in fields):
        return [_read(file, tensor.body, tensor.end)]
    (numbers,) = raw
    place = {"location": name, "offset": numbers.body, "length": numbers.end - numbers.body}
    name.encode()
    said = onnx.TensorProto(data_location=onnx.TensorProto.EXTERNAL)
    for key, value in place.items():
        said.external_data.add(key=key, value=str(value))
    kept = [_read(file, field.start, field.end) for field in fields if field is not numbers]
    return [*kept, said.SerializeToString()]  # one message after another is both of them merged


def _message(number: int, parts: list[bytes]) -> list[bytes]:
    """A field that holds a message."""
    return [_varint(number << 3 | _BYTES), _varint(sum(map(len, parts))), *parts]


def _fields(file: BinaryIO, start: int, end: int) -> Iterator[_Field]:
    """The fields of a message, whose contents are skipped."""
    place, left = start, _MOST_FIELDS
    while place < end:
        left -= 1
        file.seek(place)
        key, body = _number(file, place)
        wire, value = key & 7, 0
        if wire == _VARINT:
            value, after = _number(file, body)
        elif wire == _BYTES:
            length, body = _number(file, body)
            after = body + length
        elif wire in (_EIGHT, _FOUR):
            after = body + (8 if wire == _EIGHT else 4)
        else:
            raise _UnusualError
        if after > end or not left:
            raise _UnusualError
        yield _Field(key >> 3, wire, place, body, after, value)
        place = after


def _number(file: BinaryIO, place: int) -> tuple[int, int]:
    """A varint that is next in the file, at ``place``, and the place behind it."""
    value = 0
    for count in range(_LONGEST):
        byte = file.read(1)
        if not byte:
            break
        if not byte[0] and count:  # a longer way to write it, which parsers may refuse
            break
        value |= (byte[0] & 0x7F) << 7 * count
        if byte[0] < 0x80:  # the highest bit says whether another byte follows
            return value, place + count + 1
    raise _UnusualError


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _read(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    content = file.read(end - start)
    if len(content) < end - start:  # cut since
        raise _UnusualError
    return content
