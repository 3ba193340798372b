"""Gains as sentences and cells show them."""

from covscan.report.training import Gain


def change(gain: Gain | None) -> str:
    """``-41 % [-52, -30]``: the change of a loss, so that less is better; nothing where nothing was measured."""
    if gain is None:
        return ""
    middle = _points(gain.value)
    if gain.low is None or gain.high is None:
        return f"{middle} %"
    return f"{middle} % [{_points(gain.high)}, {_points(gain.low)}]"


def _points(value: float) -> str:
    return f"{round(-100 * value):+d}" if round(-100 * value) else "0"
