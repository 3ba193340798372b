"""The ONNX nodes of a normalization, in the operators of a given opset."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from covscan.surgery.types import Insertion, groups_for

EPS = 1e-5
LAYER_NORMALIZATION_SINCE = 17
_AXES_AS_INPUT_SINCE = 18
_NARROW = {"float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16}

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Value:
    """The value that is normalized: its rank, its type as numpy calls it, and the opset of its graph."""

    rank: int
    dtype: str
    opset: int


@dataclass(slots=True)
class Chain:
    """Nodes and initializers that are being put together; ``taken`` are the names that the graph uses already."""

    prefix: str
    taken: set[str]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)

    def fresh(self, name: str) -> str:
        """A name that nothing has yet."""
        full, number = f"{self.prefix}/{name}", 1
        while full in self.taken:
            number += 1
            full = f"{self.prefix}/{name}_{number}"
        self.taken.add(full)
        return full

    def add(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Append a node; the name of its output."""
        name = self.fresh(operator)
        result = self.fresh(f"{operator}_output")
        self.nodes.append(helper.make_node(operator, list(inputs), [result], name=name, **attributes))
        return result

    def constant(self, name: str, array: npt.NDArray[np.generic]) -> str:
        """Append an initializer; its name."""
        full = self.fresh(name)
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), full))
        return full


def normalize(
    chain: Chain,
    insertion: Insertion,
    value: Value,
    source: str,
    target: str,
    statistics: tuple[Float64, Float64] | None,
) -> None:
    """Append what takes ``source`` to ``target``: the identity for the data, exactly or by a gate of zeros.

    ``statistics`` are mean and variance per channel for BatchNorm, None for the others. Values of 16 bits are
    normalized in 32: a gain of 16 bits would not undo its variance.
    """
    narrow = _NARROW.get(value.dtype)
    dtype = np.dtype(np.float32 if narrow else value.dtype)
    wide = chain.add("Cast", [source], to=TensorProto.FLOAT) if narrow else source
    if statistics is not None:
        found = _batch(chain, insertion, value, wide, statistics, dtype)
    else:
        found = _gated(chain, insertion, value, wide, dtype)
    if narrow:
        chain.add("Cast", [found], to=narrow)
    chain.nodes[-1].output[0] = target


def _batch(
    chain: Chain, insertion: Insertion, value: Value, source: str, statistics: tuple[Float64, Float64], dtype: Any
) -> str:
    mean, variance = (array.astype(dtype) for array in statistics)
    gain = np.sqrt(variance.astype(np.float64) + EPS).astype(dtype)
    names = [
        chain.constant(name, array)
        for name, array in (("scale", gain), ("bias", mean), ("mean", mean), ("variance", variance))
    ]
    inputs = [_to_second(chain, insertion, value, source), *names]
    return _back(chain, insertion, value, chain.add("BatchNormalization", inputs, epsilon=EPS))


def _gated(chain: Chain, insertion: Insertion, value: Value, source: str, dtype: Any) -> str:
    """``x + gate * (norm(x) - x)``."""
    shape = [1] * value.rank
    shape[insertion.channel_axis] = insertion.channels
    gate = chain.constant("gate", np.zeros(shape, dtype))
    if insertion.norm in ("LayerNorm", "RMSNorm"):
        found = _over_channels(chain, insertion, value, source, dtype)
    else:
        found = _per_sample(chain, insertion, value, source, dtype)
    apart = chain.add("Mul", [gate, chain.add("Sub", [found, source])])
    return chain.add("Add", [source, apart])


def _over_channels(chain: Chain, insertion: Insertion, value: Value, source: str, dtype: Any) -> str:
    """LayerNorm and RMSNorm, over the channels on the last axis."""
    order = [axis for axis in range(value.rank) if axis != insertion.channel_axis] + [insertion.channel_axis]
    x = _permuted(chain, source, order)
    scale = chain.constant("scale", np.ones(insertion.channels, dtype))
    if insertion.norm == "RMSNorm":
        found = chain.add("Mul", [_divided(chain, value, x, dtype), scale])
    else:
        bias = chain.constant("bias", np.zeros(insertion.channels, dtype))
        if value.opset >= LAYER_NORMALIZATION_SINCE:
            found = chain.add("LayerNormalization", [x, scale, bias], axis=-1, epsilon=EPS)
        else:
            centred = chain.add("Sub", [x, _mean(chain, value, x)])
            found = chain.add("Add", [chain.add("Mul", [_divided(chain, value, centred, dtype), scale]), bias])
    return _permuted(chain, found, [order.index(axis) for axis in range(value.rank)])


def _divided(chain: Chain, value: Value, x: str, dtype: Any) -> str:
    """``x`` by its root mean square over the last axis."""
    square = _mean(chain, value, chain.add("Mul", [x, x]))
    eps = chain.constant("eps", np.array(EPS, dtype))
    return chain.add("Div", [x, chain.add("Sqrt", [chain.add("Add", [square, eps])])])


def _mean(chain: Chain, value: Value, x: str) -> str:
    if value.opset < _AXES_AS_INPUT_SINCE:
        return chain.add("ReduceMean", [x], axes=[-1], keepdims=1)
    return chain.add("ReduceMean", [x, chain.constant("axes", np.array([-1], np.int64))], keepdims=1)


def _per_sample(chain: Chain, insertion: Insertion, value: Value, source: str, dtype: Any) -> str:
    """InstanceNorm, and GroupNorm as InstanceNorm of each group laid out as one channel."""
    x = _to_second(chain, insertion, value, source)
    channels = insertion.channels
    affine = [1, channels] + [1] * (value.rank - 2)
    parts = channels if insertion.norm.startswith("InstanceNorm") else groups_for(channels)
    grouped = chain.add("Reshape", [x, chain.constant("groups", np.array([0, parts, -1], np.int64))])
    ones = chain.constant("ones", np.ones(parts, np.float32))
    zeros = chain.constant("zeros", np.zeros(parts, np.float32))
    double = np.dtype(dtype) == np.float64  # which runtimes do not normalize instances in
    grouped = chain.add("Cast", [grouped], to=TensorProto.FLOAT) if double else grouped
    found = chain.add("InstanceNormalization", [grouped, ones, zeros], epsilon=EPS)
    found = chain.add("Cast", [found], to=TensorProto.DOUBLE) if double else found
    found = chain.add("Reshape", [found, chain.add("Shape", [x])])
    found = chain.add("Mul", [found, chain.constant("scale", np.ones(affine, dtype))])
    found = chain.add("Add", [found, chain.constant("bias", np.zeros(affine, dtype))])
    return _back(chain, insertion, value, found)


def _to_second(chain: Chain, insertion: Insertion, value: Value, source: str) -> str:
    """With the channels on axis 1."""
    return _permuted(chain, source, _second(insertion, value))


def _second(insertion: Insertion, value: Value) -> list[int]:
    rest = [axis for axis in range(value.rank) if axis != insertion.channel_axis]
    return [rest[0], insertion.channel_axis, *rest[1:]]


def _back(chain: Chain, insertion: Insertion, value: Value, found: str) -> str:
    order = _second(insertion, value)
    return _permuted(chain, found, [order.index(place) for place in range(value.rank)])


def _permuted(chain: Chain, source: str, order: Sequence[int]) -> str:
    if list(order) == list(range(len(order))):
        return source
    return chain.add("Transpose", [source], perm=list(order))
