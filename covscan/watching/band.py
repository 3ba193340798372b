"""When a site leaves the band that its own earlier checkpoints kept to."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from covscan.capture.types import SiteKey
from covscan.engine.entries import Moved
from covscan.engine.shifts import PRIMARY
from covscan.engine.site_work import SiteFacts
from covscan.measures.result import Result
from covscan.render.figures import percent
from covscan.watching.following import Measured

FEWEST, FEWEST_STEPS = 3, 2
"""Earlier checkpoints, and steps between them, from which on there is a band."""
FACTOR, FACTOR_OUTSIDE = 2.0, 1.5
"""How many times the largest earlier step a step must be, by the lower end of its interval; and where its median left
the percentiles of before."""


@dataclass(frozen=True, slots=True)
class Departure:
    """A site that left its band at a checkpoint.

    ``step`` is the Gaussian W2 distance from the checkpoint before, ``usual`` what the largest step before would be
    over as much training; ``why`` says it in words where it is no step that tells; ``median`` and ``band`` are there
    where the median left the percentiles of all earlier checkpoints.
    """

    site: str
    position: str
    checkpoint: str
    step: float
    usual: float
    why: str | None = None
    median: float | None = None
    band: tuple[float, float] | None = None


def departures(measured: Sequence[Measured], place: int) -> list[Departure]:
    """The sites that left their band at the checkpoint in this place of the series, the largest step first.

    A step is the Gaussian W2 distance between a checkpoint and the one before. A site leaves its band where the step is
    significant (its whole 95 % interval lies above the noise floor, and it matters) and

    - that interval lies above twice the largest step before, or
    - it lies above one and a half times that, and the median left what the 15th to 85th percentiles of all earlier
      checkpoints cover, by more than the noise floor.

    It also leaves it where values became NaN or infinite that were not before, or where it can be compared no more.

    Why so: the interval and the floor keep the noise of few samples out; the site's own steps are the measure, since a
    site that always moves by 1 has not left anything when it moves by 1 again. A step over more training may be larger
    in proportion: checkpoints that get rarer show longer steps without a fault. A step from an untrained start (step 0)
    does not count, since everything moves then. Nothing is said before there are three checkpoints and two steps that
    count.
    """
    earlier, now = measured[:place], measured[place]
    steps = [number for number in range(1, place) if measured[number - 1].step != 0]
    if len(earlier) < FEWEST or len(steps) < FEWEST_STEPS:
        return []
    step_of = {number: _by_key(measured[number].moved[measured[number - 1].path]) for number in steps}
    scale = {number: _more_training(measured, number, place) for number in steps}
    facts = [dict(each.facts.sites) for each in earlier]
    found = []
    for key, moved in _by_key(now.moved[earlier[-1].path]).items():
        step = moved.measures.get(PRIMARY)
        why = _lost(key, step, now, earlier, step_of[steps[-1]].get(key))
        if why is not None:
            found.append(Departure(key.site, key.position, now.name, math.inf, 0.0, why))
            continue
        before = [
            value * scale[number]
            for number in steps
            if (value := _value(step_of[number].get(key))) is not None
        ]  # fmt: skip
        if step is None or not step.significant or step.low is None or step.value is None or not before:
            continue
        usual = max(before)
        left = _left(key, now, [each[key] for each in facts if key in each])
        if step.low > FACTOR * usual or (left is not None and step.low > FACTOR_OUTSIDE * usual):
            median, band = left or (None, None)
            found.append(Departure(key.site, key.position, now.name, step.value, usual, None, median, band))
    return sorted(found, key=lambda each: -each.step)


def _lost(
    key: SiteKey, step: Result | None, now: Measured, earlier: Sequence[Measured], before: Moved | None
) -> str | None:
    """What became of a site that lost its values: they are no longer finite, or there is nothing left to compare."""
    shares = [
        dict(each.facts.sites)[key].fields["nonfinite_share"] for each in earlier if key in dict(each.facts.sites)
    ]
    share = dict(now.facts.sites)[key].fields["nonfinite_share"]
    if share and not any(shares):
        return f"{percent(share)} of its values are NaN or infinite, and none were before"
    if step is not None and step.value is None and _value(before) is not None:
        return f"it can be compared no more ({step.status})"
    return None


def _left(key: SiteKey, now: Measured, earlier: Sequence[SiteFacts]) -> tuple[float, tuple[float, float]] | None:
    """The median and the band of all earlier checkpoints, where it is outside of that by more than the noise floor."""
    facts = dict(now.facts.sites)[key]
    median, spread = facts.fields.get("p50"), facts.fields.get("std")
    low = [each.fields["p15"] for each in earlier if each.fields.get("p15") is not None]
    high = [each.fields["p85"] for each in earlier if each.fields.get("p85") is not None]
    noise = facts.noise.get(PRIMARY)
    if median is None or spread is None or noise is None or not low or not high:
        return None
    margin = noise * spread
    band = min(low), max(high)
    return (median, band) if median < band[0] - margin or median > band[1] + margin else None


def _more_training(measured: Sequence[Measured], number: int, place: int) -> float:
    """How many times as much training lies before the checkpoint in ``place`` as before an earlier one; 1 at least."""
    spans = []
    for each in (number, place):
        start, end = measured[each - 1].step, measured[each].step
        if start is None or end is None or end <= start:
            return 1.0
        spans.append(end - start)
    return max(spans[1] / spans[0], 1.0)


def _by_key(moved: Sequence[Moved]) -> Mapping[SiteKey, Moved]:
    return {each.key: each for each in moved}


def _value(moved: Moved | None) -> float | None:
    step = None if moved is None else moved.measures.get(PRIMARY)
    return None if step is None else step.value
