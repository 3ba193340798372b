"""Colours and lettering of every chart; the page sets the same parameters anew for its dark scheme."""

from typing import Any

import altair as alt

from covscan.render.charts.steps import STEPS

LIGHT: dict[str, Any] = {
    "ink": "#1b1f24",
    "muted": "#57606a",
    "line": "#d8dee4",
    "accent": "#0b5cad",
    "second": "#b3470a",
    "empty": "#f3f5f7",
    "on_pale": "#14181d",
    "on_deep": "#ffffff",
    "ramp": ["#ffffd9", "#edf8b1", "#c7e9b4", "#7fcdbb", "#41b6c4", "#1d91c0", "#225ea8", "#253494", "#081d58"],
}
"""The ramp is ColorBrewer's YlGnBu, which is monotone in lightness and safe for colour-blind readers."""


FONT = "system-ui, 'Segoe UI', 'Liberation Sans', Arial, sans-serif"


def colour(name: str) -> alt.ExprRef:
    """The colour that a parameter holds."""
    return alt.ExprRef(expr=name)


def ramp() -> list[alt.ExprRef]:
    """The steps of the sequential scale, pale (or dark, on a dark page) for little."""
    return [alt.ExprRef(expr=f"ramp[{step}]") for step in range(STEPS)]


NUMBER = (
    "datum.label === '' ? '' : datum.value != 0 && (abs(datum.value) >= 1e5 || abs(datum.value) < 1e-3) "
    "? format(datum.value, '.0e') : format(datum.value, '~r')"
)
"""A number at an axis: plain as long as it is of a common size; where the scale leaves a label out, so does this."""


def numbers(ticks: int, title: str | None = None) -> alt.Axis:
    """An upright axis with a grid."""
    return alt.Axis(title=title, grid=True, tickCount=ticks, labelExpr=NUMBER)


def finished(chart: Any) -> dict[str, Any]:
    """The chart's specification, with the colours as its parameters, and lettering and axes in them."""
    axis = alt.AxisConfig(
        labelColor=colour("muted"),
        titleColor=colour("muted"),
        titleFontWeight="normal",
        titleFontSize=11,
        labelFontSize=11,
        gridColor=colour("line"),
        domainColor=colour("line"),
        tickColor=colour("line"),
        gridOpacity=0.6,
        titlePadding=6,
        grid=False,
    )
    legend = alt.LegendConfig(labelColor=colour("ink"), titleColor=colour("muted"), labelFontSize=11, orient="top")
    config = alt.Config(
        axis=axis,
        legend=legend,
        font=FONT,
        background="transparent",
        view=alt.ViewConfig(stroke=None),
        title=alt.TitleConfig(
            color=colour("ink"), anchor="start", fontSize=13, subtitleColor=colour("muted"), subtitleFontSize=11
        ),
    )
    spec: dict[str, Any] = chart.properties(config=config).to_dict()
    colours = [{"name": name, "value": value} for name, value in LIGHT.items()]
    return {**spec, "params": [*colours, *spec.get("params", [])]}


def fitted(chart: Any) -> dict[str, Any]:
    """The same, with axes and labels within the width that the page has for it."""
    return {**finished(chart), "autosize": {"type": "fit-x", "contains": "padding"}}
