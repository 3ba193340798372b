"""How far a comparison of two sides would move with other samples: replicates of both, and the error they give."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from covscan.measures.replicates import FEWEST_GROUPS, Groups, groups_of, jackknife_error, student_quantile
from covscan.stats import SiteSummary

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sampling:
    """The groups of samples of either side, and whether they are the same samples.

    Replicates of a statistic stand in this order along axis 0: of everything first, then, where both sides saw the
    same samples, one without each group on both sides (the paired jackknife); where they saw samples of their own, one
    without each group of the first side, then one without each group of the second.
    """

    a: Groups
    b: Groups
    paired: bool

    @property
    def enough(self) -> bool:
        """Whether there are groups enough on both sides for an interval worth printing."""
        return min(self.a.count, self.b.count) >= FEWEST_GROUPS

    def weights(self) -> tuple[Float64, Float64]:
        """(replicates, blocks) of 0 and 1 for either side."""
        if self.paired:
            both = np.concatenate([self.a.everything(), self.a.leave_one_out()])
            return both, both
        all_a, all_b = self.a.everything(), self.b.everything()
        return (
            np.concatenate([all_a, self.a.leave_one_out(), np.repeat(all_a, self.b.count, axis=0)]),
            np.concatenate([all_b, np.repeat(all_b, self.a.count, axis=0), self.b.leave_one_out()]),
        )

    def error(self, replicates: Float64) -> Float64:
        """Standard error along axis 0: of paired samples by one jackknife, of independent ones by two, squares added.

        0 where a side has fewer than two groups.
        """
        error: Float64 = np.sqrt(sum(np.square(part) for part in self._parts(replicates)))
        return error

    def half_width(self, replicates: Float64) -> float | None:
        """Half of the 95 % interval of a number, None where there are too few groups or a replicate is not finite.

        By Student's t; for independent samples with the degrees of freedom of Welch (1947) and Satterthwaite (1946).
        """
        if not self.enough or not np.isfinite(replicates).all():
            return None
        squares = [float(np.square(part)) for part in self._parts(replicates)]
        if sum(squares) == 0.0:
            return 0.0
        counts = [self.a.count] if self.paired else [self.a.count, self.b.count]
        freedom = sum(squares) ** 2 / sum(
            square**2 / (count - 1) for square, count in zip(squares, counts, strict=True)
        )
        return student_quantile(0.975, freedom) * math.sqrt(sum(squares))

    def _parts(self, replicates: Float64) -> list[Float64]:
        """The jackknife errors of each source of chance."""
        without = replicates[1:]
        if self.paired:
            return [_error(without)]
        return [_error(without[: self.a.count]), _error(without[self.a.count :])]

    def same(self, other: "Sampling") -> bool:
        """Whether replicates of both leave out the same samples, so that they can be combined one by one."""
        return (
            self.paired == other.paired
            and np.array_equal(self.a.member, other.a.member)
            and np.array_equal(self.b.member, other.b.member)
        )


def _error(without: Float64) -> Float64:
    return jackknife_error(without) if len(without) > 1 else np.zeros(without.shape[1:])


def sampling_of(a: SiteSummary, b: SiteSummary, most: int, *, paired: bool) -> Sampling:
    """Deal the blocks of samples into at most ``most`` groups: the shared ones, or those of either side."""
    of_a, of_b = a.moments.count.sum(axis=1) > 0, b.moments.count.sum(axis=1) > 0
    if paired:
        shared = groups_of(of_a & of_b, most)
        return Sampling(shared, shared, paired=True)
    return Sampling(groups_of(of_a, most), groups_of(of_b, most), paired=False)
