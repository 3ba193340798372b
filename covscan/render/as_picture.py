"""The heatmap and the bands as one picture, for a README or a slide."""

from typing import Any

from covscan.render import picture_rows
from covscan.render.content import shifts
from covscan.render.content.scales import scale
from covscan.render.content.shift_rows import FALLBACK, PRIMARY, rows, uses_fallback
from covscan.render.figures import counted
from covscan.render.look import Look
from covscan.render.picture_rows import Record
from covscan.report.types import Report

SCALE_FACTOR = 2.0
"""Pixels for one of the picture: sharp on a slide."""
WHITE = "#ffffff"
CELL, LEAST_WIDTH, MOST_WIDTH = 70, 240, 900
BAND_WIDTH, BAND_HEIGHT, BAND_NAME = 250, 150, 36


def render_png(report: Report, _look: Look) -> bytes:
    """As pixels, on white."""
    import vl_convert

    content: bytes = vl_convert.vegalite_to_png(_picture(report), scale=SCALE_FACTOR)
    return content


def render_svg(report: Report, _look: Look) -> str:
    """As vectors, on white."""
    import vl_convert

    content: str = vl_convert.vegalite_to_svg(_picture(report))
    return content if content.endswith("\n") else content + "\n"


def _picture(report: Report) -> dict[str, Any]:
    """The specification with its data in it."""
    import altair as alt

    from covscan.render.charts import theme

    data: dict[str, list[Record]] = {}
    parts = [*_heat(report, data), *_bands(report, data)]
    if not parts:
        data["none"] = []
        parts = [alt.Chart(alt.NamedData(name="none"), title="Nothing was measured").mark_point()]
    spec = theme.finished(alt.vconcat(*parts, spacing=26).properties(padding=16))
    return {**spec, "background": WHITE, "datasets": {**spec.get("datasets", {}), **data}}


def _heat(report: Report, data: dict[str, list[Record]]) -> list[Any]:
    """Nothing where there is no pair of checkpoints, or no site."""
    import altair as alt

    from covscan.render.charts import heatmap

    found = rows(report, verbose=False) if len(report.checkpoints) > 1 else []
    if not found:
        return []
    shown = picture_rows.loudest(found)
    measure = scale(FALLBACK if uses_fallback(report.shifts) else PRIMARY)
    across = picture_rows.headings(report)[1:]
    data["cells"] = picture_rows.cells(shown, across, measure)
    below = f"{measure.title} in {measure.unit}; · is within noise or too small to matter"
    if len(shown) < len(found):
        below = f"{len(shown)} of {counted(len(found), 'site')}, the largest shifts. {below}"
    title = alt.TitleParams(text=shifts.title(report), subtitle=below, frame="group", offset=8)
    width = max(min(len(across) * CELL, MOST_WIDTH), LEAST_WIDTH)
    return [heatmap.heatmap(tilted=heatmap.long(across), names=True).properties(width=width, title=title)]


def _bands(report: Report, data: dict[str, list[Record]]) -> list[Any]:
    """The bands of the sites that a reader asks about first, side by side."""
    import altair as alt

    from covscan.render.charts import site as charts

    drawn = []
    for place, site in enumerate(picture_rows.asked_about(report)):
        key = f"bands_{place}"
        data[key] = picture_rows.bands(report, site)
        name = picture_rows.distinct([picture_rows.named(site)], BAND_NAME)[0]
        title = alt.TitleParams(text=name, frame="group", fontSize=11, fontWeight="normal")
        chart = charts.bands(data=key).properties(width=BAND_WIDTH, height=BAND_HEIGHT, title=title)
        drawn.append(chart)
    said = alt.TitleParams(text="15th, 50th and 85th percentile of the values")
    return [alt.hconcat(*drawn, spacing=24).properties(title=said)] if drawn else []
