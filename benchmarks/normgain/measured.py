"""The truth as it is scored against: networks with the gains of their places."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

WORTH = 0.05
"""A gain above this is one; a network whose best place stays at or below it has nothing to gain."""
CLEAR = 2.0
"""The places of a network are ranked where their gains spread by more than so many standard errors."""

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Measured:
    """One network: its places in order of execution, and what a normalization gained at each."""

    number: int
    family: str
    places: tuple[Key, ...]
    gains: tuple[float, ...]
    by_seed: np.ndarray
    """Of shape (places, seeds)."""
    offered: tuple[bool, ...]
    orders: tuple[int, ...]
    everywhere: float
    affine: float
    updates: int

    @property
    def best(self) -> float:
        return max(self.gains)

    @property
    def healthy(self) -> bool:
        """Whether no place gains more than 5 %."""
        return self.best <= WORTH

    @property
    def ranked(self) -> list[int]:
        """The places that covscan offers, by their numbers."""
        return [number for number, offered in enumerate(self.offered) if offered]

    @property
    def error(self) -> float:
        """Standard error of a place's gain among the others': what seeds add beyond shifting all places alike."""
        return ranking_error(self.by_seed[self.ranked])

    @property
    def rankable(self) -> bool:
        """Whether three places at least are offered and their gains differ by more than chance."""
        gains = [self.gains[number] for number in self.ranked]
        return len(gains) >= 3 and float(np.std(gains, ddof=1)) > CLEAR * self.error


def ranking_error(by_seed: np.ndarray) -> float:
    """Standard error of a row's mean, from what is left of (places, seeds) without the means of rows and columns."""
    places, seeds = by_seed.shape
    if places < 2 or seeds < 2:
        return math.inf
    left = by_seed - by_seed.mean(1, keepdims=True) - by_seed.mean(0, keepdims=True) + by_seed.mean()
    return math.sqrt(float((left**2).sum()) / ((places - 1) * (seeds - 1)) / seeds)


def measured(record: Mapping[str, Any]) -> Measured:
    """One line of the truth."""
    places = record["places"]
    return Measured(
        number=record["number"],
        family=record["family"],
        places=tuple((place["site"], place["position"]) for place in places),
        gains=tuple(place["gain"]["value"] for place in places),
        by_seed=np.array([place["gain"]["by_seed"] for place in places]),
        offered=tuple(place["offered"] for place in places),
        orders=tuple(2 * place["order"] + (place["position"] == "after") for place in places),
        everywhere=record["all"]["gain"]["value"],
        affine=record["affine"]["gain"]["value"],
        updates=record["updates"],
    )


def others_mean(by_seed: np.ndarray, seed: int) -> list[float]:
    """Each place's gain without one seed."""
    return [fmean(float(gain) for other, gain in enumerate(row) if other != seed) for row in by_seed]
