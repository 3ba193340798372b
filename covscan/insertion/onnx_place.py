"""Where in an ONNX graph a normalization is to go, and what the value there looks like."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx

from covscan.capture.onnx_calls import find_calls
from covscan.capture.onnx_network import Survey
from covscan.capture.onnx_parts import Call
from covscan.capture.onnx_study import Study
from covscan.capture.types import Network, Site
from covscan.errors import UsageError
from covscan.insertion.types import Request
from covscan.surgery.fitting import Tensor, fitting, meant
from covscan.surgery.onnx_nodes import Value
from covscan.surgery.onnx_rewiring import inner_makers
from covscan.surgery.types import Insertion

OLDEST_OPSET = 7
"""Operators broadcast as numpy does from here on, and BatchNormalization has the inputs it still has."""


@dataclass(frozen=True, slots=True)
class Place:
    """What is put in, the site to calibrate at, the value that is normalized, and who is to read the result.

    ``readers`` are outputs of the nodes that shall read it; empty for all readers of ``source``.
    """

    insertion: Insertion
    site: Site
    network: Network
    source: str
    value: Value
    readers: tuple[str, ...]


def find_place(model: onnx.ModelProto, found: Study, request: Request) -> Place:
    """The place that a request names, by the name of a value or of the node that makes it. Raises UsageError."""
    graph = found.prepared.graph
    calls = find_calls(graph, found.first.shapes)
    network = Survey(found.prepared, calls, found.first, found.second).network()
    name = _value(model, request.site)
    if request.position == "after":
        source, readers = name, ()
    else:
        call = _call(calls, name, request.site)
        source = call.inputs[0]
        readers = tuple(
            output
            for place in call.members
            for output in graph.nodes[place].output
            if source in graph.nodes[place].input
        )
    _check_reachable(model, source, readers, request)
    site = _site(network, found, source, request)
    where = f"{'the value' if request.position == 'after' else 'what is read by'} {request.site!r}"
    tensor = Tensor(len(site.shape), site.channels, site.layout.channel_axis, site.layout.sample_axis)
    norm = fitting(request.norm, tensor, where)
    value = Value(tensor.rank, found.first.kinds[site.key.site], _opset(model))
    insertion = Insertion(name, request.position, norm, site.channels, tensor.channel_axis)
    return Place(insertion, site, network, source, value, readers)


def _value(model: onnx.ModelProto, name: str) -> str:
    """The value of that name, or the first output of the node of that name."""
    made = {output for node in model.graph.node for output in node.output if output}
    nodes = {node.name: node.output[0] for node in model.graph.node if node.name and node.output}
    fed = {value.name for value in model.graph.input}
    if name in made | fed:
        return name
    if name in nodes:
        return nodes[name]
    owner = inner_makers(model.graph, name)
    if owner is not None:
        raise UsageError(
            "inner-value",
            f"the value {name!r} lies inside a subgraph of {owner!r}, where nothing can be put in",
            hint="name a value of the main graph, or export the model without control flow",
        )
    raise UsageError("unknown-site", f"the graph has no value {name!r}", hint=meant(name, made | set(nodes)))


def _call(calls: Sequence[Call], name: str, given: str) -> Call:
    found = next((call for call in calls if call.output == name and call.inputs), None)
    if found is None:
        raise UsageError(
            "unknown-site",
            f"{given!r} is no layer that reads data, so that nothing can be put in front of it",
            hint=meant(name, [call.output for call in calls if call.role == "layer" and call.inputs]),
        )
    return found


def _check_reachable(model: onnx.ModelProto, source: str, readers: Sequence[str], request: Request) -> None:
    made = {output for node in model.graph.node for output in node.output}
    if any(reader not in made for reader in readers) or (request.position == "before" and not readers):
        raise UsageError(
            "inner-value",
            f"what reads {source!r} for {request.site!r} lies inside a subgraph, where nothing can be put in",
            hint="name a value of the main graph, or export the model without control flow",
        )
    if request.position == "after" and source not in made:
        raise UsageError(
            "unfit-site",
            f"{source!r} is an input of the graph, which nothing in it makes",
            hint="name the layer that reads it, with --position before",
        )


def _site(network: Network, found: Study, source: str, request: Request) -> Site:
    """The site of that value, or of the one that it is another name of."""
    graph = found.prepared.graph
    sites = {site.key.site: site for site in network.sites if site.key.position != "logits"}
    name = source
    maker = graph.maker(name)
    while name not in sites and maker is not None and maker.op_type in ("Identity", "Dropout"):
        name = maker.input[0]
        maker = graph.maker(name)
    if name in sites:
        return sites[name]
    reason = next((skip.reason for skip in network.skipped if skip.site == source), "")
    raise UsageError(
        "unfit-site",
        f"the value {source!r} is none that a normalization could be put at",
        found=reason or "no input or output of a layer, an activation or a sum",
        hint=meant(request.site, sites),
    )


def _opset(model: onnx.ModelProto) -> int:
    version = next((int(each.version) for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)
    if version < OLDEST_OPSET:
        raise UsageError(
            "old-opset",
            f"the model is written in opset {version}, and a normalization needs {OLDEST_OPSET} or later",
            hint="convert it with onnx.version_converter, or export it anew",
        )
    return version
