"""The numbers that the page's script draws, as plain lists; ``report`` order is network order throughout."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from covscan.render.content.columns import headings, label
from covscan.render.content.scales import scale
from covscan.render.content.shift_rows import FALLBACK, PRIMARY
from covscan.render.names import printable
from covscan.report.types import Measure, Report, Shift, Site, Statistics

SPREAD = ("p1", "p5", "p15", "p25", "p50", "p75", "p85", "p95", "p99")
STATISTICS = (
    *SPREAD,
    "mean",
    "std",
    "min",
    "max",
    "zero_share",
    "saturated_share",
    "nonfinite_share",
    "dead_channels",
    "effective_rank",
)
DIGITS, NOISE_DIGITS = 3, 2
MANY_CELLS = 8_000
"""Sites times checkpoints from which on only the first measure keeps its intervals and its steps between neighbours."""

Pairs = Mapping[tuple[str, str, str, str], Shift]


def statistics(report: Report, sites: Sequence[Site]) -> list[list[list[float | None] | None]]:
    """For each site and checkpoint the values of ``STATISTICS``; null where it was not measured."""
    names = [checkpoint.id for checkpoint in report.checkpoints]
    return [[_values(site.statistics.get(name)) for name in names] for site in sites]


def _values(found: Statistics | None) -> list[float | None] | None:
    return None if found is None else [_short(getattr(found, name)) for name in STATISTICS]


def measures(report: Report) -> list[str]:
    """The measures of this report, the one that the tables show first."""
    present = dict.fromkeys(name for shift in report.shifts for name in shift.measures)
    return sorted(present, key=lambda name: (name != PRIMARY, name != FALLBACK))


def described(names: Sequence[str]) -> list[dict[str, Any]]:
    """Each measure's key, title, unit, and range of colours."""
    found = [(name, scale(name)) for name in names]
    return [
        {"key": name, "title": each.title, "unit": each.unit, "low": each.low, "high": each.high}
        for name, each in found
    ]


def spans(report: Report, sites: Sequence[Site], names: Sequence[str]) -> list[dict[str, Any]]:
    """Since the first column, and since the one before; each with its headings and, by measure and site, its cells."""
    points = [checkpoint.id for checkpoint in report.checkpoints]
    if len(points) < 2:
        return []
    shown = headings(report)
    large = len(sites) * len(points) > MANY_CELLS
    by_pair: Pairs = {(shift.site, shift.position, shift.from_, shift.to): shift for shift in report.shifts}
    steps = list(pairwise(points))
    wanted = {f"since {label(report, report.checkpoints[0])}": [(points[0], to) for to in points[1:]]}
    if len(points) > 2 and any(key[2:] == steps[1] for key in by_pair):
        wanted["since the checkpoint before"] = steps
    found: list[dict[str, Any]] = []
    for title, pairs in wanted.items():
        kept = names[:1] if large and found else names
        cells = {
            name: [_cells(by_pair, site, pairs, name, brief=large and name != names[0]) for site in sites]
            for name in kept
        }
        found.append({"title": title, "headings": [printable(text) for text in shown[1:]], "cells": cells})
    return found


def _cells(
    shifts: Pairs,
    site: Site,
    pairs: Sequence[tuple[str, str]],
    name: str,
    *,
    brief: bool,
) -> dict[str, list[Any]] | None:
    """Values, noise, interval and what to think of them: 1 counts, 0 does not, a text is why there is none."""
    found = [shifts.get((site.site, site.position, *pair)) for pair in pairs]
    row = [None if shift is None else shift.measures.get(name) for shift in found]
    if not any(row):
        return None
    cells: dict[str, list[Any]] = {"v": [None if each is None else _short(each.value) for each in row]}
    cells["k"] = [_judged(each) for each in row]
    cells["n"] = [None if each is None else _short(each.noise, NOISE_DIGITS) for each in row]
    if not brief:
        cells["l"] = [None if each is None else _short(each.low) for each in row]
        cells["h"] = [None if each is None else _short(each.high) for each in row]
    return cells


def _judged(measure: Measure | None) -> int | str | None:
    if measure is None:
        return None
    if measure.value is None:
        return printable(measure.status or "no reason is given")
    return int(measure.significant)


def gradients(report: Report, sites: Sequence[Site]) -> dict[str, dict[str, list[float | None]]]:
    """By layer: gradient, step and noise relative to the weights at each checkpoint, and the change by layers below."""
    if report.gradients is None:
        return {}
    points = {checkpoint.id: place for place, checkpoint in enumerate(report.checkpoints)}
    known = {site.site for site in sites}
    found: dict[str, dict[str, list[float | None]]] = {}
    for each in report.gradients.layers:
        if each.layer in known and each.checkpoint in points:
            rows = found.setdefault(each.layer, _empty(len(points)))
            rows["gradient"][points[each.checkpoint]] = _short(each.relative_gradient)
            rows["step"][points[each.checkpoint]] = _short(each.update_ratio)
            rows["noise"][points[each.checkpoint]] = _short(each.gradient_noise)
    for shift in report.gradients.shifts:
        if shift.layer in found and shift.to in points:
            found[shift.layer]["changed"][points[shift.to]] = _short(shift.relative)
    return found


def _empty(points: int) -> dict[str, list[float | None]]:
    return {name: [None] * points for name in ("gradient", "step", "noise", "changed")}


def _short(value: float | None, digits: int = DIGITS) -> float | None:
    return None if value is None else float(f"{value:.{digits}g}") + 0.0
