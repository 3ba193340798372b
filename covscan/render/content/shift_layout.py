"""Which columns and rows of the shift table are shown: all of them, unless a terminal is too small."""

from collections.abc import Sequence
from dataclasses import dataclass

from covscan.render.content.places import SIDES, name_width
from covscan.render.content.shift_rows import Row
from covscan.render.figures import evenly
from covscan.render.look import Look
from covscan.render.names import columns, printable

GAP = 2
CELL = 5
NOISE = 5
EXCESS = 7
TREND = 10
TRAVELS = 8
NAMES = 0.34
"""Share of a terminal that site names may take before checkpoints have to make room for them."""

FEW_ROWS = 24
MANY_ROWS = 40


@dataclass(frozen=True, slots=True)
class Layout:
    """``kept`` are indices of checkpoint columns, ``trend`` the number of signs in the trend, 0 for none."""

    site: int | None
    kept: list[int]
    trend: int
    noise: bool
    excess: bool
    travels: bool = False


def plan(rows: Sequence[Row], labels: Sequence[str], look: Look, *, course: bool) -> Layout:
    """Everything where nothing limits the width; else the parts worth most, the checkpoints spread evenly.

    Two sides have no ``course`` that a trend could show.
    """
    trend = min(len(labels) + 1, TREND) if course else 0
    travels = any(row.travels is not None for row in rows)
    has_excess = any(row.excess is not None for row in rows)
    least = name_width([row.site.site for row in rows], look, NAMES)
    if look.width is None or least is None:
        return Layout(None, list(range(len(labels))), trend, noise=True, excess=has_excess, travels=travels)
    cell = max(CELL, *(columns(label) for label in labels)) + GAP
    excess = (EXCESS + GAP if has_excess else 0) + (TRAVELS + GAP if travels else 0)
    sides = max((len(SIDES[row.site.position]) for row in rows), default=0) + GAP
    for trend_width, noise_width in ((trend + GAP if course else 0, NOISE + GAP), (0, NOISE + GAP), (0, 0)):
        room = look.width - least - sides - excess - trend_width - noise_width
        if room // cell >= min(2, len(labels)):
            break
    kept = evenly(len(labels), max(room // cell, 1))
    longest = max((columns(printable(row.site.site)) for row in rows), default=0)
    site = min(longest, max(least, least + room - len(kept) * cell))
    return Layout(site, kept, max(trend_width - GAP, 0), noise=noise_width > 0, excess=has_excess, travels=travels)


def loudest(rows: Sequence[Row], look: Look) -> list[Row]:
    """All rows; of a long table on a terminal only those with the largest shifts, still in network order."""
    if not look.brief or len(rows) <= FEW_ROWS:
        return list(rows)
    loud = sorted((row for row in rows if row.significant), key=lambda row: row.top, reverse=True)
    kept = {id(row) for row in loud[:MANY_ROWS]}
    return [row for row in rows if id(row) in kept]
