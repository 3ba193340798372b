"""The network as a whole: its scale over depth, and what a trial's losses did."""

from typing import Any

import altair as alt

from covscan.render.charts.theme import colour, numbers

PALE = 0.55


def profile() -> Any:
    """A quantity of each site over the depth of the network, with the normalizations that are there.

    Data ``depth``: ``index`` (place in the network, from 0), ``value`` above 0, ``number`` (0 the first checkpoint, 1
    the last), ``tip``. Data ``norms``: ``index``, ``tip``. Parameters: ``most``, the last
    place; ``labels``, what is written at each; ``tilt``, by how much.
    """
    across = alt.X(
        "index:Q",
        scale=alt.Scale(domain=[0, alt.ExprRef("most")], nice=False),
        axis=alt.Axis(
            title=None,
            tickMinStep=1,
            tickCount=alt.ExprRef("min(most + 1, 24)"),
            labelExpr="labels[datum.value] || ''",
            labelAngle=alt.ExprRef("tilt"),
            labelOverlap=True,
            labelLimit=130,
            labelAlign="right",
            labelBaseline="middle",
        ),
    )
    up = alt.Y(
        "value:Q",
        title=None,
        scale=alt.Scale(type="log", nice=False),
        axis=numbers(5),
    )
    base = alt.Chart(alt.NamedData(name="depth")).encode(
        x=across,
        y=up,
        color=alt.Color("number:N", legend=None, scale=_pair()),
        tooltip=alt.Tooltip("tip:N"),
    )
    lines = base.mark_line(strokeWidth=1.6, opacity=0.8)
    points = base.mark_point(filled=True, size=42, opacity=1, cursor="pointer").encode(
        shape=alt.Shape("number:N", legend=None, scale=alt.Scale(domain=[0, 1], range=["square", "circle"]))
    )
    norms = (
        alt.Chart(alt.NamedData(name="norms"))
        .mark_rule(color=colour("muted"), strokeDash=[2, 3], strokeWidth=1.5, opacity=PALE)
        .encode(x=across, tooltip=alt.Tooltip("tip:N"))
    )
    return alt.layer(norms, lines, points).properties(width=900, height=240).add_params(*_places())


def _places() -> list[alt.Parameter]:
    found = {"most": 1, "labels": [], "tilt": -35}
    return [alt.param(name=name, value=value) for name, value in found.items()]


def curves() -> Any:
    """Training loss by step, without (0) and with (1) a normalization.

    Data ``curves``: ``step``, ``loss``, ``number``, ``tip``.
    """
    base = alt.Chart(alt.NamedData(name="curves")).encode(
        x=alt.X("step:Q", title="training step", axis=alt.Axis(tickMinStep=1, format="d")),
        y=alt.Y("loss:Q", title="training loss", scale=alt.Scale(zero=False), axis=numbers(5, "training loss")),
        color=alt.Color("number:N", legend=None, scale=_pair()),
        tooltip=alt.Tooltip("tip:N"),
    )
    dash = alt.StrokeDash("number:N", legend=None, scale=alt.Scale(domain=[0, 1], range=[[5, 3], [1, 0]]))
    return base.mark_line(strokeWidth=2).encode(strokeDash=dash).properties(width=900, height=240)


def _pair() -> alt.Scale:
    return alt.Scale(domain=[0, 1], range=[colour("second"), colour("accent")])
