"""Reading the existing normalizations of a module."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from covscan.capture.exported_types import module_constants
from covscan.capture.torch_modules import class_names
from covscan.capture.types import Float, Module, Network, Norm, Site, base_name

if TYPE_CHECKING:
    import torch

Kind = Literal["batch", "layer", "group", "instance", "rms"]


def norms_of(model: "torch.nn.Module", network: Network) -> dict[str, Norm]:
    """The normalizations among the modules that ran, by module name."""
    sites = {site.key: site for site in network.sites}
    modules = dict(model.named_modules())
    constants = module_constants(model)
    found: dict[str, Norm] = {}
    for call in network.modules:
        base = base_name(call.name)
        if call.role != "norm" or base in found or base not in modules:
            continue
        norm = _norm(call.type, modules[base], constants.get(base, {}), _input_site(call, sites))
        if call.gain_offset and norm.weight is not None:
            norm = replace(norm, weight=norm.weight + call.gain_offset)
        found[base] = norm
    return found


def _input_site(call: Module, sites: dict[Any, Site]) -> Site | None:
    for key in (*call.inputs, *((call.output,) if call.output else ())):
        if key in sites:
            return sites[key]
    return None


def _norm(type_name: str, module: "torch.nn.Module", constants: Mapping[str, Any], site: Site | None) -> Norm:
    """``constants`` are what an exported module's operator was called with, where its attributes are gone."""
    kind = _kind((type_name, *class_names(module)))
    tracked = getattr(module, "num_batches_tracked", None)
    weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
    groups = getattr(module, "num_groups", constants.get("num_groups"))
    statistics = getattr(module, "running_mean", None)
    return Norm(
        kind=kind,
        eps=epsilon_of(module) or float(constants.get("eps", 0.0)),
        weight=_array(weight),
        bias=_array(bias),
        running_mean=_array(statistics),
        running_var=_array(getattr(module, "running_var", None)),
        batches_tracked=None if tracked is None else int(tracked),
        momentum=getattr(module, "momentum", constants.get("momentum")),
        groups=groups,
        elements=_elements(kind, site, groups),
        uses_batch_statistics=kind == "batch" and statistics is None,
        frozen=weight is not None and not weight.requires_grad,
    )


def _kind(names: tuple[str, ...]) -> Kind:
    for name in names:
        for word, kind in (("Batch", "batch"), ("Instance", "instance"), ("Group", "group"), ("RMS", "rms")):
            if word in name:
                return kind  # type: ignore[return-value]
        if "LayerNorm" in name:
            return "layer"
    return "rms" if "T5" in names[0] else "layer"


def epsilon_of(module: "torch.nn.Module") -> float:
    """What a normalization adds under its square root, under any of its usual names; 0 where there is none."""
    for name in ("eps", "variance_epsilon", "epsilon"):
        value = getattr(module, name, None)
        if isinstance(value, int | float):
            return float(value)
    return 0.0


def _elements(kind: Kind, site: Site | None, groups: int | None) -> int | None:
    """Values in one statistic of one sample."""
    if site is None:
        return None
    taken = {site.layout.sample_axis, site.layout.channel_axis}
    positions = math.prod(int(size) for axis, size in enumerate(site.shape) if axis not in taken)
    if kind in {"batch", "instance"}:
        return positions
    if kind == "group":
        return positions * site.channels // max(groups or 1, 1)
    return site.channels


def _array(value: "torch.Tensor | None") -> Float | None:
    import torch

    if not isinstance(value, torch.Tensor):
        return None
    array: Float = value.detach().cpu().double().numpy().copy()
    return array
