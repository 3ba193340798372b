"""Figures over all channels, computed again from those of each channel, where --per-channel kept them."""

import math
from collections.abc import Iterator, Sequence
from statistics import fmean, median, pstdev

from msgspec import UNSET

from covscan.explain.arithmetic import ROUNDING, compared, exact, holds
from covscan.report.explanation import Check
from covscan.report.types import Statistics

_FLOOR, _FLOOR_OF_OTHERS = 1e-3, 0.1
"""Of the median standard deviation, below which a channel counts as constant: on the same samples, and on others."""
_SLACK = 4 * ROUNDING


def from_channels(found: Statistics) -> Iterator[tuple[str, Check]]:
    """The pooled figures from the lists over the channels; nothing where the report has none."""
    means, stds = _whole(found.channel_means), _whole(found.channel_stds)
    if means is None or stds is None or found.nonfinite_share:
        return
    count = f"of {len(means)} channels"
    if found.mean is not None:
        yield "mean", _mean("mean of channel_means", count, means, found.mean)
    if found.channel_scale is not None:
        yield "channel_scale", _mean("mean of channel_stds^2", count, [std**2 for std in stds], found.channel_scale)
    if found.channel_mean_square is not None:
        squares = [mean**2 for mean in means]
        yield "channel_mean_square", _mean("mean of channel_means^2", count, squares, found.channel_mean_square)
    live = [std for std in stds if std > 0]
    if found.channel_heterogeneity is not None and len(live) > 1:
        spread = pstdev([2 * math.log(std) for std in live])
        formula, stated = "standard deviation of ln(channel_stds^2)", found.channel_heterogeneity
        yield "channel_heterogeneity", compared(formula, f"{count}: {exact(spread)}", spread, stated, _SLACK * 4)
    zeros = _whole(found.channel_zero_shares)
    if found.zero_share is not None and zeros is not None:
        yield "zero_share", _mean("mean of channel_zero_shares", count, zeros, found.zero_share)
    for name, values, pick in (("min", found.channel_mins, min), ("max", found.channel_maxs, max)):
        stated_end: float | None = getattr(found, name)
        known = _whole(values)
        if stated_end is not None and known is not None:
            end = pick(known)
            slack = _SLACK * abs(end)
            yield name, compared(f"{name} of channel_{name}s", f"{count}: {exact(end)}", end, stated_end, slack)


def _whole(values: object) -> list[float] | None:
    """The list where it is there and no channel lacks a value."""
    if values is UNSET or not isinstance(values, list) or not values or None in values:
        return None
    return [float(value) for value in values]


def _mean(formula: str, count: str, values: Sequence[float], stated: float) -> Check:
    result = fmean(values)
    tolerance = _SLACK * (fmean(map(abs, values)) + abs(stated))
    return compared(formula, f"{count}: {exact(result)}", result, stated, tolerance)


def between(a: Statistics, b: Statistics, stated: dict[str, float], *, paired: bool) -> Iterator[tuple[str, Check]]:
    """Measures of moments from the channels of both sides; nothing where a report has none of them.

    ``stated`` are the values of the report by the measure's name. Of ``gaussian_w2`` only the distance before the part
    that sampling adds is taken off can be had, which is never smaller.
    """
    lists = [_whole(values) for values in (a.channel_means, a.channel_stds, b.channel_means, b.channel_stds)]
    means_a, stds_a, means_b, stds_b = lists
    if means_a is None or stds_a is None or means_b is None or stds_b is None or len(means_a) != len(means_b):
        return
    channels = list(zip(means_a, stds_a, means_b, stds_b, strict=True))
    least = _floor([*stds_a, *stds_b], _FLOOR)
    floor = least if paired else _floor([*stds_a, *stds_b], _FLOOR_OF_OTHERS)
    live = [each for each in channels if _is_live(each, least, floor, paired=paired)]
    if not live:
        return
    of = f"of the {len(live)} channels that vary"
    pooled = [math.sqrt(max((sa**2 + sb**2) / 2, floor**2)) for _, sa, _, sb in live]
    apart = [abs(mb - ma) / scale for (ma, _, mb, _), scale in zip(live, pooled, strict=True)]
    slack = 2 * _SLACK * fmean((abs(ma) + abs(mb)) / scale for (ma, _, mb, _), scale in zip(live, pooled, strict=True))
    logs = [2 * math.log(max(sb, floor) / max(sa, floor)) for _, sa, _, sb in live]
    squares = [d**2 + ((sb - sa) / s) ** 2 for d, (_, sa, _, sb), s in zip(apart, live, pooled, strict=True)]
    for name, formula, result, tolerance in (
        ("standardized_mean_difference", "mean of |m_B - m_A| / sqrt((v_A + v_B) / 2)", fmean(apart), slack),
        ("log_variance_ratio", "mean of ln(v_B / v_A)", fmean(logs), 4 * _SLACK),
        ("absolute_log_variance_ratio", "mean of |ln(v_B / v_A)|", fmean(map(abs, logs)), 4 * _SLACK),
    ):
        if name in stated:
            room = tolerance + _SLACK * abs(result)
            yield name, compared(formula, f"{of}: {exact(result)}", result, stated[name], room)
    if "gaussian_w2" in stated:
        whole = math.sqrt(fmean(squares))
        taken = whole**2 - stated["gaussian_w2"] ** 2
        numbers = f"{of}: sqrt({exact(whole)}^2 - {exact(max(taken, 0.0))}), the latter being what sampling adds"
        true = stated["gaussian_w2"] <= whole * (1 + _SLACK) + slack
        formula = "sqrt(mean of ((m_B - m_A)^2 + (s_B - s_A)^2) / v - what sampling adds)"
        yield "gaussian_w2", holds(formula, numbers, exact(stated["gaussian_w2"]), true=true)


def _floor(stds: Sequence[float], share: float) -> float:
    positive = [std for std in stds if std > 0]
    return share * median(positive) if positive else 0.0


def _is_live(channel: tuple[float, float, float, float], least: float, floor: float, *, paired: bool) -> bool:
    mean_a, std_a, mean_b, std_b = channel
    varies = max(std_a, std_b) > 0 and max(std_a, std_b) >= least
    return varies or (not paired and floor > 0 and abs(mean_b - mean_a) > floor)
