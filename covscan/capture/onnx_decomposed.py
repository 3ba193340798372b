"""Norms that an exporter wrote as arithmetic, recognized by their shape in the graph."""

from collections.abc import Iterator

import onnx

from covscan.capture.onnx_constants import constant_value
from covscan.capture.onnx_graph import Graph, attribute_of
from covscan.capture.onnx_parts import Composite

_SPATIAL = frozenset({(2, 3), (-2, -1), (2, 3, 4)})


def find_norms(graph: Graph) -> Iterator[Composite]:
    """Layer, RMS and instance norms made of ReduceMean, and group norms made of InstanceNormalization."""
    for index, node in enumerate(graph.nodes):
        if node.op_type in ("Div", "Mul") and node.output[0] not in graph.constants:
            found = _standardized(graph, index, node)
        elif node.op_type == "InstanceNormalization":
            found = _grouped(graph, index, node)
        else:
            found = None
        if found is not None:
            yield found


def _standardized(graph: Graph, index: int, node: onnx.NodeProto) -> Composite | None:
    """(x - mean) / sqrt(variance + eps) or x / sqrt(mean square + eps), times scale, plus bias."""
    for top, bottom in ((0, 1), (1, 0))[: 1 if node.op_type == "Div" else 2]:
        root = _inverse_root(graph, node.input[bottom], reciprocal=node.op_type == "Mul")
        if root is None:
            continue
        squared, eps, axes, inner = root
        above = _through_casts(graph, node.input[top])
        if _through_casts(graph, squared) != above:
            continue
        centred = _centred(graph, above)
        source = above if centred is None else centred[0]
        members = {index, *inner, *(() if centred is None else centred[1])}
        kind = "RMSNormalization" if centred is None else "LayerNormalization"
        return _affine(graph, kind, members, source, node.output[0], eps, axes)
    return None


def _inverse_root(
    graph: Graph, value: str, *, reciprocal: bool
) -> tuple[str, str | None, tuple[int, ...], set[int]] | None:
    """(what is squared, name of eps, reduced axes, places) where ``value`` is the root of a mean square."""
    members: set[int] = set()
    maker = _root(graph, _step(graph, value, members), members, inverse=reciprocal)
    if maker is None:
        return None
    maker = _step(graph, maker.input[0], members)
    eps = None
    if maker is not None and maker.op_type == "Add":
        variable = graph.variable_inputs(maker)
        eps = next((name for name in maker.input if name in graph.constants), None)
        maker = _step(graph, variable[0], members) if len(variable) == 1 else None
    if maker is None or maker.op_type != "ReduceMean":
        return None
    axes = _axes(graph, maker)
    squares = _step(graph, maker.input[0], members)
    if squares is None or not (
        _is_power(graph, squares, 2.0) or (squares.op_type == "Mul" and squares.input[0] == squares.input[1])
    ):
        return None
    return squares.input[0], eps, axes, members


def _root(graph: Graph, maker: onnx.NodeProto | None, members: set[int], *, inverse: bool) -> onnx.NodeProto | None:
    """The node that takes the square root, or the inverse of it in one step or two."""
    if maker is not None and inverse and (maker.op_type == "Reciprocal" or _is_one_over(graph, maker)):
        maker = _step(graph, maker.input[-1], members)
        inverse = False
    if maker is None or _is_power(graph, maker, -0.5 if inverse else 0.5):
        return maker
    return maker if maker.op_type == "Sqrt" and not inverse else None


def _step(graph: Graph, value: str, members: set[int]) -> onnx.NodeProto | None:
    """The node that made ``value``, casts passed over; every node on the way is noted."""
    maker = graph.maker(value)
    while maker is not None:
        members.add(graph.producer[maker.output[0]])
        if maker.op_type not in ("Cast", "Identity"):
            return maker
        maker = graph.maker(maker.input[0])
    return None


def _through_casts(graph: Graph, value: str) -> str:
    maker = graph.maker(value)
    while maker is not None and maker.op_type in ("Cast", "Identity"):
        value = maker.input[0]
        maker = graph.maker(value)
    return value


def _centred(graph: Graph, value: str) -> tuple[str, set[int]] | None:
    """(x, places) where ``value`` is x minus the mean of x."""
    members: set[int] = set()
    maker = _step(graph, value, members)
    if maker is None or maker.op_type != "Sub":
        return None
    mean = _step(graph, maker.input[1], members)
    same = mean is not None and mean.op_type == "ReduceMean"
    if not same or mean is None or _through_casts(graph, mean.input[0]) != _through_casts(graph, maker.input[0]):
        return None
    return maker.input[0], members


def _is_power(graph: Graph, node: onnx.NodeProto, exponent: float) -> bool:
    if node.op_type != "Pow" or node.input[1] not in graph.constants:
        return False
    value = constant_value(graph, node.input[1])
    return bool(value.size == 1 and float(value.reshape(-1)[0]) == exponent)


def _is_one_over(graph: Graph, node: onnx.NodeProto) -> bool:
    return bool(node.op_type == "Div" and node.input[0] in graph.constants)


def _axes(graph: Graph, node: onnx.NodeProto) -> tuple[int, ...]:
    written = attribute_of(node, "axes")
    if written is not None:
        return tuple(int(axis) for axis in written)  # type: ignore[attr-defined]
    if len(node.input) > 1 and node.input[1] in graph.constants:
        return tuple(int(axis) for axis in constant_value(graph, node.input[1]).reshape(-1))
    return ()


def _affine(
    graph: Graph,
    kind: str,
    members: set[int],
    source: str,
    output: str,
    eps: str | None,
    axes: tuple[int, ...],
) -> Composite:
    """The norm with the scale and the bias that follow it, where they do."""
    members = set(members)
    output, scale = _follow(graph, "Mul", output, members)
    output, bias = _follow(graph, "Add", output, members)
    if kind == "LayerNormalization" and axes in _SPATIAL:
        kind = "InstanceNormalization"
    channel = axes[0] if len(axes) == 1 else 1 if axes or kind == "GroupNormalization" else -1
    return Composite(
        type=kind,
        role="norm",
        members=tuple(sorted(members)),
        source=source,
        output=output,
        channel=channel,
        bias=bias is not None,
        scale_name=scale,
        bias_name=bias,
        eps_name=eps,
        axes=axes,
    )


def _follow(graph: Graph, operation: str, output: str, members: set[int]) -> tuple[str, str | None]:
    """(new output, constant) where the only reader of ``output``, casts aside, combines it with a constant."""
    passed: list[int] = []
    value, reader = output, graph.sole_reader(output)
    while reader is not None and reader.op_type == "Cast":
        passed.append(graph.producer[reader.output[0]])
        value, reader = reader.output[0], graph.sole_reader(reader.output[0])
    if reader is None or reader.op_type != operation:
        return output, None
    constant = next((name for name in reader.input if name in graph.constants and name != value), None)
    if constant is None:
        return output, None
    members.update((*passed, graph.producer[reader.output[0]]))
    return reader.output[0], constant


def _grouped(graph: Graph, index: int, node: onnx.NodeProto) -> Composite | None:
    """Reshape to (N, groups, rest), InstanceNormalization, Reshape back, then scale and bias per channel."""
    before, after = graph.maker(node.input[0]), graph.sole_reader(node.output[0])
    if before is None or before.op_type != "Reshape" or after is None or after.op_type != "Reshape":
        return None
    members = {graph.producer[before.output[0]], index, graph.producer[after.output[0]]}
    return _affine(graph, "GroupNormalization", members, before.input[0], after.output[0], None, ())
