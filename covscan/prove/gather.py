"""Training evidence for a run: which tier the inputs allow, what it may cost, and what it found."""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

import torch
from torch import nn

from covscan.capture.torch_session import pick_device
from covscan.capture.types import Network
from covscan.config.loading import describe_error
from covscan.config.settings import Settings
from covscan.data import open_samples
from covscan.data.binding import Bound, bind_torch
from covscan.data.types import Batch, Samples
from covscan.errors import UsageError
from covscan.models.types import TorchSource
from covscan.prove.gradient_types import Effort, Gradients
from covscan.prove.gradients import gradient_evidence
from covscan.prove.kept import Note, digest, open_kept
from covscan.prove.objective import open_objective
from covscan.prove.optimizers import open_trainer
from covscan.prove.pool import Pool
from covscan.prove.probe import FORWARDS, PAIRS, probe
from covscan.prove.runs import AS_IT_IS, Bench
from covscan.prove.starts import Starts, find_starts
from covscan.prove.targets import check_targets
from covscan.prove.trial import FULL, SEEDS, Found, Round, affordable, plan, run_trial
from covscan.prove.types import Estimate, PlaceTrial, Question, Trials
from covscan.prove.work import Work, step_work, threads_for
from covscan.surgery.types import Insertion, over_samples

BUDGET = 22_500
"""Training steps that a run spends at most, unless the user says otherwise."""
_SECONDS = 240.0
"""And fewer where steps are dear: as many as this takes by the yardstick of ``work``."""
OPTIMIZER = "adam"
"""Where the user does not say what the network is trained with."""
EFFORTS = (
    Effort(),
    Effort(layers=8, batches=3, profiles=4, checkpoints=12, pairs=2, landscapes=2, iterations=8),
    Effort(layers=4, batches=2, profiles=2, checkpoints=6, pairs=1, landscapes=1, probes=1, iterations=6),
    Effort(layers=4, batches=2, profiles=2, checkpoints=2, pairs=1, landscapes=0, probes=0, iterations=0),
)
"""What gradients may cost, the first that fits being taken."""
_GRADIENT_SECONDS = 60.0
_READ_AT_ONCE = 256
_FORWARDS_A_STEP = 3
_FEWEST_PAIRS = 2
_RAISE = "--trial-steps raises the budget, --sites and --exclude leave places out."


Trainable = tuple[Bench, Starts]
"""A model ready to be trained, and what it starts from."""


def open_bench(
    source: TorchSource,
    settings: Settings,
    measured: Samples,
    seeds: int = SEEDS,
    held_out: float = 0.0,
    note: Note = lambda text: None,
) -> Trainable:
    """Everything that a training needs, from the user's settings. Raises UsageError.

    ``measured`` are the samples of the measurement, which serve where the data cannot be read a second time;
    ``held_out`` is the share of the samples that is not trained on.
    """
    if settings.loss is None:
        raise UsageError("no-loss", "training evidence needs a loss", hint="add --loss cross_entropy --target NAME")
    source.identity()  # now: the module of a loss that is imported next is no part of the model
    objective, trainer = open_objective(settings.loss), open_trainer(settings.optimizer or OPTIMIZER)
    device = pick_device(settings.device)
    starts = find_starts(source, settings, seeds)
    model = source.module(source.series.checkpoints[0])
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UsageError("nothing-to-train", "no parameter of the model requires a gradient")
    batch_size = settings.train_batch_size or settings.batch_size
    wanted = replace(settings, samples=settings.train_samples, batch_size=max(_READ_AT_ONCE, batch_size))
    samples = measured if isinstance(settings.data, Iterator) else open_samples(wanted)
    pool = Pool(samples, batch_size, _binder(model, device), device, held_out)
    bench = Bench(model, pool, objective, trainer, starts.states, device, preserve=starts.trained)
    _check(bench, samples.nonfinite)
    fed = (pool.batch_size, pool.count, held_out, str(device), bench.preserve)
    bench.kept = open_kept(source, settings, samples, model, fed, note)
    return bench, starts


Tick = Callable[[str, int, int], None]
"""Told what is going on, how much of it is done, and how much there will be at most."""


def gather(
    trainable: Trainable, source: TorchSource, settings: Settings, network: Network, question: Question, tick: Tick
) -> tuple[Gradients | None, Trials | None]:
    """The best evidence that the settings ask for and the budget allows. Raises UsageError.

    No gradients where even the least effort would take too long; no trials where only gradients were asked for or
    there is no place to try. ``network`` is what capture saw of any checkpoint.
    """
    bench, starts = trainable
    question = _possible(question, bench.pool.batch_size)
    work = step_work(bench)
    with threads_for(work), closing(bench.kept):
        gradients = _gradients(source, settings, bench, work, network, tick)
        if settings.evidence == "gradient" or not question.places:
            return gradients, None
        budget = settings.trial_steps or max(0, min(BUDGET, int(_SECONDS / work.seconds)))
        return gradients, _trials(bench, starts, settings, question, budget, tick)


def _possible(question: Question, batch_size: int) -> Question:
    """The question without normalizations that have no statistics to take: BatchNorm over one sample."""
    if batch_size > 1:
        return question
    return replace(
        question,
        places=tuple(one for one in question.places if not over_samples(one.norm)),
        others={place: one for place, one in question.others.items() if not over_samples(one.norm)},
        everywhere=tuple(one for one in question.everywhere if not over_samples(one.norm)),
    )


def _gradients(
    source: TorchSource, settings: Settings, bench: Bench, work: Work, network: Network, tick: Tick
) -> Gradients | None:
    checkpoints = source.series.checkpoints
    layers = sum(module.role == "layer" for module in network.modules)
    for effort in EFFORTS:
        most = effort.most_forwards(
            len(checkpoints), layers, rate_known=settings.lr is not None, divides=bench.trainer.sign_like
        )
        if most * work.seconds / _FORWARDS_A_STEP <= _GRADIENT_SECONDS:
            break
    else:
        return None
    done = 0

    def advance(forwards: int) -> None:
        nonlocal done
        done += forwards
        tick("gradients", done // _FORWARDS_A_STEP, most // _FORWARDS_A_STEP)

    def made() -> Gradients:
        found = gradient_evidence(
            source,
            checkpoints,
            network,
            bench.pool,
            bench.objective,
            bench.trainer,
            settings.lr,
            bench.device,
            effort=effort,
            seed=settings.seed,
            tick=advance,
        )
        for each in checkpoints:
            source.check(each)  # what was read until now is what the digest is of
        return found

    contents = [(each.id, each.sha256) for each in checkpoints]
    return bench.recall(("gradients", contents, digest(network), settings.lr, effort), Gradients, made)


def _trials(bench: Bench, starts: Starts, settings: Settings, question: Question, budget: int, tick: Tick) -> Trials:
    most = affordable(budget, len(question.places)) if settings.evidence in {None, "trial"} else 0
    rounds = plan(most, budget)
    pairs = _pairs(len(question.places), budget // 2 if rounds else budget)
    probed: dict[Insertion, Estimate] = {}
    if pairs >= _FEWEST_PAIRS:
        whole = pairs * FORWARDS * (len(question.places) + 1) // _FORWARDS_A_STEP

        def stepped(forwards: int) -> None:
            tick("one-step probe", min(forwards // _FORWARDS_A_STEP, whole), whole)

        probed = probe(bench, question.places, pairs, stepped)
    found: Found | None = None
    if rounds:
        done = 0

        def advance(steps: int) -> None:
            nonlocal done
            done += steps
            tick("training trial", done, budget)

        bench.tick = advance
        bench.limit = budget
        ordered = sorted(question.places, key=lambda one: -probed[one].value if one in probed else 0.0)
        found = run_trial(bench, settings.lr, rounds, ordered[:most], question)
    return Trials(
        tier="trial" if found else "probe",
        intervention=starts.intervention,
        start=starts.description,
        loss=bench.objective.name,
        optimizer=bench.trainer.name,
        rate=settings.lr,
        best_rate=found.ladder.at(found.base.best) if found else None,
        batch_size=bench.pool.batch_size,
        samples=bench.pool.count,
        places=_merged(probed, found),
        everywhere=found.everywhere if found else None,
        last=question.last,
        rivals=found.rivals if found else {},
        curve_without=found.base.curve() if found else (),
        curve_with=found.best.curve() if found else (),
        area_steps=max(FULL, *(each.horizon for each in found.places)) if found else 0,
        steps=bench.steps,
        forwards=bench.forwards,
        budget=budget,
        notes=tuple(_notes(bench, rounds, pairs, len(question.places) - most, settings)),
    )


def _pairs(places: int, budget: int) -> int:
    """How many pairs of batches a probe of so many places may take, a step being three forward passes."""
    return min(PAIRS, budget * _FORWARDS_A_STEP // (FORWARDS * (places + 1)))


def _merged(probed: Mapping[Insertion, Estimate], found: Found | None) -> tuple[PlaceTrial, ...]:
    """Every place once, best first: by its trial, else by its probe."""
    by_place = {one.place: estimate for one, estimate in probed.items()}
    tried = [replace(each, probe=by_place.get(each.insertion.place)) for each in found.places] if found else []
    taken = {each.insertion.place for each in tried}
    rest = [PlaceTrial(insertion=one, probe=estimate) for one, estimate in probed.items() if one.place not in taken]
    rest.sort(key=lambda each: -each.probe.value if each.probe else math.inf)
    return (*tried, *rest)


def _notes(bench: Bench, rounds: Sequence[Round], pairs: int, left_out: int, settings: Settings) -> list[str]:
    said = list(bench.objective.notes)
    if settings.optimizer is None:
        said.append(f"--optimizer was not given: trials train with {OPTIMIZER}.")
    wanted = settings.evidence in {None, "trial"}
    probed = pairs >= _FEWEST_PAIRS
    if not rounds and not probed:
        said.append(
            f"{'Neither a training trial nor' if wanted else 'Not even'} a one-step probe of all places fits the "
            f"budget: only forward evidence was used. {_RAISE}"
        )
    elif wanted and not rounds:
        said.append(
            "A training trial would take more steps than the budget allows: suggestions rest on the one-step probe. "
            f"{_RAISE}"
        )
    elif wanted and left_out:
        by = "in the one-step probe" if probed else "by forward evidence"
        which, were = ("1 place", "was") if left_out == 1 else (f"{left_out} places", "were")
        said.append(f"{which} that promised least {by} {were} not trained, for want of budget (--trial-steps).")
    if bench.pool.batch_size == 1:
        said.append("Batches are of one sample, over which BatchNorm has no statistics: it was not tried.")
    if not bench.pool.complete:
        said.append(f"Trials drew from the first {bench.pool.count:,} samples, which is what fits in memory.")
    return said


def _binder(model: nn.Module, device: torch.device) -> Callable[[Batch], Bound]:
    signature = inspect.signature(model.forward)
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), None)
    return lambda batch: bind_torch(signature, batch, device, dtype)


def _check(bench: Bench, nonfinite: int) -> None:
    """Take one loss, so that what does not fit is said before anything is spent.

    Where the inputs hold values that are not finite, so many of them, it is taken of all samples.
    """
    draw = next(iter(bench.pool.draws(0)))
    with bench.session(0, AS_IT_IS):
        try:
            output = bench.model(*draw.args, **draw.kwargs)
            check_targets(bench.objective, output, draw, bench.pool.everything())
            loss = bench.objective(output, draw.target, draw.mask)
            loss.backward()  # type: ignore[no-untyped-call]
            finite = math.isfinite(float(loss.detach()))
            with torch.no_grad():
                finite &= not nonfinite or all(
                    math.isfinite(float(bench.loss(each))) for each in bench.pool.everything()
                )
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(
                "cannot-train",
                f"a training step raised {describe_error(error)}",
                hint="check --loss and --target, and --train-batch-size, or use --evidence forward",
            ) from error
    if not finite:
        raise UsageError(
            "cannot-train",
            "the loss of the start is not finite",
            found=f"{nonfinite:,} values of the inputs are NaN or infinite" if nonfinite else str(float(loss.detach())),
            hint="check --loss and --target, or use --evidence forward",
        )
