"""What probes and trials found, as plain values. Needs neither torch nor numpy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from covscan.surgery.types import Insertion

MATERIAL = 0.02
"""A gain below two percent of the area under the loss is not worth a change of the model."""
Tier = Literal["gradient", "probe", "trial"]
Place = tuple[str, str]
"""Name of a module, and "before" or "after"."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A relative change, positive where the loss gets smaller, with a 90 % interval; at most 1.

    ``low`` and ``high`` are None where there was no repetition to take an interval from.
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceTrial:
    """What training with a normalization at one place gave.

    ``probe`` is the change of the loss after one step, ``gain`` that of the area under the training loss at the best
    learning rate of either arm, ``outlook`` the same over the rates around the best, by which places are ordered,
    ``at_rate`` at the user's own rate. ``affine`` is the gain of the fixed affine with the
    same initial standardization, ``over_affine`` that of the normalization over it. ``stays_first`` is the share of
    redraws of the seeds in which no other place gains more; ``exchangeable`` says that it cannot be told from the
    best. ``horizon`` is how many steps its curves have, ``seeds`` how often it was repeated; ``rate`` its best learning
    rate.
    """

    insertion: Insertion
    probe: Estimate | None = None
    gain: Estimate | None = None
    outlook: float | None = None
    at_rate: Estimate | None = None
    affine: Estimate | None = None
    over_affine: Estimate | None = None
    stays_first: float | None = None
    exchangeable: bool = False
    horizon: int = 0
    seeds: int = 0
    rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """The training evidence of a run.

    ``tier`` is what the places were judged by in the end. ``intervention`` is "from the start" where the
    normalizations were in from the initial weights on, "into a checkpoint" where they were put into trained weights
    so that the function was kept; ``start`` says which weights. ``places`` are all places, ``everywhere`` the gain
    of a normalization behind every layer at once, ``last`` the last place in front of the head. ``rivals`` are
    cheaper remedies with what they gain. The curves are mean training losses over the seeds, step by step and
    clipped at the loss of the start, without a normalization and with the best one, each at its best rate. ``rate``
    is the user's learning rate, ``best_rate`` the best one found without a normalization. ``steps`` were spent on
    training, ``forwards`` on other evaluations, in batches; ``budget`` is the most steps that would have been spent.
    Areas are those of a training of ``area_steps``: what a trial did not train counts at the level that it ends on.
    """

    tier: Literal["probe", "trial"]
    intervention: Literal["from the start", "into a checkpoint"]
    start: str
    loss: str
    optimizer: str
    rate: float | None
    best_rate: float | None
    batch_size: int
    samples: int
    places: tuple[PlaceTrial, ...]
    everywhere: Estimate | None = None
    last: Place | None = None
    rivals: Mapping[str, Estimate] = field(default_factory=dict)
    curve_without: tuple[float, ...] = ()
    curve_with: tuple[float, ...] = ()
    area_steps: int = 0
    steps: int = 0
    forwards: int = 0
    budget: int = 0
    notes: tuple[str, ...] = ()

    def final(self) -> tuple[PlaceTrial, ...]:
        """The places that the verdict is about: those of the last round of a trial, or all that were probed."""
        if self.tier == "probe":
            return self.places
        longest = max((each.horizon * each.seeds for each in self.places), default=0)
        return tuple(each for each in self.places if each.gain is not None and each.horizon * each.seeds == longest)

    def of(self, site: str, position: str) -> PlaceTrial | None:
        """The trial of one place, None where it was not tried."""
        return next((each for each in self.places if each.insertion.place == (site, position)), None)


@dataclass(frozen=True, slots=True)
class Question:
    """What to try: places in the order in which they are expected to gain, and what to compare them with.

    ``others`` are the next best kinds by place, ``everywhere`` what is put in all at once, ``last`` the last place in
    front of the head; ``branches`` the ends of residual branches whose stream grows too fast, where it does.
    """

    places: tuple[Insertion, ...]
    others: Mapping[Place, Insertion]
    everywhere: tuple[Insertion, ...]
    last: Place | None
    branches: tuple[Insertion, ...] = ()
