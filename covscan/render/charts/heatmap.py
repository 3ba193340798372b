"""Shift by site and checkpoint, in colours."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from covscan.render.charts.theme import colour, ramp

ROW = 20
"""Height of a row in pixels; the list of names beside it keeps the same."""
LONG_LABELS = 60


def long(headings: Sequence[str]) -> bool:
    """Whether these headings side by side take more room than there is."""
    return sum(map(len, headings)) > LONG_LABELS


def heatmap(*, tilted: bool, names: bool = False) -> Any:
    """A row of rectangles for each site, on a scale from ``lo`` to ``hi``, logarithmic where ``lo`` is above 0.

    Data ``cells``: ``row`` (number, from the top), ``name``, ``column`` (a heading), ``place`` (0 to 1 on the colour
    scale, null where nothing is coloured), ``text``, ``tone`` (of the text: 0 faint, 1 on pale, 2 on deep colours),
    ``tip``. ``names`` writes the names beside the rows; headings are ``tilted`` where they would not fit otherwise.
    """
    across = alt.X(
        "column:O",
        sort=None,
        scale=alt.Scale(paddingInner=0.04, paddingOuter=0),
        axis=alt.Axis(
            orient="top",
            title=None,
            labelAngle=-40 if tilted else 0,
            labelOverlap=True,
            labelLimit=110,
            domain=False,
            ticks=False,
        ),
    )
    axis = alt.Axis(title=None, domain=False, ticks=False, labelLimit=320, labelColor=colour("ink")) if names else None
    down = alt.Y(
        "name:N" if names else "row:O",
        sort=None if names else "ascending",
        scale=alt.Scale(paddingInner=0.1, paddingOuter=0.05),
        axis=axis,
    )
    base = alt.Chart(alt.NamedData(name="cells")).encode(x=across, y=down, tooltip=alt.Tooltip("tip:N"))
    blank = base.mark_rect(color=colour("empty"))
    scale = alt.Scale(type="linear", domain=[0, 1], clamp=True, range=ramp())
    filled = base.transform_filter("isValid(datum.place)").mark_rect()
    filled = filled.encode(color=alt.Color("place:Q", scale=scale, legend=None))
    text = base.mark_text(fontSize=11, color=colour("[muted, on_pale, on_deep][datum.tone]"))
    text = text.encode(text="text:N")
    return alt.layer(blank, filled, text).properties(width=600, height=alt.Step(ROW))
