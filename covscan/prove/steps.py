"""The step that an optimizer takes, and the curvature that it bears, whatever optimizer it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from covscan.prove.gradient_probe import Tensors
from covscan.prove.optimizers import Trainer


class StepError(Exception):
    """The optimizer cannot take a step from a gradient alone."""


class Stepper:
    """An optimizer on copies of the parameters, so that the model's own stay; its memory starts empty.

    Every step starts at the parameters as they are, but the optimizer remembers the gradients before.
    """

    def __init__(self, trainer: Trainer, parameters: Sequence[nn.Parameter], rate: float) -> None:
        self._parameters = parameters
        self._copies = [nn.Parameter(parameter.detach().clone()) for parameter in parameters]
        self.optimizer = trainer.make(list(self._copies), rate)

    def step(self, gradients: Sequence[torch.Tensor]) -> Tensors:
        """By how much each parameter would move. Raises StepError."""
        with torch.no_grad():
            for copy, parameter in zip(self._copies, self._parameters, strict=True):
                copy.copy_(parameter)
        for copy, gradient in zip(self._copies, gradients, strict=True):
            copy.grad = gradient
        try:
            self.optimizer.step()
        except Exception as error:
            raise StepError(f"the optimizer raised {type(error).__name__} for a single step") from error
        finally:
            for copy in self._copies:
                copy.grad = None
        with torch.no_grad():
            return [
                copy.detach() - parameter.detach()
                for copy, parameter in zip(self._copies, self._parameters, strict=True)
            ]


@dataclass(frozen=True, slots=True)
class Edge:
    """The largest curvature that an optimizer bears is ``factor`` / rate: beyond it small errors grow.

    For plain gradient descent 2. With momentum b it is 2 (1 + b), with Nesterov's 2 (1 + b) / (1 + 2 b); a moving
    average of gradients with weight b gives 2 (1 + b) / (1 - b), which is 38 for Adam's 0.9. ``epsilon`` is None for
    optimizers that take the gradient as it is; otherwise curvature means the Hessian divided by the gradient's root
    mean square plus ``epsilon``. Derived on a quadratic; Cohen et al. 2021 and 2022.
    """

    factor: float
    epsilon: float | None = None


def edge_of(optimizer: torch.optim.Optimizer) -> Edge | None:
    """Where an optimizer's edge of stability lies, None where it is not known. Weight decay is left out."""
    options = optimizer.param_groups[0]
    if isinstance(optimizer, torch.optim.SGD):
        momentum = float(options["momentum"])
        if options["nesterov"]:
            return Edge(2 * (1 + momentum) / (1 + 2 * momentum))
        return Edge(2 * (1 + momentum) / (1 - float(options["dampening"])))
    if isinstance(optimizer, torch.optim.Adam | torch.optim.AdamW) and not options["amsgrad"]:
        average = float(options["betas"][0])
        return Edge(2 * (1 + average) / (1 - average), float(options["eps"]))
    if isinstance(optimizer, torch.optim.RMSprop) and not options["centered"]:
        return Edge(2 * (1 + float(options["momentum"])), float(options["eps"]))
    return None
