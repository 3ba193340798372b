"""Reading the existing normalizations of a TorchScript archive."""

import math
from typing import Any, Literal

import torch

from covscan.capture.script_calls import kind_of
from covscan.capture.script_graph import Call
from covscan.capture.script_program import ScriptProgram
from covscan.capture.types import Float, Module, Network, Norm, Site, base_name

Kind = Literal["batch", "layer", "group", "instance", "rms"]


def norms_of(program: ScriptProgram, network: Network) -> dict[str, Norm]:
    """The normalizations among the calls that ran, by name without a call suffix."""
    sites = {site.key: site for site in network.sites}
    calls = {call.name: call for call in reversed(program.calls) if call.kind in {"module", "operator"}}
    found: dict[str, Norm] = {}
    for module in network.modules:
        base = base_name(module.name)
        if module.role == "norm" and base in calls and base not in found:
            seen = [sites[key] for key in (*module.inputs, module.output) if key in sites]
            found[base] = _norm(calls[base], program, module, seen[0] if seen else None)
    return found


def _norm(call: Call, program: ScriptProgram, module: Module, site: Site | None) -> Norm:
    kind = _kind(module.type)
    own = {name.rpartition(".")[2]: program.weights[name] for name in module.parameters}
    weights = own | {key: program.weights[name] for key, name in call.weights.items()}
    settings = kind_of(call, program).settings
    tracked, weight = weights.get("num_batches_tracked"), weights.get("weight")
    groups = getattr(settings, "num_groups", None)
    statistics = weights.get("running_mean")
    return Norm(
        kind=kind,
        eps=float(getattr(settings, "eps", None) or 0.0),
        weight=_array(weight),
        bias=_array(weights.get("bias")),
        running_mean=_array(statistics),
        running_var=_array(weights.get("running_var")),
        batches_tracked=None if tracked is None else int(tracked),
        momentum=getattr(settings, "momentum", None),
        groups=groups,
        elements=None if site is None else _elements(kind, site, groups),
        uses_batch_statistics=kind == "batch" and (statistics is None or call.facts.get("training") is True),
        frozen=isinstance(weight, torch.nn.Parameter) and not weight.requires_grad,
    )


def _kind(type_name: str) -> Kind:
    words: tuple[tuple[str, Kind], ...] = (
        ("Batch", "batch"),
        ("Instance", "instance"),
        ("Group", "group"),
        ("RMS", "rms"),
        ("T5", "rms"),
    )
    return next((kind for word, kind in words if word in type_name), "layer")


def _elements(kind: Kind, site: Site, groups: int | None) -> int:
    """Values in one statistic of one sample."""
    taken = {site.layout.sample_axis, site.layout.channel_axis}
    positions = math.prod(int(size) for axis, size in enumerate(site.shape) if axis not in taken)
    if kind in {"batch", "instance"}:
        return positions
    if kind == "group":
        return positions * site.channels // max(groups or 1, 1)
    return site.channels


def _array(value: Any) -> Float | None:
    if value is None:
        return None
    array: Float = value.detach().cpu().double().numpy().copy()
    return array
