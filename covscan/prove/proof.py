"""The full paired protocol for one normalization at one place."""

import math
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import covscan.report.proof as records
from covscan.config.settings import Settings
from covscan.data.types import Samples
from covscan.errors import UsageError
from covscan.models.types import TorchSource
from covscan.prove.gains import Gain, clipped, gain, largest_stable, speed_up, stable
from covscan.prove.gather import open_bench
from covscan.prove.journal import Journal
from covscan.prove.protocol import Ladder, Outcome, gain_at, gain_of, measure
from covscan.prove.runs import AS_IT_IS, Arm, Bench
from covscan.prove.starts import Starts
from covscan.prove.types import MATERIAL
from covscan.prove.work import step_work, threads_for
from covscan.report.training import Gain as GainRecord
from covscan.report.types import Tool
from covscan.surgery.types import Insertion, over_samples
from covscan.version import __version__

HELD_OUT = 0.2
_WARMUP = 0.2


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is trained: ``rungs`` learning rates the square root of ten apart, and more where the best is an end."""

    seeds: int = 5
    steps: int = 200
    rungs: int = 7
    resume: Path | None = None
    expected: float | None = None

    @property
    def ladder(self) -> tuple[int, ...]:
        """The rungs, evenly around the first rate."""
        return tuple(range(-(self.rungs // 2), self.rungs - self.rungs // 2))


def prove(
    source: TorchSource,
    settings: Settings,
    samples: Samples,
    insertion: Insertion,
    plan: Plan,
    tick: Callable[[str, int, int], None],
    note: Callable[[str], None] = lambda text: None,
) -> records.Proof:
    """Train with and without, with the fixed affine and with a warm-up, and say what each gains. Raises UsageError."""
    if samples.count < 2:
        raise UsageError(
            "too-few-samples",
            "a proof trains on some samples and looks at others",
            found="1 sample",
            hint="give more samples; a few hundred are usual",
        )
    bench, starts = open_bench(source, settings, samples, plan.seeds, HELD_OUT, note)
    if bench.pool.batch_size == 1 and over_samples(insertion.norm):
        raise UsageError(
            "too-few-samples",
            f"{insertion.norm} takes its statistics over the samples of a batch, and batches are of one sample",
            found=f"{bench.pool.count:,} samples to train on",
            hint="give more samples, or a larger --train-batch-size, or another --norm",
        )
    arms = {
        "as it is": AS_IT_IS,
        insertion.norm: Arm((insertion,)),
        "fixed affine": Arm((insertion,), "affine"),
        "warm-up": replace(AS_IT_IS, warmup=max(1, round(_WARMUP * plan.steps))),
    }
    ladder = Ladder(settings.lr or bench.trainer.usual_rate, plan.ladder)
    most = len(arms) * plan.seeds * plan.steps * (plan.rungs + ladder.reach)
    done = 0

    def advance(steps: int) -> None:
        nonlocal done
        done += steps
        tick("paired trainings", done, most)

    bench.tick = advance
    journal = Journal(plan.resume, _setting(bench, source, settings, samples, plan)) if plan.resume else None
    try:
        if journal is not None:
            done = journal.restore(bench, tuple(arms.values())) * plan.steps
        with threads_for(step_work(bench)), closing(bench.kept):
            outcomes = {name: measure(bench, arm, ladder, plan.seeds, plan.steps) for name, arm in arms.items()}
    finally:
        if journal is not None:
            journal.close()
    return _proof(
        bench, starts, source.description, samples.fingerprint, settings.lr, insertion, plan, ladder, outcomes
    )


def _setting(bench: Bench, source: TorchSource, settings: Settings, samples: Samples, plan: Plan) -> dict[str, object]:
    """Everything that a training's curve depends on, beside its arm, rate and seed."""
    return {
        "version": __version__,
        "settings": repr(replace(settings, checkpoints=(), device="auto")),
        "weights": [checkpoint.sha256 for checkpoint in source.series.checkpoints],
        "samples": samples.fingerprint,
        "start": f"{bench.initial_loss(0):.5g}",  # code of the model or the loss that has changed since shows here
        "plan": (plan.steps, bench.pool.batch_size, bench.pool.count),
    }


def _proof(
    bench: Bench,
    starts: Starts,
    model: str,
    fingerprint: str,
    rate: float | None,
    insertion: Insertion,
    plan: Plan,
    ladder: Ladder,
    outcomes: Mapping[str, Outcome],
) -> records.Proof:
    base, norm, affine, _ = outcomes.values()
    over, found = gain(affine.chosen(), norm.chosen()), gain_of(base, norm)
    return records.Proof(
        proof_version=records.PROOF_VERSION,
        tool=Tool(name="covscan", version=__version__),
        model=model,
        site=insertion.site,
        position=insertion.position,
        norm=insertion.norm,
        intervention=starts.intervention,
        start=starts.description,
        loss=bench.objective.name,
        optimizer=bench.trainer.name,
        rate=rate,
        batch_size=bench.pool.batch_size,
        samples=bench.pool.count,
        held_out=sum(draw.n for draw in bench.pool.held_out),
        fingerprint=fingerprint,
        steps=plan.steps,
        seeds=plan.seeds,
        arms=[_arm(name, each, base, ladder, at_rate=rate is not None) for name, each in outcomes.items()],
        over_fixed_affine=_record(over),
        verdict=verdict(found, over),
        expected=plan.expected,
        met=None if plan.expected is None else found.low is not None and found.low >= plan.expected,
        notes=list(_notes(base, norm, ladder, plan)),
    )


def verdict(found: Gain, over: Gain) -> records.Answer:
    """What the 90 % interval says against two percent either way."""
    if found.low is None or found.high is None:
        return "unresolved"
    if found.low > MATERIAL:
        return "helps" if over.low is not None and over.low > 0 else "helps, as constants would"
    if found.high < -MATERIAL:
        return "harms"
    if found.low > -MATERIAL and found.high < MATERIAL:
        return "makes no difference"
    return "unresolved"


def _arm(name: str, outcome: Outcome, base: Outcome, ladder: Ladder, *, at_rate: bool) -> records.ArmOutcome:
    top = largest_stable(outcome.curves, outcome.starts)
    apart = outcome is not base
    fast = speed_up(base.curves[base.best], outcome.curves[outcome.best]) if apart else None
    return records.ArmOutcome(
        name=name,
        rungs=[_rung(outcome, rung, ladder) for rung in outcome.areas],
        best_rate=ladder.at(outcome.best),
        largest_stable_rate=None if top is None else ladder.at(top),
        gain=_record(gain_of(base, outcome)) if apart else None,
        gain_at_rate=_record(gain_at(base, outcome, 0)) if apart and at_rate else None,
        gain_at_base_rate=_record(gain_at(base, outcome, base.best)) if apart else None,
        gain_held_out=_record(_held_out(base, outcome)) if apart else None,
        speed_up=None if fast is None else fast.value,
        speed_up_low=None if fast is None else fast.low,
        speed_up_high=None if fast is None else fast.high,
        speed_up_is_least=fast is not None and fast.bound == "at least",
        speed_up_is_most=fast is not None and fast.bound == "at most",
    )


def _rung(outcome: Outcome, rung: int, ladder: Ladder) -> records.Rung:
    curves = outcome.curves[rung]
    seeds = [[clipped(loss, start) for loss in c.losses] for c, start in zip(curves, outcome.starts, strict=True)]
    return records.Rung(
        rate=ladder.at(rung),
        areas=list(outcome.areas[rung]),
        held_out=[_finite(c.held_out) for c in curves],
        stable=stable(curves, outcome.starts),
        curve=[mean(values) for values in zip(*seeds, strict=True)],
    )


def _held_out(base: Outcome, outcome: Outcome) -> Gain | None:
    without = [_finite(curve.held_out) for curve in base.curves[base.best]]
    with_ = [_finite(curve.held_out) for curve in outcome.curves[outcome.best]]
    if any(loss is None for loss in (*without, *with_)):
        return None
    return gain([loss or 0.0 for loss in without], [loss or 0.0 for loss in with_])


def _notes(base: Outcome, norm: Outcome, ladder: Ladder, plan: Plan) -> list[str]:
    said = []
    for name, outcome in (("without", base), ("with", norm)):
        if outcome.best in {min(outcome.areas), max(outcome.areas)}:
            end = "lowest" if outcome.best == min(outcome.areas) else "highest"
            said.append(
                f"{name} the normalization the {end} learning rate tried, {ladder.at(outcome.best)}, is the best"
            )
    if plan.seeds < 3:
        said.append("fewer than three seeds give no interval worth the name")
    return said


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _record(found: Gain | None) -> GainRecord | None:
    return None if found is None else GainRecord(value=found.value, low=found.low, high=found.high)
