"""Small made-up reports with the numbers that a budget looks at, and what judges them."""

import datetime as dt
from itertools import pairwise

from msgspec import structs

from covscan.config.policy import Budget, Policy
from covscan.gate.budgets import judge_budget
from covscan.report.types import (
    SCHEMA_VERSION,
    Checkpoint,
    Coverage,
    Data,
    Finding,
    Measure,
    Model,
    Report,
    Run,
    SameAs,
    Shift,
    Site,
    Statistics,
    Tool,
)

TODAY = dt.date(2026, 3, 1)
HEALTHY = Statistics(
    samples=512, count=51200, mean=0.0, std=1.0, min=-4.0, max=4.0, p1=-2.3, p5=-1.6, p15=-1.0, p25=-0.7, p50=0.0,
    p75=0.7, p85=1.0, p95=1.6, p99=2.3, kurtosis=3.0, zero_share=0.0, saturated_share=None, nonfinite_share=0.0,
    dead_channels=0.0, channel_scale=1.0, channel_mean_square=0.1, mean_to_variance=0.1, channel_heterogeneity=0.3,
    cross_sample_cosine=0.1, effective_rank=40.0, participation_ratio=30.0, conditioning=5.0, massive_activation=6.0,
)  # fmt: skip


def measure(value, low=None, high=None, noise=0.05, status=None):
    """A measure; a tenth around the value where no interval is given, none where ``low`` is False."""
    if value is None:
        return Measure(value=None, noise=None, low=None, high=None, significant=False, status=status)
    if low is False:
        return Measure(value=value, noise=noise, low=None, high=None, significant=False)
    low = value - abs(value) * 0.1 if low is None else low
    high = value + abs(value) * 0.1 if high is None else high
    return Measure(value=value, noise=noise, low=low, high=high, significant=True)


def statistics(**changes):
    return structs.replace(HEALTHY, **changes)


def site(name, position="output", *, same_as=None, by_checkpoint=None, points=("a", "b"), **changes):
    """A site; ``changes`` are of its statistics at every checkpoint, ``by_checkpoint`` says more of single ones."""
    return Site(
        site=name, position=position, type="Linear", role="layer", channels=8, channel_axis=1, shape=["N", 8], depth=0,
        same_as=SameAs(site=same_as[0], position=same_as[1]) if same_as else None, normalized_by=None,
        statistics={point: statistics(**changes, **(by_checkpoint or {}).get(point, {})) for point in points},
    )  # fmt: skip


def shift(name, start="a", to="b", position="output", **measures):
    return Shift(site=name, position=position, from_=start, to=to, measures=measures, channels_shifted=None)


def finding(code="COV201", severity="warning", where=None, *, position=None, suppressed=None):
    return Finding(
        code=code, name="made-up", severity=severity, site=where, position=position, message="made up", evidence={},
        suppressed=suppressed,
    )  # fmt: skip


def report(sites=(), shifts=(), findings=(), *, points=("a", "b"), samples=512, measured=None):
    checkpoints = [
        Checkpoint(id=name, step=10 * number, path=f"{name}.pt", sha256="0" * 64) for number, name in enumerate(points)
    ]
    return Report(
        schema_version=SCHEMA_VERSION,
        tool=Tool(name="covscan", version="0.1.0"),
        run=Run(started="2026-03-01T00:00:00Z", seconds=1.0, host="", command="", versions={}),
        model=Model(description="made up", engine="torch", parameters=1, device="cpu"),
        checkpoints=checkpoints,
        data=Data(description="made up", samples=samples, available=None, fingerprint="0" * 64, blocks=32, positions=32,
                  seed=0, masked=False),
        coverage=Coverage(measured=len(sites) if measured is None else measured, skipped=[], never_fired=[],
                          non_finite=[]),
        sites=list(sites),
        shifts=list(shifts),
        findings=list(findings),
        candidates=[],
        suggestions=[],
        notes=[],
    )  # fmt: skip


def moved(*values, name="gaussian_w2", noise=0.05, **more):
    """Sites l0, l1 ... that moved by these values, or by (value, low, high), from a to b."""
    shifts = []
    for number, value in enumerate(values):
        ends = value if isinstance(value, tuple) else (value,)
        shifts.append(shift(f"l{number}", **{name: measure(*ends, noise=noise)}))
    return report([site(f"l{number}") for number in range(len(values))], shifts, **more)


def walked(steps, name="gaussian_w2"):
    """One site over checkpoints a, b, c ...: its measures between neighbours, and from the first to the last."""
    points = tuple("abcdefgh"[: len(steps)])
    shifts = [
        shift("l0", start, to, **{name: measure(value)})
        for (start, to), value in zip(pairwise(points), steps[:-1], strict=True)
    ]
    shifts.append(shift("l0", points[0], points[-1], **{name: measure(steps[-1])}))
    return report([site("l0", points=points)], shifts, points=points)


def judge_one(made, budget=None, *, counting=(), min_samples=64, **fields):
    """The result of one budget."""
    return judge_budget("it", budget or Budget(**fields), made, counting, min_samples).result


def policy(**fields):
    """A policy without a preset; ``budgets`` as a mapping."""
    budgets = tuple(fields.pop("budgets", {}).items())
    return Policy(**{"preset": "none", "budgets": budgets, **fields})
