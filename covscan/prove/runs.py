"""Short trainings that differ in one thing only: same start, same batches, same random numbers."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

import torch
from torch import nn

from covscan.capture.torch_session import left_as_found, reseed, seed_everything
from covscan.errors import UsageError
from covscan.prove.kept import Kept, Spent, Value, state_digest
from covscan.prove.objective import Objective
from covscan.prove.optimizers import Trainer
from covscan.prove.pool import Draw, Pool
from covscan.surgery.hooks import inserted, standardizations
from covscan.surgery.layers import Scale, fixed_affine, normalization, preserving
from covscan.surgery.types import Insertion

Form = Literal["norm", "affine", "preserving", "scale"]
"""``scale`` multiplies what passes by one over the square root of the number of places, learned from there on."""
_CALIBRATION = 4
"""Batches that the constants of the fixed affine and of preserving insertions are taken from."""


@dataclass(frozen=True, slots=True)
class Arm:
    """What is trained: the model with these insertions, none for the model as it is."""

    insertions: tuple[Insertion, ...] = ()
    form: Form = "norm"
    warmup: int = 0
    """Steps over which the learning rate rises to its value, linearly."""

    def __str__(self) -> str:
        if not self.insertions:
            return "as it is"
        what = {"affine": "fixed affine for ", "scale": "scale for "}.get(self.form, "")
        return ", ".join(f"{what}{each}" for each in self.insertions)


AS_IT_IS = Arm()


@dataclass(frozen=True, slots=True)
class Curve:
    """Training loss before each update, nan from the step on at which it was not finite any more.

    ``held_out`` is the loss in evaluation mode, after the last update, on samples that were not trained on; None where
    none were held out, nan where the loss was not finite any more.
    """

    losses: tuple[float, ...]
    held_out: float | None = None


@dataclass(slots=True)
class Bench:
    """A model, its data and how it is trained; ``curve`` trains it from its start and leaves it as it was.

    ``starts`` are states of the model to start from; seed s takes number s modulo their count. Curves are kept, and a
    longer one is trained from the start again. ``steps`` counts updates, ``forwards`` whatever else was evaluated, in
    batches.
    """

    model: nn.Module
    pool: Pool
    objective: Objective
    trainer: Trainer
    starts: Sequence[dict[str, torch.Tensor]]
    device: torch.device
    preserve: bool = False
    """Whether normalizations go in so that the function is preserved, because the start was trained already."""
    steps: int = 0
    forwards: int = 0
    limit: int | None = None
    """Updates that may be spent in all; None for as many as are asked for."""
    reserved: int = 0
    """Updates out of the limit that are spoken for."""
    tick: Callable[[int], None] = lambda steps: None
    keep: Callable[[Arm, float, int, Curve], None] = lambda arm, rate, seed, curve: None
    """Told of every finished curve."""
    kept: Kept = field(default_factory=Kept)
    """What earlier runs trained."""
    _digests: dict[int, str] = field(default_factory=dict)
    _curves: dict[tuple[Arm, float, int], Curve] = field(default_factory=dict)
    _starts: dict[int, float] = field(default_factory=dict)
    _inside: tuple[nn.Module, ...] = ()

    def known(self, arm: Arm, rate: float, seed: int, curve: Curve) -> None:
        """Take a curve from an earlier run for granted."""
        self._curves[arm, rate, seed] = curve

    def curve(self, arm: Arm, rate: float, seed: int, steps: int) -> Curve:
        """Train for so many steps at a learning rate, batches and random numbers chosen by ``seed``."""
        known = self._curves.get((arm, rate, seed))
        if known is None or len(known.losses) < steps:
            before = self.steps
            what = ("curve", arm, float(rate), seed, steps, self.start_digest(seed))
            known = self._curves[arm, rate, seed] = self.recall(
                what, Curve, lambda: self._train(arm, rate, seed, steps)
            )
            self.tick(self.steps - before)
            self.keep(arm, rate, seed, known)
        return known if len(known.losses) == steps else Curve(known.losses[:steps])

    def recall(self, what: tuple[Any, ...], kind: Any, make: Callable[[], Value]) -> Value:
        """What ``make`` gives, of type ``kind``, from an earlier run where it is known; it counts as much as then."""
        steps, forwards = self.steps, self.forwards

        def made() -> Spent[Value]:
            value = make()
            return Spent(value, self.steps - steps, self.forwards - forwards)

        found = self.kept.recall(what, kind, made)
        self.steps, self.forwards = steps + found.steps, forwards + found.forwards
        return found.value

    def start_digest(self, seed: int) -> str:
        """Of the weights that a seed starts from."""
        number = seed % len(self.starts)
        if number not in self._digests:
            self._digests[number] = state_digest(self.starts[number])
        return self._digests[number]

    def affords(self, steps: int) -> bool:
        """Whether so many updates are left beside what is reserved."""
        return self.limit is None or self.steps + steps <= self.limit - self.reserved

    def loss(self, draw: Draw) -> torch.Tensor:
        """The objective on a batch with the model as it is now."""
        return self.objective(self.model(*draw.args, **draw.kwargs), draw.target, draw.mask)

    def initial_loss(self, seed: int) -> float:
        """Mean loss of the start over the first batches of a seed, in training mode: what clips a curve."""
        if seed in self._starts:
            return self._starts[seed]
        what = ("start", seed, self.start_digest(seed))
        losses = self.recall(what, list[float], lambda: self._first_losses(seed))
        self._starts[seed] = sum(losses) / len(losses)
        if not math.isfinite(self._starts[seed]):
            raise UsageError(
                "cannot-train",
                "the loss of the start is not finite in every batch",
                found=", ".join(f"{loss:.4g}" for loss in losses),
                hint="look for NaN or overflow in the data, or use --evidence forward",
            )
        return self._starts[seed]

    def _first_losses(self, seed: int) -> list[float]:
        losses = []
        with self.session(seed, AS_IT_IS), torch.no_grad():
            for number, draw in enumerate(islice(self.pool.draws(seed), _CALIBRATION)):
                self.reseed(seed, number)
                losses.append(float(self.loss(draw)))
        self.forwards += len(losses)
        return losses

    @contextmanager
    def session(self, seed: int, arm: Arm) -> Iterator[list[nn.Parameter]]:
        """The model at a seed's start in training mode, with an arm's layers in; yields what is to be trained."""
        with left_as_found(self.model, self.device), torch.enable_grad():
            before = _copied(self.model)
            layers: dict[Insertion, nn.Module] = {}
            try:
                _restore(self.model, self.starts[seed % len(self.starts)])
                layers = self._layers(arm, seed)
                self._inside = tuple(layers.values())
                self.model.train()
                for layer in layers.values():
                    layer.train()
                trained = [p for p in self.model.parameters() if p.requires_grad]
                trained += [p for layer in layers.values() for p in layer.parameters()]
                with inserted(self.model, layers):
                    yield trained
            finally:
                _restore(self.model, before)
                for parameter in self.model.parameters():
                    parameter.grad = None

    def _layers(self, arm: Arm, seed: int) -> dict[Insertion, nn.Module]:
        if arm.form == "scale":
            factor = len(arm.insertions) ** -0.5
            return self._placed({each: Scale(each.channels, each.channel_axis, factor) for each in arm.insertions})
        form: Form = "preserving" if arm.form == "norm" and self.preserve else arm.form
        if form == "norm":
            return self._placed({each: normalization(each) for each in arm.insertions})
        draws = list(islice(self.pool.draws(seed), _CALIBRATION))

        def forward() -> None:
            for draw in draws:
                self.model(*draw.args, **draw.kwargs)

        self.reseed(seed, 0)
        constants = standardizations(self.model, arm.insertions, forward)
        self.forwards += len(draws)
        if form == "affine":
            return self._placed(
                {each: fixed_affine(each, constants[each], identity=self.preserve) for each in arm.insertions}
            )
        return self._placed({each: preserving(each, constants[each]) for each in arm.insertions})

    def _placed(self, layers: dict[Insertion, nn.Module]) -> dict[Insertion, nn.Module]:
        """On the model's device, in 64 bits where the model has any, else in 32: 16 are too few for statistics."""
        double = any(parameter.dtype == torch.float64 for parameter in self.model.parameters())
        dtype = torch.float64 if double else torch.float32
        return {each: layer.to(self.device, dtype) for each, layer in layers.items()}

    def _train(self, arm: Arm, rate: float, seed: int, steps: int) -> Curve:
        losses: list[float] = []
        with self.session(seed, arm) as trained:
            optimizer = self.trainer.make(trained, rate)
            seed_everything(seed)
            for number, draw in enumerate(islice(self.pool.draws(seed), steps)):
                if number < arm.warmup:
                    _set_rate(optimizer, rate * (number + 1) / arm.warmup)
                elif arm.warmup and number == arm.warmup:
                    _set_rate(optimizer, rate)
                self.reseed(seed, number)
                optimizer.zero_grad(set_to_none=True)
                loss = self.loss(draw)
                value = float(loss.detach())
                losses.append(value)
                if not math.isfinite(value):
                    break
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            held_out = self._held_out() if self.pool.held_out else None
        self.steps += len(losses)
        return Curve((*losses, *[math.nan] * (steps - len(losses))), held_out)

    @torch.no_grad()
    def _held_out(self) -> float:
        """Mean loss on what was held out, in evaluation mode."""
        self.model.eval()
        for layer in self._inside:
            layer.eval()
        losses = [(float(self.loss(draw)), draw.n) for draw in self.pool.held_out]
        self.forwards += len(losses)
        mean = sum(loss * n for loss, n in losses) / sum(n for _, n in losses)
        return mean if math.isfinite(mean) else math.nan

    def reseed(self, seed: int, step: int) -> None:
        """Give dropout the same numbers in every arm."""
        reseed((seed * 1_000_003 + step) % 2**31)


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _copied(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items() if torch.is_tensor(tensor)}


@torch.no_grad()
def _restore(model: nn.Module, state: dict[str, torch.Tensor]) -> None:
    own: dict[str, Any] = model.state_dict()
    for name, tensor in state.items():
        own[name].copy_(tensor)
