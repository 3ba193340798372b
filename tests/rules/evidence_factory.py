"""Small made-up evidence: a chain of modules with the statistics of a healthy layer, and whatever a test changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from msgspec import structs

from covscan.capture.types import Layout, Module, Network, SiteKey
from covscan.capture.types import Site as TappedSite
from covscan.measures.norms import NormEvidence
from covscan.report.types import (
    Checkpoint,
    Comparison,
    Coverage,
    Data,
    Measure,
    Model,
    Shift,
    Side,
    Site,
    Skipped,
    Statistics,
)
from covscan.rules.evidence import Evidence

HEALTHY = Statistics(
    samples=512, count=51200, mean=0.0, std=1.0, min=-4.0, max=4.0, p1=-2.3, p5=-1.6, p15=-1.0, p25=-0.7, p50=0.0,
    p75=0.7, p85=1.0, p95=1.6, p99=2.3, kurtosis=3.0, zero_share=0.0, saturated_share=0.0, nonfinite_share=0.0,
    dead_channels=0.0, channel_scale=1.0, channel_mean_square=0.1, mean_to_variance=0.1, channel_heterogeneity=0.3,
    cross_sample_cosine=0.1, effective_rank=40.0, participation_ratio=30.0, conditioning=5.0, massive_activation=6.0,
)  # fmt: skip
NOTHING = Measure(value=0.0, noise=0.05, low=0.0, high=0.01, significant=False)
MEASURES = (
    "standardized_mean_difference", "log_variance_ratio", "absolute_log_variance_ratio", "gaussian_w2", "wasserstein_1",
    "kolmogorov_smirnov", "linear_cka_distance", "effective_rank", "excess_shift",
)  # fmt: skip

LAYERS = ("Linear", "Conv", "LSTM", "GRU", "Embedding")
NORMS = ("BatchNorm", "LayerNorm", "GroupNorm", "RMSNorm", "InstanceNorm")


@dataclass(frozen=True)
class Call:
    """A module of the chain; ``fresh`` gives it an input that no module gave, as a functional operation does."""

    name: str
    type: str
    channels: int = 64
    fresh: bool = False
    changes: Mapping[str, Any] | None = None
    shape: tuple[int | str, ...] | None = None
    dropout: float | None = None


def role(kind: str) -> str:
    if kind.startswith(NORMS):
        return "norm"
    if kind.startswith(LAYERS):
        return "layer"
    if kind == "Block":
        return "block"
    return "other" if kind.startswith(("Dropout", "MaxPool")) else "activation"


def mlp(depth: int = 3, activation: str = "ReLU", norm: str | None = None) -> list[Call]:
    """fc1, act1 ... fcN, actN, head, with ``norm`` between layer and activation."""
    calls = []
    for number in range(1, depth + 1):
        calls.append(Call(f"fc{number}", "Linear"))
        if norm:
            calls.append(Call(f"norm{number}", norm))
        calls.append(Call(f"act{number}", activation))
    return [*calls, Call("head", "Linear", channels=10)]


def moved(value: float, *, significant: bool = True, noise: float = 0.05) -> Measure:
    return Measure(value=value, noise=noise, low=value - 0.02, high=value + 0.02, significant=significant)


def evidence(
    calls: Sequence[Call] | None = None,
    *,
    steps: Sequence[int | None] = (0, 100),
    statistics: Mapping[str, Mapping[str, Any]] | None = None,
    at_first: Mapping[str, Mapping[str, Any]] | None = None,
    shifts: Mapping[str, Mapping[str, Measure]] | None = None,
    step_shifts: Mapping[str, Mapping[str, Measure]] | None = None,
    norms: Mapping[str, NormEvidence] | None = None,
    logits: Mapping[str, float] | None = None,
    first_logits: Mapping[str, float] | None = None,
    engine: str = "torch",
    masked: bool = False,
    samples: int = 512,
    skipped: Sequence[Skipped] = (),
    never_fired: Sequence[str] = (),
    notes: Sequence[str] = (),
    **other: Any,
) -> Evidence:
    """Evidence over a chain of ``calls``.

    ``statistics`` and ``at_first`` change fields of a site's statistics, at the last checkpoint (and all others) and at
    the first one; sites are named ``fc1`` (output) or ``fc1.in``. ``shifts`` are first to last, ``step_shifts`` between
    neighbours.
    """
    names = [f"step-{step if step is not None else number}" for number, step in enumerate(steps)]
    checkpoints = [
        Checkpoint(id=name, step=step, path=f"{name}.pt", sha256="0" * 64)
        for name, step in zip(names, steps, strict=True)
    ]
    tapped, modules = _network(calls if calls is not None else mlp())
    for name in logits or {}:
        key = SiteKey(name, "logits")
        shape = ("N", 4, 8, 8)
        tapped.append(TappedSite(key, "Attention", "attention", Layout(1), 4, shape, len(tapped)))
    sites = [_site(site, names, statistics or {}, at_first or {}, logits or {}, first_logits or {}) for site in tapped]
    pairs = [(names[0], name) for name in names[1:]]
    pairs += [(a, b) for a, b in pairwise(names) if a != names[0]]
    return Evidence(
        model=Model(description="made up", engine=engine, parameters=1000, device="cpu"),
        checkpoints=checkpoints,
        data=Data(description="made up", samples=samples, available=None, fingerprint="0" * 64, blocks=32, positions=32,
                  seed=0, masked=masked),
        coverage=Coverage(measured=len(sites), skipped=list(skipped), never_fired=list(never_fired), non_finite=[]),
        sites=sites,
        shifts=[_shift(site, pair, names, shifts or {}, step_shifts or {}) for site in sites for pair in pairs],
        network=Network(tuple(tapped), tuple(modules), (), tuple(never_fired), notes=tuple(notes)),
        norms={name: dict(norms or {}) for name in names},
        **other,
    )  # fmt: skip


def _network(calls: Sequence[Call]) -> tuple[list[TappedSite], list[Module]]:
    tapped: list[TappedSite] = []
    modules: list[Module] = []
    previous: SiteKey | None = None
    channels = 64
    for call in calls:
        shape = call.shape or ("N", call.channels)
        axis = 1 if len(shape) == 2 or call.type.startswith(("Conv", "BatchNorm")) else len(shape) - 1
        made, what = Layout(axis), role(call.type)
        if what == "block":
            key = SiteKey(call.name, "output")
            tapped.append(TappedSite(key, call.type, "block", made, call.channels, shape, len(tapped)))
            modules.append(Module(call.name, call.type, "block", len(modules), (), key))
            previous = key
            continue
        into = SiteKey(call.name, "input")
        read = previous if previous is not None and not call.fresh else into
        if read == into:
            before = (*shape[:axis], channels, *shape[axis + 1 :])
            tapped.append(TappedSite(into, call.type, what, made, channels, before, len(tapped)))
        elif what != "other":
            tapped.append(TappedSite(into, call.type, what, made, channels, shape, len(tapped), same_as=read))
        key = read if what == "other" else SiteKey(call.name, "output")
        if what != "other":
            tapped.append(TappedSite(key, call.type, what, made, call.channels, shape, len(tapped)))
        inputs = (read,) if what == "other" else (into,)
        modules.append(
            Module(call.name, call.type, what, len(modules), inputs, key, has_parameters=what in {"layer", "norm"},
                   has_bias=what == "layer", dropout=call.dropout)
        )  # fmt: skip
        previous, channels = key, call.channels
    return tapped, modules


def _site(
    site: TappedSite, names: Sequence[str], changes: Mapping[str, Mapping[str, Any]],
    first: Mapping[str, Mapping[str, Any]], logits: Mapping[str, float], first_logits: Mapping[str, float],
) -> Site:  # fmt: skip
    own = site.same_as or site.key
    label = {"output": own.site, "input": f"{own.site}.in", "logits": f"{own.site}.logits"}[own.position]
    base = structs.replace(HEALTHY, **changes.get(label, {}))
    start = structs.replace(base, **first.get(label, {}))
    if own.position == "logits":
        base = structs.replace(HEALTHY, max=logits[own.site])
        start = structs.replace(HEALTHY, max=first_logits.get(own.site, logits[own.site]))
    same = {"site": own.site, "position": own.position} if site.same_as else None
    from covscan.report.types import SameAs

    return Site(
        site=site.key.site, position=site.key.position, type=site.type, role=site.role, channels=site.channels,
        channel_axis=site.layout.channel_axis, shape=list(site.shape), depth=site.depth,
        same_as=SameAs(**same) if same else None, normalized_by=None,
        statistics={name: start if place == 0 and len(names) > 1 else base for place, name in enumerate(names)},
    )  # fmt: skip


def _shift(
    site: Site, pair: tuple[str, str], names: Sequence[str], shifts: Mapping[str, Mapping[str, Measure]],
    steps: Mapping[str, Mapping[str, Measure]],
) -> Shift:  # fmt: skip
    whole = pair == (names[0], names[-1])
    named = (shifts if whole else steps).get(site.site if site.position == "output" else f"{site.site}.in", {})
    measures = dict.fromkeys(MEASURES, NOTHING) | dict(named)
    return Shift(
        site=site.site, position=site.position, from_=pair[0], to=pair[1], measures=measures, channels_shifted=0.0
    )


def two_sides(kind: str, *, mapped: Sequence[int] | None = None, **other: Any) -> Evidence:
    """Evidence of two data sets or two models, which stand under step-0 and step-100."""
    made = evidence(**other)
    sides = [Side(id=checkpoint.id, model=made.model, data=made.data) for checkpoint in made.checkpoints]
    compared = Comparison(
        kind=kind, sentence="made up", paired=kind == "models", sides=sides, mapped=list(mapped) if mapped else None
    )
    return replace(made, comparison=compared)


def batchnorm(**changes: Any) -> NormEvidence:
    """A BatchNorm as it should be."""
    known: dict[str, Any] = {
        "kind": "batch", "site": "norm1", "position": "input", "channels": 64, "samples": 512, "eps": 1e-5,
        "elements": 1, "effective_per_sample": 1.0, "momentum": 0.1, "batches_tracked": 1000, "coverage": 1.0,
        "has_statistics": True,
        "stale_mean": 0.03, "stale_mean_noise": 0.08, "stale_mean_share": 0.0, "stale_variance": 0.05,
        "stale_variance_noise": 0.12, "stale_variance_share": 0.0, "stale_distance": 0.05, "discrepancy_mean": 0.15,
        "discrepancy_mean_null": 0.14, "discrepancy_variance": 0.1, "discrepancy_variance_null": 0.1,
        "discrepancy_samples": 32.0, "gamma_collapsed_share": 0.0, "dead_after_relu_share": 0.0, "eps_share": 1e-5,
        "eps_dominated_share": 0.0,
    }  # fmt: skip
    return NormEvidence(**(known | changes))


def per_sample(kind: str, **changes: Any) -> NormEvidence:
    """A LayerNorm, RMSNorm, GroupNorm or InstanceNorm as it should be."""
    known: dict[str, Any] = {
        "kind": kind, "site": "norm1", "position": "input", "channels": 64, "samples": 512, "eps": 1e-5, "elements": 64,
        "gamma_collapsed_share": 0.0, "eps_share": 1e-5, "eps_dominated_share": 0.0, "tiny_variance_share": 0.0,
        "outlier_dominance": 0.1,
    }  # fmt: skip
    return NormEvidence(**(known | changes))
