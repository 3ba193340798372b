"""The loss along an optimizer's step, and its curvature."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from covscan.prove.curvature import CurvatureError, sharpness
from covscan.prove.gains import RUNG
from covscan.prove.gradient_probe import Probe, Tensors, moved_back, square
from covscan.prove.gradient_types import Effort, Landscape
from covscan.prove.optimizers import Trainer
from covscan.prove.pool import Draw
from covscan.prove.steps import Edge, StepError, Stepper, edge_of

SIZES = (0.5, 1.0, 2.0, 4.0)  # counted in Effort.most_forwards, as RUNGS is
"""Steps that are tried, relative to the one at the learning rate; Santurkar et al. tried 1/2 to 4 on their VGG."""

RUNGS = range(-4, 3)
"""Learning rates that are tried where the user's is not known, sqrt(10) apart around the optimizer's usual one."""


def landscape(
    probe: Probe, checkpoint: str, draws: Sequence[Draw], trainer: Trainer, rate: float | None, effort: Effort
) -> Landscape:
    """Steps from the model's weights and the Hessian there, see ``Landscape``. The weights are put back.

    The step is the optimizer's first from an empty memory: along the gradient for SGD, of the rate's size in every
    weight for Adam. ``draws`` are all batches; the first ``effort.probes`` are stepped on, the others only help to
    estimate an optimizer's root mean square.
    """
    used = list(draws[: effort.probes])
    found: dict[str, Any] = {}
    reasons = []
    try:
        at = rate if rate is not None else _best_rate(probe, used, trainer)
        found |= {"rate": at} | _averaged([_along(probe, draw, n, trainer, at) for n, draw in enumerate(used)])
    except StepError as error:
        reasons.append(str(error))
    reasons += found.pop("reasons", [])
    try:
        found |= _curvature(probe, draws, trainer, rate, effort)
    except CurvatureError as error:
        reasons.append(str(error))
    reasons += [found.pop("unknown")] if "unknown" in found else []
    empty = dict.fromkeys(
        ("rate", "loss_low", "loss_high", "predictiveness", "effective_smoothness", "sharpness", "stability")
    )
    return Landscape(
        checkpoint, **(empty | found), rate_known=rate is not None, status="; ".join(dict.fromkeys(reasons)) or None
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """What steps on one batch led to, by the order of ``SIZES``; shorter where the loss was not finite any more."""

    loss: float
    losses: tuple[float, ...]
    changes: tuple[float, ...]
    """Change of the gradient, relative to its norm."""
    curvatures: tuple[float, ...]
    """Change of the gradient over the length of the step."""


def _along(probe: Probe, draw: Draw, number: int, trainer: Trainer, rate: float) -> _Step:
    parameters = list(probe.parameters.values())
    loss, gradient = probe.gradients(draw, number)
    step = Stepper(trainer, parameters, rate).step(gradient)
    norm, length = math.sqrt(square(gradient)), math.sqrt(square(step))
    losses, changes, curvatures = [], [], []
    with moved_back(parameters) as start:
        for size in SIZES:
            _move(parameters, start, step, size)
            value, there = probe.gradients(draw, number)
            change = math.sqrt(square([a - b for a, b in zip(there, gradient, strict=True)]))
            if not (math.isfinite(value) and math.isfinite(change)):
                break
            losses.append(value)
            changes.append(change / norm if norm else 0.0)
            curvatures.append(change / (size * length) if length else 0.0)
    return _Step(loss, tuple(losses), tuple(changes), tuple(curvatures))


def _averaged(steps: Sequence[_Step]) -> dict[str, Any]:
    if not all(math.isfinite(step.loss) for step in steps):
        return {"reasons": ["the loss is not finite"]}
    kept = min(len(step.losses) for step in steps)
    known: dict[str, Any] = {"loss": _mean([step.loss for step in steps])}
    if kept < len(SIZES):
        known["reasons"] = [f"the loss is not finite after a step of {SIZES[kept]:g} times the learning rate"]
    losses = [_mean([step.losses[place] for step in steps]) for place in range(kept)]
    if kept > 1:
        known["loss_after"] = losses[SIZES.index(1.0)]
    if kept:
        known["loss_low"] = min(losses)
    if kept == len(SIZES):
        known["loss_high"] = max(losses)
        known["predictiveness"] = max(_mean([step.changes[place] for step in steps]) for place in range(kept))
        known["effective_smoothness"] = max(_mean([step.curvatures[place] for step in steps]) for place in range(kept))
    return known


def _best_rate(probe: Probe, draws: Sequence[Draw], trainer: Trainer) -> float:
    """The rate whose single step lowers the loss most, over the batches; of equal ones the lowest."""
    parameters = list(probe.parameters.values())
    losses = dict.fromkeys(RUNGS, 0.0)
    for number, draw in enumerate(draws):
        _, gradient = probe.gradients(draw, number)
        step = Stepper(trainer, parameters, trainer.usual_rate).step(gradient)
        with moved_back(parameters) as start:
            for rung in RUNGS:
                _move(parameters, start, step, RUNG**rung)
                value = probe.value(draw, number)
                losses[rung] += value if math.isfinite(value) else math.inf
    best = min(RUNGS, key=losses.__getitem__)
    return float(f"{trainer.usual_rate * RUNG**best:.4g}")


def _curvature(
    probe: Probe, draws: Sequence[Draw], trainer: Trainer, rate: float | None, effort: Effort
) -> dict[str, Any]:
    used = draws[: effort.probes]
    parameters = list(probe.parameters.values())
    edge = edge_of(Stepper(trainer, parameters[:1], rate or trainer.usual_rate).optimizer)
    plain, error = sharpness(probe, used, effort.iterations)
    found: dict[str, Any] = {"sharpness": plain, "sharpness_error": error}
    if edge is None:
        return found | {"unknown": f"no limit of stability is known for {trainer.name}"}
    if rate is None:
        return found
    steepest = plain
    if edge.epsilon is not None:
        steepest, _ = sharpness(probe, used, effort.iterations, _preconditioner(probe, draws, edge))
    return found | {"stability": rate * steepest / edge.factor}


def _preconditioner(probe: Probe, draws: Sequence[Draw], edge: Edge) -> Tensors:
    """1 / sqrt(rms(g) + eps): what both sides of the Hessian are multiplied by, rms over the batches."""
    squares = [torch.zeros_like(parameter) for parameter in probe.parameters.values()]
    for number, draw in enumerate(draws):
        _, gradients = probe.gradients(draw, number)
        squares = [held.add_(each.square() / len(draws)) for held, each in zip(squares, gradients, strict=True)]
    return [(held.sqrt() + (edge.epsilon or 0.0)).rsqrt() for held in squares]


@torch.no_grad()
def _move(parameters: Sequence[torch.Tensor], start: Tensors, step: Tensors, size: float) -> None:
    for parameter, at, by in zip(parameters, start, step, strict=True):
        parameter.copy_(at + size * by)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
