"""One site over the checkpoints: percentile bands, the whole spread, and how its scale and gradient went."""

from typing import Any

import altair as alt

from covscan.render.charts.theme import colour, numbers

WIDTH, HEIGHT = 460, 180
SHAPES = ("circle", "square")


def _across() -> alt.X:
    return alt.X("at:O", sort=None, axis=alt.Axis(title=None, labelAngle=0, labelOverlap=True, labelLimit=110))


def _up(field: str, title: str) -> alt.Y:
    return alt.Y(f"{field}:Q", title=title, scale=alt.Scale(zero=False), axis=numbers(5, title))


def bands(title: str = "value", data: str = "bands") -> Any:
    """The 15th, 50th and 85th percentile by checkpoint, as in the first figure of Ioffe & Szegedy (2015).

    Data ``bands``, or what ``data`` names: ``at`` (a heading), ``p15``, ``p50``, ``p85``, ``tip``.
    """
    base = alt.Chart(alt.NamedData(name=data)).encode(x=_across(), tooltip=alt.Tooltip("tip:N"))
    area = base.mark_area(color=colour("accent"), opacity=0.18).encode(y=_up("p15", title), y2="p85:Q")
    edges = [
        base.mark_line(color=colour("accent"), strokeWidth=1.2, strokeDash=[4, 3]).encode(y=_up(edge, title))
        for edge in ("p15", "p85")
    ]
    middle = base.mark_line(color=colour("accent"), strokeWidth=2.2).encode(y=_up("p50", title))
    points = base.mark_point(color=colour("accent"), size=28, filled=True, opacity=1).encode(y=_up("p50", title))
    return _sized(alt.layer(area, *edges, middle, points))


def spread(title: str = "value") -> Any:
    """The distribution at each checkpoint, as nested intervals: 98, 90, 70 and 50 % of the values, median and mean.

    Data ``spread``: ``at``, ``p1``, ``p5``, ``p15``, ``p25``, ``p50``, ``p75``, ``p85``, ``p95``, ``p99``, ``mean``,
    ``tip``.
    """
    base = alt.Chart(alt.NamedData(name="spread")).encode(x=_across(), tooltip=alt.Tooltip("tip:N"))
    nested = [
        base.mark_bar(color=colour("accent"), opacity=opacity, width=alt.RelativeBandSize(band=width)).encode(
            y=_up(low, title), y2=f"{high}:Q"
        )
        for low, high, width, opacity in (
            ("p1", "p99", 0.12, 0.3),
            ("p5", "p95", 0.3, 0.3),
            ("p15", "p85", 0.5, 0.35),
            ("p25", "p75", 0.7, 0.45),
        )
    ]
    median = base.mark_tick(color=colour("ink"), thickness=2, width=alt.RelativeBandSize(band=0.8))
    mean = base.mark_point(color=colour("second"), filled=True, size=34, opacity=1, shape="diamond")
    return _sized(alt.layer(*nested, median.encode(y=_up("p50", title)), mean.encode(y=_up("mean", title))))


def trend() -> Any:
    """Two positive series by checkpoint on a logarithmic scale.

    Data ``trend``: ``at``, ``what`` (which series), ``number`` (0 or 1, its place), ``value`` above 0, ``tip``.
    """
    scale = alt.Scale(type="log", nice=False)
    base = alt.Chart(alt.NamedData(name="trend")).encode(
        x=_across(),
        y=alt.Y("value:Q", title=None, scale=scale, axis=numbers(4)),
        color=alt.Color("number:N", legend=None, scale=_pair()),
        tooltip=alt.Tooltip("tip:N"),
    )
    shape = alt.Shape("number:N", legend=None, scale=alt.Scale(domain=[0, 1], range=list(SHAPES)))
    points = base.mark_point(filled=True, size=36, opacity=1).encode(shape=shape)
    return _sized(alt.layer(base.mark_line(strokeWidth=1.8), points)).properties(height=130)


def _pair() -> alt.Scale:
    return alt.Scale(domain=[0, 1], range=[colour("accent"), colour("second")])


def _sized(chart: Any) -> Any:
    return chart.properties(width=WIDTH, height=HEIGHT)
