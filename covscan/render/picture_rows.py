"""What a picture has room for: the sites, the cells, and names that fit."""

from collections.abc import Sequence
from typing import Any

from covscan.render.charts.steps import STEPS
from covscan.render.content import columns
from covscan.render.content.places import SIDES
from covscan.render.content.scales import Scale
from covscan.render.content.shift_rows import Row, is_significant, rows, size
from covscan.render.figures import compact
from covscan.render.names import printable, shorten_all
from covscan.render.web.measured import SPREAD
from covscan.render.web.subjects import sites_of
from covscan.report.types import Measure, Report, Site

MOST_ROWS = 40
MOST_BANDS = 3
LONGEST_NAME = 44
LONGEST_HEADING = 16
NUMBERS_UP_TO = 14
"""Columns that have room for a number in each cell."""
DEEP_FROM = 6
"""Step of the light colours from which on text on them is white."""

Record = dict[str, Any]


def headings(report: Report) -> list[str]:
    """The columns' headings, none longer than fits and no two the same."""
    return distinct([printable(text) for text in columns.headings(report)], LONGEST_HEADING)


def loudest(found: Sequence[Row]) -> list[Row]:
    """All rows; of a large network those with the largest shifts beyond noise, in network order."""
    if len(found) <= MOST_ROWS:
        return list(found)
    moved = [place for place in range(len(found)) if found[place].top > 0]
    largest = sorted(moved, key=lambda place: (-found[place].top, place))[:MOST_ROWS]
    return [found[place] for place in sorted(largest)] or list(found[:MOST_ROWS])


def cells(shown: Sequence[Row], across: Sequence[str], measure: Scale) -> list[Record]:
    """Data of the heatmap."""
    names = distinct([named(row.site) for row in shown], LONGEST_NAME)
    numbers = len(across) <= NUMBERS_UP_TO
    return [
        {"name": name, "column": heading, "tip": "", **_cell(cell, measure, numbers=numbers)}
        for name, row in zip(names, shown, strict=True)
        for heading, cell in zip(across, row.cells, strict=True)
    ]


def _cell(cell: Measure | None, measure: Scale, *, numbers: bool) -> Record:
    if cell is None or cell.value is None or not is_significant(cell):
        text = "" if cell is None else "×" if cell.value is None else "·"
        return {"place": None, "text": text, "tone": 0}
    place = measure.place(cell.value)
    tone = 1 if place * STEPS < DEEP_FROM else 2
    return {"place": place, "text": compact(cell.value) if numbers else "", "tone": tone}


def bands(report: Report, site: Site) -> list[Record]:
    """Data of one site's bands: the checkpoints at which it has percentiles."""
    points = [
        (heading, site.statistics.get(point.id))
        for heading, point in zip(headings(report), report.checkpoints, strict=True)
    ]
    return [
        {"at": heading, "tip": "", **{field: getattr(found, field) for field in SPREAD}}
        for heading, found in points
        if found is not None and found.p50 is not None
    ]


def asked_about(report: Report) -> list[Site]:
    """The sites that a reader asks about first: of suggestions, the source of the shift, the largest shifts."""
    sites = [site for site in sites_of(report) if any(each.p50 is not None for each in site.statistics.values())]
    outputs = {site.site: site for site in reversed(sites) if site.position == "output"}
    wanted = [outputs[each.site] for each in report.suggestions if each.site in outputs]
    if len(report.checkpoints) > 1:
        found = [row for row in rows(report, verbose=False) if row.site in sites]
        own = [row for row in found if is_significant(row.excess)]
        wanted += [row.site for row in sorted(own, key=lambda row: -size(row.excess))[:1]]
        wanted += [row.site for row in sorted(found, key=lambda row: -row.top)]
    first: dict[tuple[str, str], Site] = {}
    for site in (*wanted, *sites):
        first.setdefault((site.site, site.position), site)
    return list(first.values())[:MOST_BANDS]


def named(site: Site) -> str:
    """A site and its side."""
    return f"{printable(site.site)} {SIDES[site.position]}"


def distinct(names: Sequence[str], width: int) -> list[str]:
    """Each name cut to a width; no two of them become the same."""
    cut = shorten_all(names, width, "…")
    shown = [cut[name] for name in names]
    if len(set(shown)) == len(shown):
        return shown
    return [f"{name} ({place})" for place, name in enumerate(shown, 1)]
