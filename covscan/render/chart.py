"""Curves drawn with characters."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import ModuleType

from covscan.render.figures import compact
from covscan.render.look import Look

_NATURAL, _WIDEST, _ROWS = 80, 110, 16
_INDENT = 6
_UNICODE, _ASCII = ("braille", "∙", "x"), ("o", ".", "x")
_BAND_UNICODE, _BAND_ASCII = ("hd", "∙"), ("o", ".")
"""Quarters of blocks for the line that counts: more fonts have them as wide as a letter than have braille."""
_POINT_UNICODE, _POINT_ASCII = "●", "#"
_TICKS = 6
_AXIS = 9
"""Columns that the upright axis takes, at most or nearly so."""
_CLOSEST = 3
"""Columns between two points from which on they can be told apart."""


def curves(lines: Mapping[str, Sequence[float]], look: Look, across: str) -> str:
    """Up to three lines over their index, named in a legend; each has its own sign, so that no colour is needed."""
    plotext = _canvas(look)
    for (name, values), marker in zip(lines.items(), _UNICODE if look.unicode else _ASCII, strict=False):
        plotext.plot(list(range(1, len(values) + 1)), list(values), label=name, marker=marker)
    plotext.xlabel(across)
    return _drawn(plotext, look)


def band(
    lines: Sequence[Sequence[float | None]], places: Sequence[float], labels: Sequence[str], look: Look, across: str
) -> str:
    """Three lines that never cross, the middle one drawn more strongly, with a sign at each of their points.

    ``places`` are where the points stand, ascending, and ``labels`` what is written below them. A line is broken where
    a value is missing. Where evenly spread places would be too close to each other, they are spread by their logarithm
    and ``across``, which names the axis, says so.
    """
    plotext = _canvas(look)
    spread = spread_out(places, _width(look))
    strong, thin = _BAND_UNICODE if look.unicode else _BAND_ASCII
    low, middle, high = lines
    for values, marker in ((low, thin), (high, thin), (middle, strong)):
        for start, end in pairwise(range(len(values))):
            if values[start] is not None and values[end] is not None:
                plotext.plot([spread[start], spread[end]], [values[start], values[end]], marker=marker)
    for values in lines:
        known = [(place, value) for place, value in zip(spread, values, strict=True) if value is not None]
        xs, ys = [place for place, _ in known], [value for _, value in known]
        plotext.scatter(xs, ys, marker=_POINT_UNICODE if look.unicode else _POINT_ASCII)
    found = [value for values in lines for value in values if value is not None]
    _scale(plotext, min(found), max(found))
    plotext.xlim(spread[0], spread[-1])
    kept = _labelled(spread, labels, _width(look) - _AXIS)
    plotext.xticks([spread[number] for number in kept], [labels[number] for number in kept])
    plotext.xlabel(across if spread == list(places) else f"{across}, spread by its logarithm")
    return _drawn(plotext, look)


def spread_out(places: Sequence[float], width: int) -> list[float]:
    """Where points stand on an axis: where they are, or by the logarithm where some would fall together.

    The logarithm is of one plus the place in units of the first that is above 0, so that 0 has a place too.
    """
    gaps = [end - start for start, end in pairwise(places)]
    if len(gaps) < 2 or min(gaps) * (width / (places[-1] - places[0])) >= _CLOSEST or places[0] < 0:
        return list(places)
    unit = next(place for place in places if place > 0)
    return [math.log1p(place / unit) for place in places]


def _labelled(spread: Sequence[float], labels: Sequence[str], width: int) -> list[int]:
    """The points whose labels do not run into each other: the first, the last, and what fits between."""
    across = (spread[-1] - spread[0]) or 1.0
    column = [(place - spread[0]) / across * width for place in spread]
    last = len(labels) - 1
    kept = [0]
    for number in range(1, last):
        left = column[number] - column[kept[-1]]
        right = column[last] - column[number]
        fits = (len(labels[kept[-1]]) + len(labels[number])) / 2 + 1
        if left > fits and right > (len(labels[number]) + len(labels[last])) / 2 + 1:
            kept.append(number)
    return [*kept, last] if last else kept


def _scale(plotext: ModuleType, low: float, high: float) -> None:
    """The upright axis: from the least to the largest value, with short numbers; around a value that stands alone."""
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        reach = abs(low) / 2 or 0.5
        low, high = low - reach, high + reach
    ticks = [low + (high - low) * number / (_TICKS - 1) for number in range(_TICKS)]
    plotext.ylim(low, high)
    plotext.yticks(ticks, [compact(0.0 if abs(tick) < 1e-9 * (high - low) else tick) for tick in ticks])


def _width(look: Look) -> int:
    return min(_WIDEST, (look.width or _NATURAL) - _INDENT)


def _canvas(look: Look) -> ModuleType:
    import plotext

    plotext.clear_figure()
    plotext.theme("clear")
    plotext.limit_size(False, False)  # else it asks the terminal for its size, and a pipe has none
    plotext.plotsize(_width(look), _ROWS)
    return plotext


def _drawn(plotext: ModuleType, look: Look) -> str:
    drawn: str = plotext.uncolorize(plotext.build())
    if not look.unicode:
        drawn = drawn.translate(str.maketrans("┌┐└┘─│┤├┬┴┼", "++++-||||++"))
    return "\n".join(row.rstrip() for row in drawn.splitlines())
