"""Statistics of a site at a checkpoint, computed again from each other."""

import math
from collections.abc import Iterator
from itertools import pairwise

from covscan.explain.arithmetic import ROUNDING, computed, exact, holds
from covscan.explain.channels import from_channels
from covscan.report.explanation import Check
from covscan.report.types import Site, Statistics

KEPT_VALUES, KEPT_CHANNELS = 2**17, 512
LEAST_ROWS, MOST_ROWS = 256, 4096
"""What a sample of rows holds; a test compares it with the sample itself."""
ORDER = ("min", "p1", "p5", "p15", "p25", "p50", "p75", "p85", "p95", "p99", "max")


def checks(site: Site, found: Statistics, positions: int | None) -> dict[str, list[Check]]:
    """What can be computed again, by the statistic's name; at most ``positions`` rows were read of a sample."""
    made: dict[str, list[Check]] = {}
    for name, check in (*_from_others(found), *_counts(site, found, positions), *from_channels(found)):
        made.setdefault(name, []).append(check)
    return made


def rows_read(site: Site, found: Statistics) -> float | None:
    """How many rows of channels were read, from the number of finite values; None where none was finite."""
    if not found.count or found.nonfinite_share >= 1:
        return None
    return found.count / (1.0 - found.nonfinite_share) / site.channels


def rows_kept(site: Site, found: Statistics) -> int | None:
    """How many of them are in the sample that percentiles and directions come from."""
    read = rows_read(site, found)
    capacity = min(max(KEPT_VALUES // min(site.channels, KEPT_CHANNELS), LEAST_ROWS), MOST_ROWS)
    return None if read is None else min(round(read), capacity)


def _from_others(found: Statistics) -> Iterator[tuple[str, Check]]:
    scale, square = found.channel_scale, found.channel_mean_square
    if found.mean_to_variance is not None and scale and square is not None:
        parts = {"square": square, "scale": scale}
        formula = "channel_mean_square / channel_scale"
        stated = found.mean_to_variance
        yield (
            "mean_to_variance",
            computed(formula, "{square} / {scale}", lambda square, scale: square / scale, parts, stated),
        )
    if None not in {found.std, found.mean, scale, square} and found.nonfinite_share == 0:
        yield "std", _std(found.mean or 0.0, scale or 0.0, square or 0.0, found.std or 0.0)
    known = [(name, value) for name in ORDER if (value := getattr(found, name)) is not None]
    if len(known) > 1:
        rising = all(a <= b + 2 * ROUNDING * max(abs(a), abs(b)) for (_, a), (_, b) in pairwise(known))
        numbers = " <= ".join(exact(value) for _, value in known)
        yield "p50", holds("min <= p1 <= … <= p99 <= max", numbers, "in order", true=rising)


def _std(mean: float, scale: float, square: float, stated: float) -> Check:
    """The spread over all values, where each channel has as many of them."""
    return computed(
        "sqrt(channel_scale + channel_mean_square - mean^2)",
        "sqrt({scale} + {square} - {mean}^2)",
        lambda scale, square, mean: math.sqrt(max(scale + square - mean**2, 0.0)),
        {"scale": scale, "square": square, "mean": mean},
        stated,
    )


def _counts(site: Site, found: Statistics, positions: int | None) -> Iterator[tuple[str, Check]]:
    rows = rows_read(site, found)
    if rows is None:
        return
    finite = 1.0 - found.nonfinite_share
    whole = abs(rows - round(rows)) <= max(1e-9, 2 * ROUNDING * found.nonfinite_share / finite) * rows
    most = None if positions is None else found.samples * positions
    fits = most is None or round(rows) <= most
    limit = "" if most is None else f", at most {found.samples:,} samples x {positions} positions = {most:,}"
    numbers = f"{found.count:,} values / {site.channels} channels = {exact(rows)} rows{limit}"
    if found.nonfinite_share:
        numbers = (
            f"{found.count:,} / (1 - {exact(found.nonfinite_share)}) / {site.channels} = {exact(rows)} rows{limit}"
        )
    yield (
        "count",
        holds("whole rows of channels, no more than were to be read", numbers, f"{found.count}", true=whole and fits),
    )
