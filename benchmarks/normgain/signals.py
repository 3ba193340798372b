"""Every forward signal of a place as a plain number, so that other ways of combining them can be tried offline."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from places import bench_of

from covscan.prove.runs import AS_IT_IS, Bench
from covscan.report.types import Candidate, Report, Site

OF_THE_SITE = (
    "mean",
    "std",
    "kurtosis",
    "zero_share",
    "channel_scale",
    "channel_mean_square",
    "mean_to_variance",
    "channel_heterogeneity",
    "cross_sample_cosine",
    "effective_rank",
    "participation_ratio",
    "conditioning",
    "massive_activation",
    "saturated_share",
    "dead_channels",
)
OF_THE_CONSUMER = ("conditioning", "effective_rank", "mean_to_variance", "cross_sample_cosine", "channel_scale")
_BATCHES = 4


def signals(report: Report, candidate: Candidate) -> dict[str, Any] | None:
    """By checkpoint the statistics of the tensor, of what the next layer reads and of what lies between; the shifts.

    The next layer is the next one in order of execution, which in branched networks need not read this tensor.
    None for candidates that stand for no tensor.
    """
    sites = sorted(report.sites, key=lambda site: site.depth)
    position = "output" if candidate.position == "after" else "input"
    own = next((s for s in sites if (s.site, s.position) == (candidate.site, position)), None)
    if own is None:
        return None
    consumer = own if position == "input" else _next_layer(sites, own)
    between = [own, *(s for s in sites if consumer is not None and own.depth < s.depth < consumer.depth)]
    return {
        "depth": own.depth,
        "channels": own.channels,
        "type": own.type,
        "checkpoints": {
            checkpoint.id: {
                **_picked(own, checkpoint.id, OF_THE_SITE),
                **{f"next_{n}": v for n, v in _picked(consumer, checkpoint.id, OF_THE_CONSUMER).items()},
                "flat": _flat(between, checkpoint.id),
            }
            for checkpoint in report.checkpoints
        },
        "shifts": {
            name: _short(measure.value)
            for shift in report.shifts
            if (shift.site, shift.position) == (own.site, own.position)
            for name, measure in shift.measures.items()
        },
    }


def gradient_norms(number: int, paths: Sequence[Path]) -> dict[str, dict[str, dict[str, float]]]:
    """By checkpoint and layer, the norm of the loss's gradient by the layer's weights, also over the weights' own."""
    bench = bench_of(number, 1)
    found = {}
    for path in paths:
        bench.starts = [torch.load(path, weights_only=True)]
        with bench.session(0, AS_IT_IS):
            found[path.stem] = _gradients(bench)
    return found


def _gradients(bench: Bench) -> dict[str, dict[str, float]]:
    bench.model.zero_grad()
    draws = [draw for draw, _ in zip(bench.pool.draws(7), range(_BATCHES), strict=False)]
    for draw in draws:
        (bench.loss(draw) / len(draws)).backward()  # type: ignore[no-untyped-call]
    layers = {}
    for name, module in bench.model.named_modules():
        weights = [p for n, p in module.named_parameters(recurse=False) if "weight" in n and p.grad is not None]
        if weights:
            size = sum(float(p.grad.square().sum()) for p in weights if p.grad is not None) ** 0.5
            own = sum(float(p.detach().square().sum()) for p in weights) ** 0.5
            layers[name] = {
                "gradient_norm": _short(size) or 0.0,
                "gradient_to_weight": _short(size / (own or 1)) or 0.0,
            }
    return layers


def candidate_json(candidate: Candidate) -> dict[str, Any]:
    """What a tier says of a place."""
    gain = candidate.gain
    return {
        "site": candidate.site,
        "position": candidate.position,
        "norm": candidate.norm,
        "score": round(candidate.score, 5),
        "tier": candidate.tier,
        "verdict": candidate.verdict,
        "gain": None if gain is None else {"value": gain.value, "low": gain.low, "high": gain.high},
        "one_step": None if candidate.one_step is None else candidate.one_step.value,
        "ranks": {name: _short(rank) for name, rank in candidate.evidence.items()},
    }


def _next_layer(sites: Sequence[Site], own: Site) -> Site | None:
    return next((s for s in sites if s.depth > own.depth and s.position == "input" and s.role == "layer"), None)


def _picked(site: Site | None, checkpoint: str, names: Sequence[str]) -> dict[str, float | None]:
    statistics = None if site is None else site.statistics.get(checkpoint)
    return {name: None if statistics is None else _short(getattr(statistics, name)) for name in names}


def _flat(sites: Sequence[Site], checkpoint: str) -> float | None:
    """The largest share of saturated values or dead channels."""
    shares = [
        share
        for site in sites
        if (statistics := site.statistics.get(checkpoint)) is not None
        for share in (statistics.saturated_share, statistics.dead_channels)
        if share is not None
    ]
    return _short(max(shares, default=None))


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
