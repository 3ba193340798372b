"""The largest eigenvalue of the Hessian of the loss, by products with vectors."""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from covscan.prove.gradient_probe import Probe, Tensors, dense, dot, graph_of, square
from covscan.prove.gradient_types import HESSIAN_PRODUCT
from covscan.prove.pool import Draw

_ENOUGH = 0.02
_NOTHING = 1e-7

Product = Callable[[Tensors], Tensors]


class CurvatureError(Exception):
    """The Hessian cannot be had; the text says why."""


def sharpness(
    probe: Probe, draws: Sequence[Draw], iterations: int, scale: Tensors | None = None
) -> tuple[float, float]:
    """Largest eigenvalue of the Hessian of the mean loss over the batches, and how far off it may be.

    The Hessian is that of the loss in training mode: batch statistics take part in it. With ``scale``, one
    positive tensor for each parameter, it is that of diag(scale) H diag(scale). The graph of the batches is kept for
    all products, which takes about three times the memory of a training step. Raises CurvatureError.
    """
    parameters = list(probe.parameters.values())
    with ExitStack() as stack:
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))  # the fused ones have no second derivative
        stack.enter_context(torch.backends.cudnn.flags(enabled=False))  # nor have its recurrent layers
        probe.restore_buffers()
        product = _hessian(probe, parameters, draws)

        def scaled(vector: Tensors) -> Tensors:
            if scale is None:
                return product(vector)
            return _times(product(_times(vector, scale)), scale)

        return largest_eigenvalue(scaled, parameters, iterations, probe.seed)


def largest_eigenvalue(
    product: Product, like: Sequence[torch.Tensor], iterations: int, seed: int = 0
) -> tuple[float, float]:
    """The largest (not: largest in size) eigenvalue of a symmetric operator, and its error bound, by Lanczos' method.

    From the same products as power iteration makes it gets closer, and it does not confuse the ends of the spectrum.
    Three vectors are kept: without orthogonalization against all others the extreme eigenvalue is still right. It
    stops once the bound is 2 % of the value. Raises CurvatureError where something is not finite.
    """
    generator = torch.Generator().manual_seed(seed)
    vector = [torch.randn(tensor.shape, generator=generator).to(tensor) for tensor in like]
    vector = _divided(vector, math.sqrt(square(vector)))
    before: Tensors | None = None
    diagonal: list[float] = []
    beside: list[float] = []
    value = error = 0.0
    for _ in range(max(1, iterations)):
        image = product(vector)
        diagonal.append(dot(image, vector))
        image = _less(image, diagonal[-1], vector)
        if before is not None:
            image = _less(image, beside[-1], before)
        rest = math.sqrt(square(image))
        if not (math.isfinite(diagonal[-1]) and math.isfinite(rest)):
            raise CurvatureError("the curvature is not finite")
        value, last, size = _ritz(diagonal, beside)
        error = rest * abs(last)
        if rest <= _NOTHING * size or (len(diagonal) > 2 and error <= _ENOUGH * abs(value)):
            break
        beside.append(rest)
        before, vector = vector, _divided(image, rest)
    return value, error


def _hessian(probe: Probe, parameters: Sequence[nn.Parameter], draws: Sequence[Draw]) -> Product:
    try:
        losses = [probe.loss(draw, number, fresh=False) for number, draw in enumerate(draws)]
        loss = torch.stack(losses).mean()
        first = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True, materialize_grads=True)
    except RuntimeError as error:
        raise CurvatureError(_reason(error)) from error
    probe.spend(2 * len(draws))
    if any("autograd::Error" in node.name() for node in graph_of(first)):  # torch would take it for a constant
        raise CurvatureError("an operation has no second derivative")
    curved = [number for number, gradient in enumerate(first) if gradient.requires_grad]

    def product(vector: Tensors) -> Tensors:
        if not curved:
            return [torch.zeros_like(parameter) for parameter in parameters]
        probe.spend(HESSIAN_PRODUCT * len(draws))
        try:
            found = torch.autograd.grad(
                [first[number] for number in curved],
                parameters,
                [vector[number] for number in curved],
                retain_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
        except RuntimeError as error:
            raise CurvatureError(_reason(error)) from error
        return [dense(each.detach()) for each in found]

    return product


def _ritz(diagonal: Sequence[float], beside: Sequence[float]) -> tuple[float, float, float]:
    """Of a tridiagonal matrix: the largest eigenvalue, the last entry of its eigenvector, the largest size of any."""
    matrix = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
    if beside:
        off = torch.tensor(beside[: len(diagonal) - 1], dtype=torch.float64)
        matrix += torch.diag(off, 1) + torch.diag(off, -1)
    values, vectors = torch.linalg.eigh(matrix)
    return float(values[-1]), float(vectors[-1, -1]), float(values.abs().max())


def _times(left: Tensors, right: Tensors) -> Tensors:
    return [a * b for a, b in zip(left, right, strict=True)]


def _less(left: Tensors, factor: float, right: Tensors) -> Tensors:
    return [a - factor * b for a, b in zip(left, right, strict=True)]


def _divided(vector: Tensors, by: float) -> Tensors:
    return [tensor / by for tensor in vector]


def _reason(error: RuntimeError) -> str:
    text = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
    if "not implemented" in text or isinstance(error, NotImplementedError):
        return f"an operation has no second derivative: {text}"
    return f"the curvature could not be computed: {text}"
