"""Which layers have weights whose gradient is looked at, and what that gradient is like over some batches."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from covscan.capture.types import Network, base_name
from covscan.prove.gradient_probe import Probe, dot, square
from covscan.prove.gradient_types import LayerGradient
from covscan.prove.steps import StepError, Stepper


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer by the name of its module, with its trained weights by their full names; vectors are left out."""

    name: str
    weights: Mapping[str, nn.Parameter]


def layers_of(network: Network, probe: Probe) -> list[Layer]:
    """The layers with trained weight matrices or kernels, in order of execution, without normalizations.

    Weights that two layers share belong to the first of their names.
    """
    found: dict[str, Layer] = {}
    for call in network.modules:
        name = base_name(call.name)
        if name in found or call.role in {"norm", "activation", "block"}:
            continue
        held = {each: probe.parameters[each] for each in call.parameters if each in probe.parameters}
        weights = {each: parameter for each, parameter in held.items() if parameter.ndim >= 2}
        if weights:
            found[name] = Layer(name, weights)
    return list(found.values())


@dataclass(slots=True)
class _Sums:
    """Running mean of a layer's gradient (Welford), and sums over the batches."""

    mean: list[torch.Tensor] = field(default_factory=list)
    batches: int = 0
    spread: float = 0.0
    squares: float = 0.0
    alignment: float = 0.0

    def add(self, gradient: Sequence[torch.Tensor], weights: Sequence[torch.Tensor]) -> None:
        own = square(gradient)
        self.batches += 1
        self.squares += own
        product = math.sqrt(own * square(weights))
        self.alignment += abs(dot(weights, gradient)) / product if product else 0.0
        if not self.mean:
            self.mean = [tensor.clone() for tensor in gradient]
            return
        apart = [new - mean for new, mean in zip(gradient, self.mean, strict=True)]
        self.mean = [mean.add_(change / self.batches) for mean, change in zip(self.mean, apart, strict=True)]
        self.spread += square(apart) * (self.batches - 1) / self.batches

    @property
    def norm(self) -> float:
        return math.sqrt(self.squares / self.batches)

    @property
    def noise(self) -> float | None:
        """Over all pairs the mean squared distance is twice the unbiased variance."""
        if self.batches < 2 or not self.squares:
            return None
        return math.sqrt(2 * self.spread / (self.batches - 1) / (self.squares / self.batches))


@dataclass(slots=True)
class Profile:
    """Gathers the gradients of one checkpoint over batches; keeps their mean and no gradient of a single batch.

    ``stepper`` is the optimizer whose step sizes are told, None where the learning rate is not known.
    """

    probe: Probe
    layers: Sequence[Layer]
    stepper: Stepper | None
    losses: list[float] = field(default_factory=list)
    reason: str | None = None
    """Why step sizes could not be told."""
    _sums: dict[str, _Sums] = field(default_factory=dict)
    _steps: dict[str, float] = field(default_factory=dict)

    def add(self, loss: float, gradients: Mapping[str, torch.Tensor]) -> None:
        """Take one batch in, with its loss and the gradient by every trained parameter."""
        self.losses.append(loss)
        for layer in self.layers:
            own = [gradients[name] for name in layer.weights]
            self._sums.setdefault(layer.name, _Sums()).add(own, _values(layer))
        if self.stepper is None:
            return
        try:
            moved = dict(zip(gradients, self.stepper.step(list(gradients.values())), strict=True))
        except StepError as error:
            self.reason, self.stepper = str(error), None
            return
        for layer in self.layers:
            self._steps[layer.name] = math.sqrt(square([moved[name] for name in layer.weights]))

    def result(self, checkpoint: str) -> Iterator[LayerGradient]:
        """Each layer's gradient."""
        for layer in self.layers:
            sums, weight = self._sums[layer.name], math.sqrt(square(_values(layer)))
            norm, step = sums.norm, self._steps.get(layer.name) if self.stepper is not None else None
            if not (math.isfinite(norm) and math.isfinite(weight)):
                nothing = (None,) * 6
                yield LayerGradient(layer.name, checkpoint, *nothing, status="the gradient or a weight is not finite")
                continue
            yield LayerGradient(
                layer.name,
                checkpoint,
                norm,
                weight,
                norm / weight if weight else None,
                step / weight if step is not None and math.isfinite(step) and weight else None,
                sums.noise,
                sums.alignment / sums.batches if weight and norm else None,
                norm / math.sqrt(sum(parameter.numel() for parameter in layer.weights.values())),
                None if weight else "all weights are zero",
            )


def _values(layer: Layer) -> list[torch.Tensor]:
    return [parameter.detach() for parameter in layer.weights.values()]
