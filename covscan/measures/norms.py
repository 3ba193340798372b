"""What a checkpoint and data show about the normalizations a network already has, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from covscan.capture.types import Network, Norm, SiteKey
from covscan.measures.norm_batch import discrepancy, effective_per_sample, live_channels, staleness
from covscan.measures.norm_dropout import Weights, dropout_noise
from covscan.measures.norm_samples import outlier_dominance, sample_variances
from covscan.measures.topology import Topology, topology
from covscan.stats import SiteSummary

if TYPE_CHECKING:
    from covscan.capture.types import Module

Float64 = npt.NDArray[np.float64]

_COLLAPSED = 1e-3
_DEVIATIONS = 3.0
_RECTIFIERS = ("ReLU", "ReLU6", "Relu", "relu", "relu_", "Threshold")
_LINEAR = ("Linear", "Conv", "linear", "conv", "Gemm", "MatMul", "addmm")


@dataclass(frozen=True, slots=True, kw_only=True)
class NormEvidence:
    """One normalization at one checkpoint; None where a figure does not apply or could not be measured.

    Medians are over channels, shares between 0 and 1. ``*_noise`` is what sampling alone gives at the 95 %
    level. ``momentum`` is the weight of the new value; ``coverage`` the weight of all batches seen in the
    moving average. ``elements`` counts the values in one statistic of one sample, ``effective_per_sample``
    how many of them are independent.
    """

    kind: str
    site: str | None = None
    position: str | None = None
    channels: int | None = None
    samples: int = 0
    eps: float = 0.0
    elements: int | None = None
    effective_per_sample: float | None = None
    momentum: float | None = None
    batches_tracked: int | None = None
    coverage: float | None = None
    frozen: bool = False
    uses_batch_statistics: bool = False
    has_statistics: bool = False
    never_updated: bool = False
    initial_affine: bool = False
    stale_mean: float | None = None
    stale_mean_noise: float | None = None
    stale_mean_share: float | None = None
    stale_variance: float | None = None
    stale_variance_noise: float | None = None
    stale_variance_share: float | None = None
    stale_distance: float | None = None
    discrepancy_mean: float | None = None
    discrepancy_mean_null: float | None = None
    discrepancy_variance: float | None = None
    discrepancy_variance_null: float | None = None
    discrepancy_samples: float | None = None
    gamma_collapsed_share: float | None = None
    gamma_all_zero: bool = False
    dead_after_relu_share: float | None = None
    eps_share: float | None = None
    eps_dominated_share: float | None = None
    tiny_variance_share: float | None = None
    outlier_dominance: float | None = None
    dropout_source: str | None = None
    dropout_variance_ratio: float | None = None
    redundant_bias: str | None = None
    follows_norm: str | None = None
    between_linear: tuple[str, str] | None = None


def norm_evidence(
    network: Network, norms: Mapping[str, Norm], summaries: Mapping[SiteKey, SiteSummary], weights: Weights
) -> dict[str, NormEvidence]:
    """Look at each normalization of ``norms`` (by module name) together with what its input held.

    ``summaries`` are of one checkpoint, ``weights`` by full name. A norm whose input was not measured gets
    what its own arrays say. A norm that is called more than once is judged by its first call.
    """
    graph = topology(network)
    places = {call.name: place for place, call in reversed(list(enumerate(graph.calls)))}
    found = {}
    for name, norm in norms.items():
        evidence = _own(norm)
        if name in places:
            evidence = _placed(evidence, norm, graph, places[name], summaries, weights)
        found[name] = evidence
    return found


def _own(norm: Norm) -> NormEvidence:
    """What the norm's own arrays say."""
    mean, variance, tracked = norm.running_mean, norm.running_var, norm.batches_tracked
    initial = mean is not None and variance is not None and not mean.any() and bool((variance == 1).all())
    gamma = None if norm.weight is None else np.abs(norm.weight)
    middle = 0.0 if gamma is None or not gamma.size else float(np.median(gamma))
    return NormEvidence(
        kind=norm.kind,
        eps=norm.eps,
        elements=norm.elements,
        momentum=norm.momentum,
        batches_tracked=tracked,
        coverage=None if tracked is None or norm.momentum is None else 1.0 - (1.0 - norm.momentum) ** tracked,
        frozen=norm.frozen,
        uses_batch_statistics=norm.uses_batch_statistics,
        has_statistics=mean is not None,
        never_updated=initial or (tracked == 0 and mean is not None),
        initial_affine=(norm.weight is None or bool(np.all(norm.weight == 1)))
        and (norm.bias is None or not norm.bias.any()),
        gamma_collapsed_share=float(np.mean(gamma < _COLLAPSED * middle)) if gamma is not None and middle > 0 else None,
        gamma_all_zero=gamma is not None and bool(gamma.size) and not gamma.any(),
    )


def _placed(
    evidence: NormEvidence, norm: Norm, graph: Topology, place: int,
    summaries: Mapping[SiteKey, SiteSummary], weights: Weights,
) -> NormEvidence:  # fmt: skip
    """Add what the norm's neighbours and its input say."""
    key = next((key for key in graph.inputs[place] if key in summaries), None)
    noise = dropout_noise(graph, place, summaries, weights) if norm.kind == "batch" else None
    placed = replace(
        evidence,
        dead_after_relu_share=_dead_after_relu(norm, graph, place),
        redundant_bias=_redundant_bias(norm, graph, place),
        follows_norm=_follows(graph, place),
        between_linear=_between_linear(norm, graph, place),
        dropout_source=noise.source if noise else None,
        dropout_variance_ratio=noise.ratio if noise else None,
    )
    return placed if key is None else _measured(placed, norm, key, summaries[key])


def _measured(evidence: NormEvidence, norm: Norm, key: SiteKey, summary: SiteSummary) -> NormEvidence:
    """Add what the norm's input held."""
    stale = staleness(norm, summary.moments) if not evidence.never_updated else None
    differs = discrepancy(norm, summary) if not evidence.never_updated else None
    variances = sample_variances(norm, summary.rows)
    if norm.kind == "batch":
        pooled = summary.moments.pooled()
        variances = pooled.variance[live_channels(pooled)]
    shares = None if variances is None or not variances.size else norm.eps / np.maximum(variances + norm.eps, 1e-300)
    return replace(
        evidence,
        site=key.site,
        position=key.position,
        channels=summary.channels,
        samples=summary.samples,
        effective_per_sample=effective_per_sample(summary),
        stale_mean=stale.mean if stale else None,
        stale_mean_noise=stale.mean_noise if stale else None,
        stale_mean_share=stale.mean_share if stale else None,
        stale_variance=stale.variance if stale else None,
        stale_variance_noise=stale.variance_noise if stale else None,
        stale_variance_share=stale.variance_share if stale else None,
        stale_distance=stale.distance if stale else None,
        discrepancy_mean=differs.mean if differs else None,
        discrepancy_mean_null=differs.mean_null if differs else None,
        discrepancy_variance=differs.variance if differs else None,
        discrepancy_variance_null=differs.variance_null if differs else None,
        discrepancy_samples=differs.samples if differs else None,
        eps_share=None if shares is None else float(np.median(shares)),
        eps_dominated_share=None if shares is None else float(np.mean(shares > 0.5)),
        tiny_variance_share=_tiny(norm, variances),
        outlier_dominance=outlier_dominance(norm, summary.rows),
    )


def _tiny(norm: Norm, variances: Float64 | None) -> float | None:
    if norm.kind not in {"group", "instance"} or variances is None:
        return None
    return float(np.mean(variances < 10 * norm.eps))


def _dead_after_relu(norm: Norm, graph: Topology, place: int) -> float | None:
    """Share of channels in front of a rectifier whose normalized value stays below 0 up to 3 deviations."""
    nexts = _inner_activations(graph, place) or [graph.calls[p] for p in graph.after[place]]
    if norm.weight is None or norm.kind == "rms" or not any(call.type in _RECTIFIERS for call in nexts):
        return None
    bias = norm.bias if norm.bias is not None else np.zeros_like(norm.weight)
    return float(np.mean(bias + _DEVIATIONS * np.abs(norm.weight) < 0))


def _inner_activations(graph: Topology, place: int) -> "list[Module]":
    """The activations that a normalization applies itself, as modules of its own."""
    name = graph.calls[place].name
    return [call for call in graph.calls if call.role == "activation" and call.name.startswith(f"{name}.")]


def _redundant_bias(norm: Norm, graph: Topology, place: int) -> str | None:
    """The layer whose bias the norm subtracts again, where nothing else reads that layer."""
    if norm.kind not in {"batch", "instance"}:
        return None
    for before in graph.before[place]:
        call = graph.calls[before]
        readers = [p for p in graph.after[before] if not graph.calls[p].dropout]
        if is_linear(call) and call.has_bias and readers == [place] and graph.outputs[before] in graph.inputs[place]:
            return call.name
    return None


def _follows(graph: Topology, place: int) -> str | None:
    """The normalization that gives the very tensor that this one reads."""
    read = graph.inputs[place]
    return next(
        (
            graph.calls[p].name
            for p in graph.before[place]
            if graph.calls[p].role == "norm" and graph.outputs[p] in read
        ),
        None,
    )


def _between_linear(norm: Norm, graph: Topology, place: int) -> tuple[str, str] | None:
    """The two layers that nothing but a BatchNorm separates, so that all three are one linear map."""
    if norm.kind != "batch" or graph.outputs[place] is None or _inner_activations(graph, place):
        return None
    before = [graph.calls[p] for p in graph.before[place] if graph.outputs[p] in graph.inputs[place]]
    after = [graph.calls[p] for p in graph.after[place] if graph.outputs[place] in graph.inputs[p]]
    if len(after) != 1 or not before or not is_linear(before[0]) or not is_linear(after[0]):
        return None
    return before[0].name, after[0].name


def is_linear(call: "Module") -> bool:
    """Whether a call is a linear layer or a convolution, in any engine's words."""
    return call.role == "layer" and any(call.type.startswith(word) for word in _LINEAR)
