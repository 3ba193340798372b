"""A budget measured from a report, ready to paste into a configuration."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from covscan.config.policy import Budget
from covscan.gate import limits, readings, sentences
from covscan.gate.limits import Limit
from covscan.render.names import printable
from covscan.report.types import Report

SLACK = 1.25
"""Above the upper end of the interval, which is about these samples alone: another seed trains another network."""
SHAPES = {
    "worst-shift": Budget(measure="gaussian_w2"),
    "median-shift": Budget(measure="gaussian_w2", over="median"),
    "own-shift": Budget(measure="excess_shift"),
}
DIGITS = 2


@dataclass(frozen=True, slots=True)
class Proposal:
    """A budget that the report meets, and what its limit is above."""

    name: str
    budget: Budget
    now: str


def proposals(report: Report) -> Iterator[Proposal]:
    """A limit a quarter above each shift from the first checkpoint to the last; none where nothing was measured.

    Every limit is finite, above 0, and met by the report.
    """
    for name, shape in SHAPES.items():
        found = readings.of_measure(report, shape)
        if not found.tensors:
            continue
        if shape.over == "median":
            estimate = limits.median(found.tensors, Limit(math.inf, upper=True))
            high = estimate.high
        else:
            estimate = limits.worst(found.tensors, Limit(math.inf, upper=True))
            high = max(reading.high for tensor in found.tensors for reading in tensor)
        if 0 < high < math.inf:
            limit = _rounded_up(high * SLACK)
            budget = Budget(measure=shape.measure, over=shape.over, max=limit)
            yield Proposal(name, budget, sentences.measured(budget, estimate, len(found.tensors)))


def as_toml(report: Report) -> str:
    """The proposals as tables of a covscan.toml; empty where there are none."""
    return "\n".join(_table(each) for each in proposals(report))


def _table(proposal: Proposal) -> str:
    budget = proposal.budget
    over = [] if budget.over is None else [f'over = "{budget.over}"']
    rows = [
        f"[budgets.{proposal.name}]",
        f'measure = "{budget.measure}"',
        *over,
        f"max = {budget.max}  # now {printable(proposal.now)}",
    ]
    return "\n".join(rows) + "\n"


def _rounded_up(value: float) -> float:
    """The next number of two significant digits."""
    exponent = math.floor(math.log10(value)) - DIGITS + 1
    return round(math.ceil(round(value / 10**exponent, 6)) * 10**exponent, max(-exponent, 0))
