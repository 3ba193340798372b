"""Training evidence for a run: which tier the inputs allow, what it may cost, and what it found."""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from covscan.capture.torch_session import pick_device
from covscan.config.loading import describe_error
from covscan.config.settings import Settings
from covscan.data import open_samples
from covscan.data.binding import Bound, bind_torch
from covscan.data.types import Batch, Samples
from covscan.errors import UsageError
from covscan.models.types import TorchSource
from covscan.prove.objective import open_objective
from covscan.prove.optimizers import open_trainer
from covscan.prove.pool import Pool
from covscan.prove.probe import FORWARDS, PAIRS, probe
from covscan.prove.runs import AS_IT_IS, Bench
from covscan.prove.starts import Starts, find_starts
from covscan.prove.trial import SEEDS, Found, Round, plan, run_trial
from covscan.prove.types import Estimate, PlaceTrial, Question, Trials
from covscan.prove.work import step_work, threads_for
from covscan.surgery.types import Insertion

BUDGET = 24_000
"""Training steps that a run spends at most, unless the user says otherwise."""
_SECONDS = 240.0
"""And fewer where steps are dear: as many as this takes by the yardstick of ``work``."""
OPTIMIZER = "adam"
"""Where the user does not say what the network is trained with."""
_READ_AT_ONCE = 256
_FORWARDS_A_STEP = 3
_FEWEST_PAIRS = 2


def open_bench(
    source: TorchSource, settings: Settings, measured: Samples, seeds: int = SEEDS, held_out: float = 0.0
) -> tuple[Bench, Starts]:
    """Everything that a training needs, from the user's settings. Raises UsageError.

    ``measured`` are the samples of the measurement, which serve where the data cannot be read a second time;
    ``held_out`` is the share of the samples that is not trained on.
    """
    if settings.loss is None:
        raise UsageError("no-loss", "training evidence needs a loss", hint="add --loss cross_entropy --target NAME")
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
    _check(bench)
    return bench, starts


def gather(
    source: TorchSource,
    settings: Settings,
    measured: Samples,
    question: Question,
    tick: Callable[[str, int, int], None],
) -> Trials | None:
    """The best evidence that the settings ask for and the budget allows; None where there is no place to try.

    ``tick`` is told what is going on, how many steps are done, and how many there will be at most.
    """
    if not question.places:
        return None
    bench, starts = open_bench(source, settings, measured)
    work = step_work(bench)
    budget = settings.trial_steps or max(0, min(BUDGET, int(_SECONDS / work.seconds)))
    with threads_for(work):
        return _gather(bench, starts, settings, question, budget, tick)


def _gather(
    bench: Bench,
    starts: Starts,
    settings: Settings,
    question: Question,
    budget: int,
    tick: Callable[[str, int, int], None],
) -> Trials:
    rounds = plan(len(question.places), budget) if settings.evidence in {None, "trial"} else ()
    pairs = PAIRS if rounds else _pairs(len(question.places), budget)
    probed: dict[Insertion, Estimate] = {}
    if pairs >= _FEWEST_PAIRS:
        tick("one-step probe", 0, budget)
        probed = probe(bench, question.places, pairs)
    found: Found | None = None
    if rounds:
        done = 0

        def advance(steps: int) -> None:
            nonlocal done
            done += steps
            tick("training trial", done, budget)

        bench.tick = advance
        ordered = sorted(question.places, key=lambda one: -probed[one].value if one in probed else 0.0)
        found = run_trial(bench, settings.lr, rounds, ordered, question.others, question.everywhere)
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
        steps=bench.steps,
        forwards=bench.forwards,
        budget=budget,
        notes=tuple(_notes(bench, rounds, pairs, settings)),
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


def _notes(bench: Bench, rounds: Sequence[Round], pairs: int, settings: Settings) -> list[str]:
    said = list(bench.objective.notes)
    if settings.optimizer is None:
        said.append(f"--optimizer was not given: trials train with {OPTIMIZER}.")
    wanted = settings.evidence in {None, "trial"}
    if wanted and not rounds:
        said.append(
            "A training trial of all places would take more steps than the budget allows: the suggestions rest on the "
            "one-step probe. --trial-steps raises the budget, --sites and --exclude leave places out."
        )
    if pairs < _FEWEST_PAIRS:
        said.append("Not even a one-step probe of all places fits the budget: only forward evidence was used.")
    if not bench.pool.complete:
        said.append(f"Trials drew from the first {bench.pool.count:,} samples, which is what fits in memory.")
    return said


def _binder(model: nn.Module, device: torch.device) -> Callable[[Batch], Bound]:
    signature = inspect.signature(model.forward)
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), None)
    return lambda batch: bind_torch(signature, batch, device, dtype)


def _check(bench: Bench) -> None:
    """Take one loss, so that what does not fit is said before anything is spent."""
    draw = next(iter(bench.pool.draws(0)))
    with bench.session(0, AS_IT_IS):
        try:
            loss = bench.loss(draw)
            loss.backward()  # type: ignore[no-untyped-call]
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(
                "cannot-train",
                f"a training step raised {describe_error(error)}",
                hint="check --loss and --target, or use --evidence forward",
            ) from error
    if not math.isfinite(float(loss.detach())):
        raise UsageError(
            "cannot-train",
            "the loss of the start is not finite",
            found=str(float(loss.detach())),
            hint="check --loss and --target, or use --evidence forward",
        )
