"""What a call of an ONNX graph gives at a few places of its output, without the rest of it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx

from covscan.capture.onnx_constants import FLOATING, Array, aligned, constant_value
from covscan.capture.onnx_graph import Graph
from covscan.capture.onnx_parts import Call
from covscan.capture.places import Convolution, Where
from covscan.capture.types import Float, Site

At = Callable[[Any, Where], Float]
"""(rows, channels) of a (samples, *positions, channels) input."""
_WIDE = (np.dtype(np.float32), np.dtype(np.float64))
"""Half precision is multiplied by ONNX Runtime alone: numpy would add it up in itself."""


def runs_at_places(graph: Graph, call: Call, site: Site, value: Array, output: Array) -> At | None:
    """How ``call`` is worked out at some places of its output, which is read at ``site``.

    ``value`` went in and ``output`` came out of the same call with other weights. None where it has to run as a whole.
    """
    first, *after = [graph.nodes[index] for index in call.members]
    make, axis = _KINDS.get(first.op_type, (None, 0))
    if make is None or len(call.feeds) != 1 or call.feeds[0] != first.input[0] or (after and after[0].op_type != "Add"):
        return None
    if value.ndim != output.ndim or value.dtype != output.dtype or output.dtype not in _WIDE:
        return None
    if (site.layout.sample_axis, site.layout.channel_axis) != (0, axis % output.ndim):
        return None
    if any(graph.leaves[root].data_type not in FLOATING for root in call.roots):
        return None
    constants = [aligned(constant_value(graph, name)) for name in call.constants]
    if len(constants) > 2 or any(array.dtype != output.dtype for array in constants):
        return None
    return make(first, constants, output.shape)


def _convolution(node: onnx.NodeProto, constants: Sequence[Any], shape: Sequence[int]) -> At | None:
    weight, *bias = constants
    spatial = weight.ndim - 2
    said: dict[str, Any] = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    way = said.get("auto_pad", b"NOTSET")
    if len(shape) != weight.ndim or way not in (b"NOTSET", b"VALID"):
        return None
    return Convolution(
        weight,
        bias[0].reshape(-1) if bias else None,
        said.get("strides", [1] * spatial),
        said.get("dilations", [1] * spatial),
        said.get("pads", [0] * spatial)[:spatial] if way == b"NOTSET" else [0] * spatial,
        said.get("group", 1),
    ).at


def _product(node: onnx.NodeProto, constants: Sequence[Any], shape: Sequence[int]) -> At | None:
    del node
    weight, *bias = constants
    if weight.ndim != 2 or any(array.size != shape[-1] for array in bias):
        return None
    return partial(_times, weight, bias[0].reshape(-1) if bias else np.zeros((), weight.dtype))


def _times(weight: Any, bias: Any, value: Any, where: Where) -> Float:
    found: Float = value[where] @ weight + bias
    return found


_KINDS: dict[str, tuple[Callable[[onnx.NodeProto, Sequence[Any], Sequence[int]], At | None], int]] = {
    "Conv": (_convolution, 1),
    "MatMul": (_product, -1),
}
"""What works so, with the axis of its channels."""
