"""What a loss and its gradients say about a series of checkpoints."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from covscan.capture.types import Network
from covscan.models.types import Checkpoint, TorchSource
from covscan.prove.gradient_layers import Layer, Profile, layers_of
from covscan.prove.gradient_probe import Probe, probing
from covscan.prove.gradient_shift import Splices, preceding
from covscan.prove.gradient_types import Effort, Gradients, GradientShift, Landscape, LayerGradient, spread
from covscan.prove.landscape import landscape
from covscan.prove.objective import Objective
from covscan.prove.optimizers import Trainer
from covscan.prove.pool import Draw, Pool
from covscan.prove.steps import Stepper, edge_of
from covscan.prove.turns import turns

_DEFAULT = Effort()
_FEWEST_SAMPLES = 2


def gradient_evidence(
    source: TorchSource,
    checkpoints: Sequence[Checkpoint],
    network: Network,
    pool: Pool,
    objective: Objective,
    trainer: Trainer,
    rate: float | None,
    device: torch.device,
    *,
    effort: Effort = _DEFAULT,
    seed: int = 0,
    tick: Callable[[int], None] = lambda forwards: None,
) -> Gradients:
    """Gradient profile, gradient shift, landscape, losses and turns of the weights over ``checkpoints``.

    ``network`` is what capture saw of any one of them; it says which layers there are and in which order they run.
    ``rate`` is the learning rate that the user trains with, None where it is not known: then nothing is said about
    step sizes and stability, and the landscape is taken at the best of several rates. ``pool`` binds
    to ``device``. ``tick`` is called with every few passes, in the unit of ``Gradients.spent_forwards``; ``Effort``
    bounds their number, and the same input always takes the same.

    Each module that the source gives is left as it was found: weights, gradients, buffers, modes, generators. A source
    that hands out one module for all checkpoints holds the last of ``checkpoints`` afterwards.

    Raises UsageError where the model or the loss cannot be evaluated or differentiated.
    """
    followed = [checkpoints[place] for place in spread(len(checkpoints), effort.checkpoints)]
    draws, notes = _batches(pool, effort.batches, seed)
    run = _Run(source, followed, network, objective, trainer, rate, device, draws, effort, seed, tick, notes)
    if len(followed) < len(checkpoints):
        notes.append(f"{len(followed)} of {len(checkpoints)} checkpoints are looked at, evenly spread")
    for place in range(len(followed)):
        run.visit(place)
    return run.result()


@dataclass(slots=True)
class _Run:
    source: TorchSource
    checkpoints: Sequence[Checkpoint]
    network: Network
    objective: Objective
    trainer: Trainer
    rate: float | None
    device: torch.device
    draws: Sequence[Draw]
    effort: Effort
    seed: int
    tick: Callable[[int], None]
    notes: list[str]
    layers: list[LayerGradient] = field(default_factory=list)
    shifts: list[GradientShift] = field(default_factory=list)
    landscapes: list[Landscape] = field(default_factory=list)
    losses: dict[str, tuple[float | None, ...]] = field(default_factory=dict)
    spent: int = 0
    epsilon: float | None = None
    trained: tuple[str, ...] = ()
    weights: dict[str, tuple[str, ...]] = field(default_factory=dict)
    before: dict[str, tuple[str, ...]] | None = None

    def visit(self, place: int) -> None:
        """Look at one checkpoint."""
        checkpoint, count = self.checkpoints[place], len(self.checkpoints)
        paired = place in spread(count - 1, self.effort.pairs)
        model = self.source.module(checkpoint)
        with probing(model, self.objective, self.device, self.seed, self.tick) as probe:
            if not self.draws or not probe.parameters:
                self._note("no parameter asks for a gradient" if self.draws else "there is no sample to take a loss of")
                return
            try:
                if paired or place in spread(count, self.effort.profiles):
                    self._profile(probe, place, paired=paired)
                else:
                    self._keep(checkpoint, [probe.value(draw, number) for number, draw in enumerate(self.draws)])
                if place in spread(count, self.effort.landscapes):
                    self.landscapes.append(
                        landscape(probe, checkpoint.id, self.draws, self.trainer, self.rate, self.effort)
                    )
            finally:
                self.spent += probe.spent

    def _profile(self, probe: Probe, place: int, *, paired: bool) -> None:
        layers = layers_of(self.network, probe)
        stepper = Stepper(self.trainer, list(probe.parameters.values()), self.rate) if self.rate is not None else None
        if not self.trained:
            self._remember(probe, layers, stepper)
        profile = Profile(probe, layers, stepper)
        splices = self._splices(probe, place, layers) if paired else None
        for number, draw in enumerate(self.draws):
            loss, found = probe.gradients(draw, number)
            gradients = dict(zip(probe.parameters, found, strict=True))
            if splices is not None:
                splices.add(draw, number, gradients)
            profile.add(loss, gradients)
        checkpoint = self.checkpoints[place].id
        self._keep(self.checkpoints[place], profile.losses)
        self._note(profile.reason)
        measured = list(profile.result(checkpoint))
        self.layers += measured
        if splices is not None:
            noise = {layer.layer: layer.gradient_noise for layer in measured}
            self.shifts += splices.result(checkpoint, self.checkpoints[place + 1].id, noise)

    def _splices(self, probe: Probe, place: int, layers: Sequence[Layer]) -> Splices:
        if self.before is None:
            self.before = preceding(probe, layers, self.draws[0])
        behind = [layer for layer in layers if self.before.get(layer.name)]
        chosen = [behind[number] for number in spread(len(behind), self.effort.layers)]
        if len(chosen) < len(behind):
            self._note(f"gradient shift is measured at {len(chosen)} of {len(behind)} layers, evenly spread over depth")
        return Splices(probe, chosen, self.before, self.source.weights(self.checkpoints[place + 1]))

    def _remember(self, probe: Probe, layers: Sequence[Layer], stepper: Stepper | None) -> None:
        self.trained = tuple(probe.parameters)
        chosen = [layers[number] for number in spread(len(layers), self.effort.layers)]
        self.weights = {layer.name: tuple(layer.weights) for layer in chosen}
        edge = edge_of(stepper.optimizer) if stepper is not None else None
        self.epsilon = None if edge is None else edge.epsilon

    def _keep(self, checkpoint: Checkpoint, losses: Sequence[float]) -> None:
        self.losses[checkpoint.id] = tuple(loss if abs(loss) < float("inf") else None for loss in losses)

    def _note(self, note: str | None) -> None:
        if note is not None and note not in self.notes:
            self.notes.append(note)

    def result(self) -> Gradients:
        """All that was measured."""
        return Gradients(
            layers=tuple(self.layers),
            shifts=tuple(self.shifts),
            landscapes=tuple(self.landscapes),
            loss_by_checkpoint=self.losses,
            batch_size=self.draws[0].n if self.draws else 0,
            batches=len(self.draws),
            spent_forwards=self.spent,
            notes=tuple(self.notes),
            turns=tuple(turns(self.source, self.checkpoints, self.trained, self.weights)) if self.trained else (),
            rate=self.rate,
            sign_like=self.trainer.sign_like,
            epsilon=self.epsilon,
            checkpoints=tuple(checkpoint.id for checkpoint in self.checkpoints),
        )


def _batches(pool: Pool, count: int, seed: int) -> tuple[list[Draw], list[str]]:
    """So many batches without a common sample; smaller ones than the pool's where it would not hold so many."""
    size = pool.batch_size
    draws = pool.disjoint(seed, count, size)
    while len(draws) < count and size // 2 >= _FEWEST_SAMPLES:
        size //= 2
        draws = pool.disjoint(seed, count, size)
    notes = []
    if size < pool.batch_size:
        notes.append(
            f"batches of {size} samples instead of {pool.batch_size}, so that {len(draws)} have none in common"
        )
    if len(draws) < count:
        notes.append(f"there are samples for {len(draws)} batches only; noise is rough or missing")
    return draws, notes
