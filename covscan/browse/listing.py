"""Which rows of the layer table are shown: searched, filtered, sorted, folded by module. No terminal in sight."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from covscan.render.choosing import matches
from covscan.render.content.shift_rows import ORDER, Row, is_significant, rows, shown, size
from covscan.report.types import Measure, Report, Site

Order = Literal["network", "shift", "excess", "findings", "name"]
ORDERS: tuple[Order, ...] = ("network", "shift", "excess", "findings", "name")
_PARTS = re.compile(r"[./]")
_GLOB = set("*?[")
LARGEST = 40
"""Sites of a module that is folded for an overview, at most."""
MANY = 200
"""From so many sites on the table opens with its modules folded."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One site with how it moved to the last checkpoint and how many findings are about it."""

    row: Row
    findings: int

    @property
    def site(self) -> Site:
        """The site."""
        return self.row.site

    @property
    def last(self) -> Measure | None:
        """The shift from the first to the last checkpoint."""
        return self.row.cells[-1] if self.row.cells else None


@dataclass(frozen=True, slots=True)
class Group:
    """A module whose sites are folded away."""

    name: str
    layers: tuple[Layer, ...]

    @property
    def loudest(self) -> Layer:
        """The first of the sites that moved most."""
        return max(self.layers, key=lambda layer: layer.row.top)

    @property
    def findings(self) -> int:
        """Findings about all of them."""
        return sum(layer.findings for layer in self.layers)


Entry = Layer | Group


@dataclass(frozen=True, slots=True)
class View:
    """What of the table is asked for."""

    query: str = ""
    found_only: bool = False
    every_name: bool = False
    order: Order = "network"
    folded: frozenset[str] = frozenset()

    def sorted_next(self) -> "View":
        """The same by the next order."""
        return replace(self, order=ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)])


def layers(report: Report) -> list[Layer]:
    """Every site in the order of the network, also those that see another's tensor."""
    counts: dict[tuple[str, str], int] = {}
    positions: dict[str, list[str]] = {}
    for site in report.sites:
        positions.setdefault(site.site, []).append(site.position)
    for finding in report.findings:
        if finding.site is not None:
            for position in [finding.position] if finding.position is not None else positions.get(finding.site, []):
                counts[finding.site, position] = counts.get((finding.site, position), 0) + 1
    compared = len(report.checkpoints) > 1
    moved = rows(report, verbose=True) if compared else [Row(site, (), None) for site in shown(report.sites, True)]
    return [Layer(row, counts.get((row.site.site, row.site.position), 0)) for row in moved]


def listed(known: Sequence[Layer], view: View) -> list[Entry]:
    """The rows that a view shows. Modules fold in the order of the network alone, and not while searching."""
    kept = [layer for layer in known if _wanted(layer, view)]
    if view.order != "network":
        return [*sorted(kept, key=lambda layer: _rank(layer, view.order))]
    return _folded(kept, view.folded) if view.folded and not view.query else [*kept]


def _wanted(layer: Layer, view: View) -> bool:
    if view.found_only and not layer.findings:
        return False
    if layer.site.same_as is not None and not (view.every_name or view.query or layer.findings):
        return False
    name, query = layer.site.site, view.query
    if not query:
        return True
    return matches(name, query) or (not _GLOB & set(query) and query.lower() in name.lower()) or query in name


def _rank(layer: Layer, order: Order) -> tuple[float, str, int, int]:
    loud = {
        "shift": -layer.row.top,
        "excess": -size(layer.row.excess) if is_significant(layer.row.excess) else 0.0,
        "findings": -layer.findings,
    }.get(order, 0.0)
    name = layer.site.site if order == "name" else ""
    return float(loud), name, layer.site.depth, ORDER[layer.site.position]


def modules(name: str) -> list[str]:
    """The modules that a site lies in, the outermost first: ``a.b.c`` lies in ``a`` and ``a.b``."""
    return [name[: mark.start()] for mark in _PARTS.finditer(name) if mark.start()]


def blocks(known: Iterable[Layer]) -> frozenset[str]:
    """The modules to fold for an overview: the outermost that hold two to ``LARGEST`` sites each."""
    counts: dict[str, int] = {}
    inside = [modules(layer.site.site) for layer in known]
    for names in inside:
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    fitting = (next((name for name in names if counts[name] <= LARGEST), None) for names in inside)
    return frozenset(name for name in fitting if name is not None and counts[name] > 1)


def _folded(kept: Sequence[Layer], folded: frozenset[str]) -> list[Entry]:
    """Each folded module once, where its first site stands."""
    members: dict[str, list[Layer]] = {}
    places: list[Layer | str] = []
    for layer in kept:
        module = next((name for name in modules(layer.site.site) if name in folded), None)
        if module is None:
            places.append(layer)
            continue
        if module not in members:
            places.append(module)
        members.setdefault(module, []).append(layer)
    return [Group(place, tuple(members[place])) if isinstance(place, str) else place for place in places]
