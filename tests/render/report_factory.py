"""Reports as covscan would write them, of several kinds of run; no measurement is needed to make one."""

import datetime as dt
import math
import random

from msgspec import structs

from covscan.config.policy import Budget, Policy, Suppression
from covscan.gate import judge
from covscan.report.gate import BaselineResult, BudgetResult, Gate, Regression
from covscan.report.training import Gain, Gradients, GradientShift, Landscape, LayerGradient, Trials
from covscan.report.types import (
    SCHEMA_VERSION,
    Candidate,
    Checkpoint,
    Comparison,
    Coverage,
    Data,
    Finding,
    Measure,
    Model,
    Renamed,
    Report,
    Run,
    SameAs,
    Shift,
    Side,
    Site,
    Skipped,
    SourceLine,
    Statistics,
    Suggestion,
    Tool,
)

PATCH = """\
class Patched(nn.Sequential):
    def __init__(self, module):
        super().__init__(module, nn.BatchNorm1d(100))

model.fc3 = Patched(model.fc3)
"""


def statistics(rng, status=None, **overrides):
    mean, std = rng.gauss(0, 1), rng.uniform(0.2, 2)
    quantiles = {
        "p1": -2.3,
        "p5": -1.6,
        "p15": -1,
        "p25": -0.7,
        "p50": 0,
        "p75": 0.7,
        "p85": 1,
        "p95": 1.6,
        "p99": 2.3,
    }
    found = {
        "samples": 512,
        "count": 51200,
        "mean": mean,
        "std": std,
        "min": mean - 4 * std,
        "max": mean + 4 * std,
        **{name: mean + z * std for name, z in quantiles.items()},
        "kurtosis": 3.1,
        "zero_share": 0.0,
        "saturated_share": None,
        "nonfinite_share": 0.0,
        "dead_channels": 0.0,
        "channel_scale": std**2,
        "channel_mean_square": mean**2,
        "mean_to_variance": mean**2 / std**2,
        "channel_heterogeneity": 0.4,
        "cross_sample_cosine": 0.3,
        "effective_rank": 31.4,
        "participation_ratio": 12.7,
        "conditioning": 9.9,
        "massive_activation": 12.0,
        "status": status,
    }
    return Statistics(**(found | overrides))


def measure(value, noise=0.06, significant=None, status=None):
    if value is None:
        return Measure(value=None, noise=None, low=None, high=None, significant=False, status=status)
    clear = value > 0.2 and value * 0.9 > noise if significant is None else significant
    return Measure(value=value, noise=noise, low=value * 0.9, high=value * 1.1, significant=clear)


def checkpoint(step, stem="ckpt"):
    return Checkpoint(id=f"{stem}-{step:05}", step=step, path=f"runs/{stem}-{step:05}.pt", sha256=f"{step:064x}")


def site(
    name,
    depth,
    kind="Linear",
    position="output",
    role="layer",
    channels=100,
    same_as=None,
    shape=None,
    **more,
):
    return Site(
        site=name,
        position=position,
        type=kind,
        role=role,
        channels=channels,
        channel_axis=1,
        shape=shape or ["N", channels],
        depth=depth,
        same_as=same_as,
        normalized_by=more.get("normalized_by"),
        statistics={},
        source=more.get("source"),
    )


def with_statistics(sites, checkpoints, rng, **overrides):
    return [
        Site(
            **{name: getattr(one, name) for name in one.__struct_fields__ if name != "statistics"},
            statistics={point.id: statistics(rng, **overrides.get(one.site, {})) for point in checkpoints},
        )
        for one in sites
    ]


def shifts(sites, checkpoints, size_of):
    """First to each and each to the next; ``size_of(site, fraction of the run)`` is the W2 distance since the first."""
    pairs = [(0, to) for to in range(1, len(checkpoints))]
    pairs += [(at, at + 1) for at in range(1, len(checkpoints) - 1) if len(checkpoints) < 10]
    found = []
    for one in (one for one in sites if one.same_as is None):
        for start, end in pairs:
            value = 1.0 * abs(size_of(one, end / (len(checkpoints) - 1)) - size_of(one, start / (len(checkpoints) - 1)))
            measures = {
                "gaussian_w2": measure(value),
                "standardized_mean_difference": measure(value * 0.8),
                "ks": measure(min(value / 3, 1.0), noise=0.04),
                "linear_cka": measure(None, status="fewer than 4 rows"),
            }
            if start == 0 and end == len(checkpoints) - 1:
                measures["excess_shift"] = measure(value if one.site == "fc3" else value / 20)
            found.append(
                Shift(
                    site=one.site,
                    position=one.position,
                    from_=checkpoints[start].id,
                    to=checkpoints[end].id,
                    measures=measures,
                    channels_shifted=min(value / 2, 1.0),
                )
            )
    return found


def report(checkpoints, sites, moved=(), **more):
    parts = {
        "schema_version": SCHEMA_VERSION,
        "tool": Tool(name="covscan", version="0.1.0"),
        "run": Run(
            started="2026-03-01T12:00:00Z",
            seconds=12.25,
            host="build-7",
            command="covscan analyze --model nets.py:plain --data sample.npz runs/",
            versions={"python": "3.11.9", "torch": "2.13.0"},
        ),
        "model": Model(description="nets.py:plain", engine="torch", parameters=28710, device="cpu"),
        "checkpoints": checkpoints,
        "data": Data(
            description="sample.npz, 2 arrays",
            samples=512,
            available=1797,
            fingerprint="ab" * 32,
            blocks=16,
            positions=32,
            seed=0,
            masked=False,
        ),
        "coverage": Coverage(measured=len(sites), skipped=[], never_fired=[], non_finite=[]),
        "sites": sites,
        "shifts": list(moved),
        "findings": [],
        "candidates": [],
        "suggestions": [],
        "notes": [],
    }
    return Report(**(parts | more))


def finding(code, name, severity, where, message, position="output"):
    return Finding(
        code=code,
        name=name,
        severity=severity,
        site=where,
        position=position if where else None,
        message=message,
        evidence={"value": 1.5},
    )


def candidate(where, score, norm="BatchNorm1d"):
    signals = {
        "conditioning": score,
        "cross_sample_cosine": score * 0.9,
        "log_variance": 0.2,
        "attention": None,
    }
    return Candidate(site=where, position="after", norm=norm, score=score, evidence=signals, runner_up="LayerNorm")


def digits():
    """Three hidden layers of sigmoids: the third is the source of a large shift and gets a suggestion."""
    rng = random.Random(1)
    points = [checkpoint(step) for step in (0, 10, 30, 100, 300, 1000, 3000, 10000)]
    sites = []
    for layer in (1, 2, 3):
        sites.append(
            site(
                f"fc{layer}",
                3 * layer,
                position="input",
                same_as=SameAs(site=f"act{layer - 1}", position="output") if layer > 1 else None,
            )
        )
        sites.append(site(f"fc{layer}", 3 * layer + 1))
        sites.append(site(f"act{layer}", 3 * layer + 2, kind="Sigmoid", role="activation"))
    sites.append(site("head", 12, channels=10))
    sizes = {"fc1": 0.45, "act1": 0.1, "fc2": 0.7, "act2": 0.55, "fc3": 2.4, "act3": 1.4, "head": 0.9}

    def size_of(one, fraction):
        return 0 if one.position == "input" else sizes[one.site] * fraction**0.5

    measured = with_statistics(sites, points, rng, act1={"saturated_share": 0.02}, act3={"saturated_share": 0.371})
    return report(
        points,
        measured,
        shifts(sites, points, size_of),
        coverage=Coverage(
            measured=10,
            skipped=[
                Skipped(site="embed", reason="the output is made of integers"),
                Skipped(site="position_ids", reason="the output is made of integers"),
                Skipped(site="loss", reason="the output has no sample axis", checkpoint="ckpt-00300"),
            ],
            never_fired=["head.dropout"],
            non_finite=[],
        ),
        findings=[
            finding(
                "COV110",
                "few-samples",
                "info",
                None,
                "512 samples resolve shifts of 0.1 standard deviations and more",
            ),
            finding(
                "COV203",
                "large-shift",
                "warning",
                "fc3",
                "moved by 2.4 standard deviations since step 0, 40 times its noise of 0.06, and most of it is its own",
            ),
            finding(
                "COV204",
                "saturation",
                "warning",
                "act3",
                "37 % of its values lie where the sigmoid is flat, against 2 % at step 0",
            ),
            finding(
                "COV203",
                "large-shift",
                "warning",
                "act3",
                "moved by 1.4 standard deviations since step 0, inherited from fc3",
            ),
        ],
        candidates=[
            candidate(name, score)
            for name, score in (
                ("fc3", 0.84),
                ("fc2", 0.51),
                ("act2", 0.47),
                ("fc1", 0.2),
                ("act1", 0.12),
                ("head", 0.1),
            )
        ],
        suggestions=[
            Suggestion(
                rank=1,
                site="fc3",
                position="after",
                norm="BatchNorm1d",
                score=0.84,
                reason="its shift is its own and large, its consumer is badly conditioned, and batches of 60 are "
                "enough for batch statistics",
                confidence="low",
                tier="forward",
                evidence={"shift": 2.4},
                patch=PATCH,
                runner_up="LayerNorm",
            )
        ],
        notes=["Checkpoints are in the order of the steps that their files hold."],
    )


def single():
    """One checkpoint."""
    rng = random.Random(2)
    points = [checkpoint(500)]
    sites = [
        site("conv1", 0, "Conv2d", channels=8),
        site("relu1", 1, "ReLU", role="activation"),
        site("fc", 2),
    ]
    measured = with_statistics(
        sites,
        points,
        rng,
        relu1={"zero_share": 0.48, "dead_channels": 0.125},
        fc={"mean": None, "std": None, "p15": None, "p50": None, "p85": None, "status": "no finite value"},
    )
    return report(points, measured)


def quiet():
    """Two checkpoints without a step between which nothing moved, and every sample was read."""
    rng = random.Random(3)
    points = [
        Checkpoint(id=name, step=None, path=f"{name}.onnx", sha256="0" * 64)
        for name in ("before-finetune", "after-finetune")
    ]
    sites = [
        site("/conv/Conv_output_0", 0, "Conv"),
        site("/relu/Relu_output_0", 1, "Relu", role="activation"),
    ]
    data = Data(
        description="x.npy",
        samples=64,
        available=64,
        fingerprint="cd" * 32,
        blocks=8,
        positions=None,
        seed=3,
        masked=True,
    )
    moved = [
        Shift(
            site=one.site,
            position="output",
            from_=points[0].id,
            to=points[1].id,
            measures={"standardized_mean_difference": measure(0.25, noise=0.4)},
            channels_shifted=0.0,
        )
        for one in sites
    ]
    model = Model(description="epoch.onnx", engine="onnx", parameters=None, device="cpu")
    return report(points, with_statistics(sites, points, rng), moved, data=data, model=model)


def deep(layers=48, steps=12):
    """A transformer with long names, many checkpoints, folded rows, and a finding on many sites."""
    rng = random.Random(4)
    points = [checkpoint(1000 * step * step, "transformer") for step in range(steps)]
    sites = [site("embeddings.word_embeddings", 0, "Embedding", shape=["N", 128, 768], channels=768)]
    for layer in range(layers // 4):
        root = f"encoder.layer.{layer}"
        for place, (name, kind) in enumerate(
            (
                ("attention.self.query", "Linear"),
                ("attention.output.dense", "Linear"),
                ("intermediate.dense", "Linear"),
                ("output.LayerNorm", "LayerNorm"),
            )
        ):
            sites.append(site(f"{root}.{name}", 1 + 4 * layer + place, kind, channels=768, shape=["N", 128, 768]))

    def size_of(one, fraction):
        loud = one.depth > 30 and one.depth % 4 == 3
        return (one.depth / 30 if loud else 0.05) * math.sin(fraction * 2)

    return report(
        points,
        with_statistics(sites, points, rng),
        shifts(sites, points, size_of),
        findings=[
            finding("COV201", "shift", "warning", one.site, "moved by more than the noise, late in training")
            for one in sites
            if one.depth > 20
        ]
        + [finding("COV101", "non-finite", "error", sites[-1].site, "NaN in 3 of 512 samples at step 121000")],
        coverage=Coverage(
            measured=len(sites),
            skipped=[],
            never_fired=[f"encoder.layer.{n}.dropout" for n in range(7)],
            non_finite=[sites[-1].site],
        ),
        candidates=[candidate(one.site, 0.9 - one.depth / 100, "RMSNorm") for one in sites],
    )


BLOCK = {
    "attention.qkv": ("Linear", "layer"),
    "attention.out": ("Linear", "layer"),
    "norm1": ("LayerNorm", "norm"),
    "mlp.up": ("Linear", "layer"),
    "mlp.act": ("GELU", "activation"),
    "mlp.down": ("Linear", "layer"),
    "norm2": ("LayerNorm", "norm"),
    "drop": ("Dropout", "other"),
    "": ("Block", "block"),
}
ALL_MEASURES = [
    "standardized_mean_difference",
    "log_variance_ratio",
    "absolute_log_variance_ratio",
    "gaussian_w2",
    "wasserstein_1",
    "kolmogorov_smirnov",
    "population_stability_index",
    "jensen_shannon",
    "linear_cka_distance",
    "effective_rank",
    "shift_per_weight_movement",
    "excess_shift",
    "excess_mean_difference",
    "excess_log_variance_ratio",
]


def wide(layers, steps):
    """As many figures as a run has: every measure of each pair, first to each and each to next, none like another."""
    rng = random.Random(9)
    points = [checkpoint(1000 * step) for step in range(steps)]
    sites = []
    for number in range(layers):
        block, place = divmod(number, len(BLOCK))
        name, (kind, role) = list(BLOCK.items())[place]
        root = f"encoder.stage{block // 12}.blocks.{block % 12}"
        sites.append(site(f"{root}.{name}".rstrip("."), number, kind, role=role))
    pairs = [(0, to) for to in range(1, steps)] + [(at, at + 1) for at in range(1, steps - 1)]

    def measured(size):
        value, noise = size * rng.uniform(0.5, 1.5), rng.uniform(0.02, 0.09)
        low, high = value * rng.uniform(0.8, 0.95), value * rng.uniform(1.05, 1.2)
        return Measure(value=value, noise=noise, low=low, high=high, significant=value > 0.2 and low > noise)

    moved = []
    for one in sites:
        loud = rng.lognormvariate(-1.2, 0.9)
        for start, end in pairs:
            size = loud * ((end - start) / steps) ** 0.5
            measures = {name: measured(size) for name in ALL_MEASURES}
            ids = {"from_": points[start].id, "to": points[end].id}
            moved.append(Shift(site=one.site, position="output", measures=measures, channels_shifted=0.3, **ids))
    linear = [one.site for one in sites if one.type == "Linear"]
    return report(
        points,
        with_statistics(sites, points, rng),
        moved,
        findings=[
            finding("COV201", "mean-shift", "warning", one.site, f"means moved by {one.depth / 7:.3g} sd at {one.site}")
            for one in sites[::7]
        ],
        candidates=[candidate(one.site, rng.random()) for one in sites],
        gradients=slopes(points, linear[:20]),
    )


HOSTILE = [
    "a\x1b[31mred\x1b[0m",
    "line\nbreak\ttab",
    "[bold]markup[/bold]",
    "pipe|tick`two``end",
    "</td><script>alert(1)</script>",
    "right\u202eleft",
    "層.畳み込み",
    "*star*_under_#2",
    "\n::error title=x::injected%0A::error::",
    '=1+1,"@SUM"',
    "back\\slash {0} [link](http://x) ]]>",
    "</script><img src=x onerror=1>",
    "' onmouseover='x",
]


def hostile():
    """Names and messages that try to be something else."""
    rng = random.Random(5)
    points = [
        Checkpoint(id="a|b\x1b[2J", step=None, path="a", sha256="0" * 64),
        Checkpoint(id="[red]c", step=None, path="c", sha256="1" * 64),
        Checkpoint(id="very-long-name-of-a-checkpoint-that-goes-on", step=None, path="d", sha256="2" * 64),
    ]
    sites = [site(name, depth) for depth, name in enumerate(HOSTILE)]
    return report(
        points,
        with_statistics(sites, points, rng),
        shifts(sites, points, lambda one, fraction: 0.3 * (one.depth + 1) * fraction),
        findings=[
            finding("COV203", "large-shift", "warning", name, f"{name} moved <b>much</b> | [red]") for name in HOSTILE
        ],
        candidates=[candidate(HOSTILE[3], 0.5)],
        coverage=Coverage(
            measured=8,
            skipped=[Skipped(site=name, reason="\x1b]0;title\x07 | reason") for name in HOSTILE],
            never_fired=HOSTILE,
            non_finite=HOSTILE,
        ),
        notes=["note\x1b[31m with `ticks` and <tags>"],
    )


def nothing():
    """Everything was skipped."""
    points = [checkpoint(0), checkpoint(100)]
    coverage = Coverage(
        measured=0,
        skipped=[Skipped(site="net", reason="never returned a tensor")],
        never_fired=[],
        non_finite=[],
    )
    return report(points, [], coverage=coverage)


def gain(value, reach=0.06):
    return Gain(value=value, low=value - reach, high=min(1.0, value + reach))


def slopes(points, layers):
    """What gradients say: the first layer's vanish, and the last step nearly diverges."""
    return Gradients(
        layers=[
            LayerGradient(
                layer=name,
                checkpoint=point.id,
                gradient_norm=0.01 * 4**place,
                gradient_rms=0.001 * 4**place,
                weight_norm=5.0,
                relative_gradient=0.002 * 4**place,
                update_ratio=0.0002 * 4**place,
                gradient_noise=0.7,
                scale_invariance=0.1,
            )
            for point in points
            for place, name in enumerate(layers)
        ],
        shifts=[
            GradientShift(
                layer=name,
                from_=points[0].id,
                to=points[-1].id,
                relative=0.9 if name == layers[-1] else 0.1,
                cosine=0.4 if name == layers[-1] else 0.98,
                noise=0.3,
                significant=name == layers[-1],
            )
            for name in layers
        ],
        landscapes=[
            Landscape(
                checkpoint=points[-1].id,
                rate=0.1,
                rate_known=True,
                loss=1.9,
                loss_after=1.8,
                loss_low=1.7,
                loss_high=2.1,
                predictiveness=0.5,
                effective_smoothness=3.0,
                sharpness=17.0,
                sharpness_error=0.5,
                stability=0.85,
            )
        ],
        loss_by_checkpoint={points[0].id: 2.31, points[-1].id: 1.9},
        batch_size=32,
        batches=4,
        forwards=120,
    )


def trained():
    """Short trainings: one place helps for sure, one may, one harms, and one was tried for one step alone."""
    rng = random.Random(6)
    points = [checkpoint(0), checkpoint(100)]
    sites = [site(name, depth) for depth, name in enumerate(("fc1", "fc2", "fc3", "head"))]
    best = {"gain": gain(0.41), "gain_at_rate": gain(0.28), "one_step": gain(0.12), "runner_up": "LayerNorm"}

    def tried(where, score, verdict, **more):
        return structs.replace(candidate(where, score), verdict=verdict, **({"tier": "trial"} | more))

    return report(
        points,
        with_statistics(sites, points, rng),
        shifts(sites, points, lambda one, fraction: 0.1 * fraction),
        findings=[finding("COV501", "candidate", "info", "fc3", "BatchNorm1d behind fc3 is worth trying")],
        candidates=[
            tried("fc3", 0.71, "recommended", **best),
            tried("fc2", 0.52, "worth testing", gain=gain(0.04), gain_at_rate=gain(0.0), one_step=gain(0.02)),
            tried("fc1", 0.4, "would likely harm", gain=gain(-0.2), gain_at_rate=gain(-0.3), one_step=gain(-0.004)),
            tried("head", 0.3, "no evidence", tier="probe", one_step=Gain(value=0.0, low=None, high=None)),
            tried("act1", 0.0, None, tier="forward"),
        ],
        suggestions=[
            Suggestion(
                rank=1,
                site="fc3",
                position="after",
                norm="BatchNorm1d",
                score=0.71,
                reason="Trained from the start for 90 steps with 3 seeds, it changes the area under the training loss "
                "by -41 % [-47, -35] at the best learning rate (0.3162), at your own rate by -28 % [-34, -22].",
                confidence="high",
                tier="trial",
                evidence={"horizon": 90, "seeds": 3},
                patch=PATCH,
                verdict="recommended",
                gain_of_fixed_affine=gain(0.2),
                stays_first=0.963,
                exchangeable_with=["before head"],
                **{name: value for name, value in best.items() if name != "one_step"},
            )
        ],
        gradients=slopes(points, ["fc1", "fc2", "fc3", "head"]),
        trials=Trials(
            tier="trial",
            intervention="from the start",
            start="the weights of ckpt-00000 (step 0) and 2 initializations of the factory's",
            loss="cross_entropy",
            optimizer="sgd",
            rate=0.1,
            best_rate=0.3162,
            batch_size=32,
            samples=1797,
            everywhere=gain(0.52),
            last_only=gain(0.41),
            rivals={"warm-up": gain(0.02), "a larger learning rate": gain(0.11)},
            area_steps=150,
            curve_without=[2.3, 2.28, 2.25, 2.2],
            curve_with=[2.3, 2.0, 1.6, 1.2],
            steps=9876,
            forwards=321,
            budget=22500,
        ),
        notes=["Gains are changes of the area under the training loss in short trainings."],
    )


def gated():
    """A gate that fails: every outcome of a budget, a regression, and a suppression of each kind."""
    budgets = {
        "worst-shift": Budget(measure="gaussian_w2", max=1.0),
        "median-shift": Budget(measure="gaussian_w2", over="median", max=0.6, level="warn"),
        "own-shift": Budget(measure="excess_shift", sites=["fc[12]"], max=0.034),
        "shifted-sites": Budget(measure="gaussian_w2", over="share", beyond=0.5, max=0.5, level="warn"),
        "embedding": Budget(measure="gaussian_w2", sites=["embedding"], max=1.0, level="warn"),
        "saturated": Budget(statistic="saturated_share", max=0.5),
        "spread": Budget(statistic="std", over="median", min=0.1, max=10.0),
        "misused-norms": Budget(findings=["COV4*"], severity="warning", max=0.0),
        "dead-units": Budget(level="off", findings=["COV216"], severity="warning", max=0.0),
    }
    suppressions = (
        Suppression(
            codes=["COV204"], sites=["act3"], reason="gates are meant to be sure", expires=dt.date(2026, 6, 30)
        ),
        Suppression(codes=["COV216"], reason="sparse on purpose"),
        Suppression(codes=["COV203"], sites=["fc*"], reason="until the new schedule", expires=dt.date(2026, 1, 31)),
    )
    policy = Policy(
        fail_on="warning",
        preset="none",
        ignore=("COV110",),
        budgets=tuple(budgets.items()),
        suppressions=suppressions,
        config="covscan.toml",
    )
    regression = Regression(
        site="fc3",
        position="output",
        subject="gaussian_w2",
        span="first-to-last",
        baseline=1.2,
        value=2.4,
        tolerance=0.1,
    )
    baseline = BaselineResult(
        source="main:covscan-baseline.json",
        status="compared",
        reasons=["the baseline was measured with torch 2.12"],
        compared=42,
        improved=2,
        added=["head (output)"],
        missing=[],
        regressions=[regression],
    )
    return judge(digits(), policy, dt.date(2026, 3, 1), baseline)


def inconclusive():
    """A gate that can't tell: one checkpoint has no shift, and there is no baseline."""
    policy = Policy(preset="none", budgets=(("worst-shift", Budget(measure="gaussian_w2", max=1.0)),))
    baseline = BaselineResult(
        source="covscan-baseline.json",
        status="absent",
        reasons=["there is no such file"],
        compared=0,
        improved=0,
        added=[],
        missing=[],
        regressions=[],
    )
    return judge(single(), policy, dt.date(2026, 3, 1), baseline)


def budget(name, outcome, **more):
    parts = {
        "level": "off" if outcome == "off" else "warn" if outcome == "warned" else "error",
        "subject": "gaussian_w2",
        "over": "worst",
        "max": 0.5,
        "min": None,
        "value": 1.2,
        "low": 1.1,
        "high": 1.3,
        "sites": 3,
        "samples": 512,
        "message": f"gaussian_w2 is 1.2 [1.1, 1.3], the limit 0.5: {outcome}",
    }
    return BudgetResult(budget=name, outcome=outcome, **(parts | more))


def gate(**more):
    parts = {
        "verdict": "failed",
        "exit_code": 1,
        "reasons": ["budget shift is exceeded: 1.2 against 0.5.", "2 errors"],
        "fail_on": "error",
        "config": "configs/a b.toml",
        "preset": "strict",
        "ignored": 0,
        "budgets": [
            budget("shift", "exceeded"),
            budget("dead", "met"),
            budget("slow", "warned"),
            budget("cka", "inconclusive", message="the interval crosses the limit at n = 512"),
            budget("unused", "off", value=None, low=None, high=None, sites=0, message="off"),
        ],
    }
    return Gate(**(parts | more))


def annotated():
    """A gated report: lines of code for some sites, a suppressed finding, two of one rule at one place."""
    rng = random.Random(7)
    points = [checkpoint(0), checkpoint(100)]
    sites = [
        site("blocks.0.conv", 0, "Conv2d", source=SourceLine(file="src/nets/é net.py", line=12)),
        site("blocks.1.conv", 1, "Conv2d", source=SourceLine(file="src/nets/é net.py", line=12)),
        site("head", 2),
    ]
    found = [
        finding("COV101", "few-samples", "info", None, "64 samples resolve shifts of 0.3 sd and more"),
        finding("COV201", "mean-shift", "warning", "blocks.0.conv", "means moved by 1.2 sd from step 0 to 100"),
        finding("COV201", "mean-shift", "info", "blocks.0.conv", "means moved by 0.3 sd from step 0 to 50"),
        finding("COV103", "nonfinite-activations", "error", "blocks.1.conv", "NaN in 3 % of values, 5::6"),
        structs.replace(
            finding("COV217", "saturated-units", "error", "head", "37 % saturated"), suppressed="wanted: see #12"
        ),
        finding("COV901", "budget-exceeded", "error", None, "budget shift: 1.2 [1.1, 1.3] against 0.5"),
        finding("COV999", "of-another-version", "warning", "elsewhere", "what this version does not know"),
    ]
    return report(
        points,
        with_statistics(sites, points, rng),
        shifts(sites, points, lambda one, fraction: 0.6 * (2 - one.depth) * fraction),
        findings=found,
        coverage=Coverage(
            measured=3,
            skipped=[
                Skipped(site="embed", reason="the output is made of integers"),
                Skipped(site="head", reason="NaN alone", checkpoint="ckpt-00100"),
            ],
            never_fired=["dropout"],
            non_finite=[],
        ),
        gate=gate(),
    )


def sides_of(first, second, **of_second):
    """Two sides as a comparison has them; ``of_second`` changes fields of the second's model and data."""
    one = report([], [])
    other = {name: structs.replace(getattr(one, name), **of_second.get(name, {})) for name in ("model", "data")}
    return [Side(id=first, model=one.model, data=one.data), Side(id=second, **other)]


def two_columns(first, second):
    return [Checkpoint(id=name, step=20000, path="runs/last.pt", sha256="0" * 64) for name in (first, second)]


def data_sets():
    """Two data sets through one checkpoint: the shift grows over a convolution and is damped behind it."""
    points = two_columns("train.npz", "production.npz")
    sizes = {"conv1": (0.52, 0.9), "norm1": (None, 0.9), "conv2": (None, 1.3), "fc": (None, 0.04)}
    sites, moved = [], []
    for depth, (name, (read, given)) in enumerate(sizes.items()):
        for position, value in (("input", read), ("output", given)):
            if value is None:
                continue
            sites.append(site(name, 2 * depth + (position == "output"), "Conv2d", position=position))
            ratio = structs.replace(measure(value / 0.52, noise=None, significant=value != 0.52))
            missing = measure(None, status="the weights are the same on both sides, so that no layer adds anything")
            moved.append(
                Shift(
                    site=name,
                    position=position,
                    from_=points[0].id,
                    to=points[1].id,
                    measures={
                        "gaussian_w2": measure(value),
                        "linear_cka_distance": measure(None, status="needs the same samples on both sides"),
                        "excess_shift": missing,
                        "shift_amplification": ratio,
                    },
                    channels_shifted=min(value, 1.0),
                )
            )
    comparison = Comparison(
        kind="data",
        sentence="512 samples of train.npz and 480 samples of production.npz through last.pt: other samples, the same "
        "weights",
        paired=False,
        sides=sides_of("train.npz", "production.npz", data={"samples": 480, "available": None}),
    )
    message = "the data shift by 0.52 sd where they enter, at conv1 (input); it grows to 1.3 sd at conv2 (output)"
    return report(
        points,
        with_statistics(sites, points, random.Random(7)),
        moved,
        comparison=comparison,
        findings=[finding("COV208", "data-shift", "warning", "conv1", message, "input")],
        notes=["The samples of the two data sets are not the same ones."],
    )


def two_models():
    """A network beside its ONNX export: nothing moved, and one site has no counterpart."""
    points = [Checkpoint(id=name, step=None, path=name, sha256="0" * 64) for name in ("net.pt", "net.onnx")]
    sites = [site("conv1", 0, "Conv2d"), site("fc", 1)]
    moved = [
        Shift(
            site=one.site,
            position="output",
            from_=points[0].id,
            to=points[1].id,
            measures={
                "gaussian_w2": measure(2e-6),
                "excess_shift": measure(None, status="run by torch and by onnx, so that no layer could be replayed"),
            },
            channels_shifted=0.0,
        )
        for one in sites
    ]
    comparison = Comparison(
        kind="models",
        sentence="net.pt (nets.py:plain, torch) and net.onnx (ONNX models, onnx) on the same 512 samples: 2 sites are "
        "the same, of 3 of net.pt and 2 of net.onnx",
        paired=True,
        sides=sides_of("net.pt", "net.onnx", model={"description": "ONNX models", "engine": "onnx"}),
        mapped=[2, 3, 2],
        renamed=[Renamed(site="fc", position="output", there="/fc/Gemm_output_0", there_position="output")],
    )
    coverage = Coverage(
        measured=2,
        skipped=[Skipped(site="pool", reason="without a counterpart in net.onnx", checkpoint="net.pt")],
        never_fired=[],
        non_finite=[],
    )
    measured = with_statistics(sites, points, random.Random(8))
    return report(points, measured, moved, comparison=comparison, coverage=coverage)


KINDS = {
    "annotated": annotated,
    "digits": digits,
    "single": single,
    "quiet": quiet,
    "deep": deep,
    "hostile": hostile,
    "nothing": nothing,
    "trained": trained,
    "gated": gated,
    "inconclusive": inconclusive,
    "data": data_sets,
    "models": two_models,
}
