"""Variance that dropout adds in front of a BatchNorm in training only (Li, Chen, Hu, Yang 2019)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from covscan.measures.norm_batch import live_channels
from covscan.measures.topology import Topology
from covscan.stats import SiteSummary

if TYPE_CHECKING:
    import torch

    from covscan.capture.types import SiteKey

Float64 = npt.NDArray[np.float64]
Weights = Mapping[str, "torch.Tensor | npt.NDArray[np.generic]"]

_ELEMENTWISE = ("Dropout", "dropout", "FeatureDropout")


@dataclass(frozen=True, slots=True)
class DropoutNoise:
    """The dropout in front of a BatchNorm and the median over channels of Var(inference) / Var(training)."""

    source: str
    ratio: float


def dropout_noise(
    graph: Topology, place: int, summaries: "Mapping[SiteKey, SiteSummary]", weights: Weights
) -> DropoutNoise | None:
    """The closed form for dropout directly in front of a norm, or with one layer between.

    Inverted dropout that keeps with probability p adds E[x^2] (1 - p) / p to the variance of each element;
    behind a layer with weights w the sum over its inputs j of w_j^2 E[x_j^2] (1 - p) / p. Exact for
    elementwise dropout; a convolution's zero padding is not accounted for. None where there is no such
    dropout.
    """
    direct = _dropout_before(graph, place)
    norm_input = _summary(graph.inputs[place], summaries)
    if norm_input is None:
        return None
    pooled = norm_input.moments.pooled()
    if direct is not None:
        source, drop = direct
        added = (np.square(pooled.mean) + pooled.variance) * drop / (1 - drop)
        return _noise(source, norm_input, added)
    for layer in graph.before[place]:
        found = _dropout_before(graph, layer) if graph.calls[layer].role == "layer" else None
        layer_input = _summary(graph.inputs[layer], summaries)
        if found is None or layer_input is None:
            continue
        source, drop = found
        before = layer_input.moments.pooled()
        power = _weight_power(graph.calls[layer].parameters, weights, len(pooled.mean), len(before.mean))
        if power is not None:
            added = power @ (np.square(before.mean) + before.variance) * drop / (1 - drop)
            return _noise(source, norm_input, added)
    return None


def _noise(source: str, summary: SiteSummary, added: Float64) -> DropoutNoise | None:
    pooled = summary.moments.pooled()
    live = live_channels(pooled)
    if not live.any():
        return None
    ratio = pooled.variance[live] / (pooled.variance[live] + added[live])
    return DropoutNoise(source, float(np.median(ratio)))


def _dropout_before(graph: Topology, place: int) -> tuple[str, float] | None:
    """The elementwise dropout that ran just before a call, on the very tensor that the call reads.

    Behind a functional operation what dropout reads is no site; then it counts as the source of what the call reads.
    """
    for earlier in range(place - 1, -1, -1):
        call = graph.calls[earlier]
        if not call.dropout or call.dropout >= 1 or call.type not in _ELEMENTWISE:
            if graph.passes_through(earlier):
                continue
            return None
        if earlier in graph.before[place] or set(graph.inputs[earlier]) & set(graph.inputs[place]):
            return call.name, call.dropout
    return None


def _summary(keys: "tuple[SiteKey, ...]", summaries: "Mapping[SiteKey, SiteSummary]") -> SiteSummary | None:
    return next((summaries[key] for key in keys if key in summaries), None)


def _weight_power(names: tuple[str, ...], weights: Weights, outputs: int, inputs: int) -> Float64 | None:
    """(outputs, inputs) sum over the kernel of squared weights; None where the weight has another shape."""
    for name in names:
        if name not in weights:
            continue
        weight = np.square(_array(weights[name]))
        if weight.ndim >= 2 and weight.shape[:2] == (outputs, inputs):
            power: Float64 = weight.reshape(outputs, inputs, -1).sum(axis=2)
            return power
        if weight.shape == (inputs, outputs):
            transposed: Float64 = weight.T
            return transposed
    return None


def _array(value: "torch.Tensor | npt.NDArray[np.generic]") -> Float64:
    if isinstance(value, np.ndarray):
        return value.astype(np.float64)
    array: Float64 = value.detach().cpu().double().numpy()
    return array
