"""How a layer's gradient changes when the layers before it move on to the next checkpoint."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from covscan.capture.tensors import tensors_in
from covscan.prove.gradient_layers import Layer
from covscan.prove.gradient_probe import Probe, dot, graph_of, moved_back, square
from covscan.prove.gradient_types import GradientShift
from covscan.prove.pool import Draw


def preceding(probe: Probe, layers: Sequence[Layer], draw: Draw) -> dict[str, tuple[str, ...]]:
    """By layer, the names of the trained parameters that its input depends on, read off the graph of one forward pass.

    So every way into the layer counts: residual branches, parameters that no module owns, weights that are shared. The
    layer's own weights are never among them. Layers that were not called are left out.
    """
    names = {id(parameter): name for name, parameter in probe.parameters.items()}
    found: dict[str, set[str]] = {}

    def note(layer: Layer) -> Any:
        def hook(module: torch.nn.Module, arguments: Any, keywords: Any) -> None:
            del module
            inputs = [tensor for tensor in tensors_in((arguments, keywords)) if tensor.requires_grad]
            leaves = {names[id(leaf)] for leaf in _leaves(inputs) if id(leaf) in names}
            found.setdefault(layer.name, set()).update(leaves.difference(layer.weights))

        return hook

    handles = [
        probe.model.get_submodule(layer.name).register_forward_pre_hook(note(layer), with_kwargs=True)
        for layer in layers
    ]
    try:
        probe.loss(draw, 0)
    finally:
        for handle in handles:
            handle.remove()
    return {layer.name: tuple(n for n in probe.parameters if n in found[layer.name]) for layer in layers
            if layer.name in found}  # fmt: skip


def _leaves(tensors: Sequence[torch.Tensor]) -> Iterator[torch.Tensor]:
    yield from (tensor for tensor in tensors if tensor.grad_fn is None)
    yield from (node.variable for node in graph_of(tensors) if hasattr(node, "variable"))


@contextmanager
def spliced(probe: Probe, names: Sequence[str], weights: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """The model with these parameters taken from ``weights``, as long as the context lasts."""
    parameters = [probe.parameters[name] for name in names]
    with moved_back(parameters):
        with torch.no_grad():
            for name, parameter in zip(names, parameters, strict=True):
                parameter.copy_(weights[name])
        yield


@dataclass(slots=True)
class _Sums:
    batches: int = 0
    apart: float = 0.0
    whole: float = 0.0
    cosine: float = 0.0

    def add(self, here: Sequence[torch.Tensor], there: Sequence[torch.Tensor]) -> None:
        own, other = square(here), square(there)
        self.batches += 1
        self.whole += own
        self.apart += square([a - b for a, b in zip(here, there, strict=True)])
        product = math.sqrt(own * other)
        self.cosine += dot(here, there) / product if product else math.nan


@dataclass(slots=True)
class Splices:
    """The gradients of some layers at the model's weights beside those with the layers before them from ``weights``.

    ``before`` holds for each layer what comes before it, see ``preceding``. A layer before which nothing
    differs costs nothing and has not moved at all.
    """

    probe: Probe
    layers: Sequence[Layer]
    before: Mapping[str, tuple[str, ...]]
    weights: Mapping[str, torch.Tensor]
    _sums: dict[str, _Sums] = field(default_factory=dict)
    _moved: dict[str, bool] = field(default_factory=dict)

    def add(self, draw: Draw, number: int, gradients: Mapping[str, torch.Tensor]) -> None:
        """Take one batch in, with the gradients at the model's own weights by name."""
        for layer in self.layers:
            exchanged = [name for name in self.before[layer.name] if self._differs(name)]
            if not exchanged:
                continue
            with spliced(self.probe, exchanged, self.weights):
                _, there = self.probe.gradients(draw, number, layer.weights.values())
            here = [gradients[name] for name in layer.weights]
            self._sums.setdefault(layer.name, _Sums()).add(here, there)

    def result(self, start: str, end: str, noise: Mapping[str, float | None]) -> Iterator[GradientShift]:
        """A shift for each layer; ``noise`` is the gradient noise of each."""
        for layer in self.layers:
            floor, count = noise.get(layer.name), len(self.before[layer.name])
            sums = self._sums.get(layer.name)
            if sums is None:
                yield GradientShift(layer.name, start, end, 0.0, 1.0, floor, significant=False, preceding=count)
                continue
            relative = math.sqrt(sums.apart / sums.whole) if sums.whole else math.nan
            if not math.isfinite(relative):
                reason = "the gradient is zero or not finite"
                yield GradientShift(layer.name, start, end, None, None, floor, False, reason, count)
                continue
            cosine = sums.cosine / sums.batches
            yield GradientShift(
                layer.name,
                start,
                end,
                relative,
                max(-1.0, min(1.0, cosine)) if math.isfinite(cosine) else None,
                floor,
                significant=floor is not None and relative > floor,
                preceding=count,
            )

    def _differs(self, name: str) -> bool:
        if name not in self._moved:
            own, other = self.probe.parameters[name].detach(), self.weights.get(name)
            fits = other is not None and other.shape == own.shape
            self._moved[name] = bool(fits and other is not None and not torch.equal(own, other.to(own)))
        return self._moved[name]
