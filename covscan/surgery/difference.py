"""How far the outputs of two networks are apart, over the sample data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UNCHANGED = 1e-4
"""Below this difference, in standard deviations of the outputs, a function is called unchanged."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Largest and mean absolute difference of the outputs, as they are and in standard deviations of the outputs.

    Of several outputs each has its own standard deviation, and the largest value counts. ``relative`` is None where
    outputs differ that do not vary, or differ in shape or in which values are finite.
    """

    largest: float
    mean: float
    relative: float | None
    relative_mean: float | None
    samples: int
    values: int

    @property
    def unchanged(self) -> bool:
        """Whether the function may be called the same."""
        return self.relative is not None and self.relative < UNCHANGED


class Differences:
    """Adds up batch after batch; everything is kept in float64."""

    def __init__(self) -> None:
        self._outputs: list[_Output] = []
        self._samples = 0
        self._torn = False

    def add(
        self, first: Sequence[npt.NDArray[np.generic]], second: Sequence[npt.NDArray[np.generic]], samples: int
    ) -> None:
        """Take the outputs of both networks for one batch, in the same order."""
        self._samples += samples
        if [array.shape for array in first] != [array.shape for array in second]:
            self._torn = True
            return
        self._outputs += [_Output() for _ in range(len(first) - len(self._outputs))]
        for output, one, two in zip(self._outputs, first, second, strict=False):
            output.add(one.astype(np.float64), two.astype(np.float64))

    def result(self) -> Difference:
        """Over everything that was added."""
        values = sum(output.count for output in self._outputs)
        relative = [output.relative(output.largest) for output in self._outputs]
        means = [output.relative(output.total / max(output.count, 1)) for output in self._outputs]
        torn = self._torn or not values or any(output.torn for output in self._outputs)
        return Difference(
            largest=max((output.largest for output in self._outputs), default=0.0),
            mean=sum(output.total for output in self._outputs) / max(values, 1),
            relative=None if torn else _most(relative),
            relative_mean=None if torn else _most(means),
            samples=self._samples,
            values=values,
        )


class _Output:
    """One output: its variance, and what it differs by."""

    def __init__(self) -> None:
        self.count, self.largest, self.total, self.torn = 0, 0.0, 0.0, False
        self._mean, self._squares = 0.0, 0.0

    def add(self, one: npt.NDArray[np.float64], two: npt.NDArray[np.float64]) -> None:
        finite = np.isfinite(one) & np.isfinite(two)
        self.torn |= not np.array_equal(one[~finite], two[~finite], equal_nan=True)
        one, two = one[finite], two[finite]
        if not one.size:
            return
        apart = np.abs(one - two)
        self.largest = max(self.largest, float(apart.max()))
        self.total += float(apart.sum())
        mean, count = float(one.mean()), self.count + one.size
        self._squares += float(np.square(one - mean).sum())
        self._squares += (mean - self._mean) ** 2 * (self.count * one.size / count)
        self._mean += (mean - self._mean) * (one.size / count)
        self.count = count

    def relative(self, apart: float) -> float | None:
        """In standard deviations of this output; None where it has none."""
        deviation = math.sqrt(self._squares / self.count) if self.count else 0.0
        return apart / deviation if deviation else (0.0 if apart == 0 else None)


def _most(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known, default=0.0) if len(known) == len(values) else None
