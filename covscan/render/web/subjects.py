"""What the script knows of each site, apart from numbers: names, place in the tree of modules, facts."""

import re
from collections.abc import Sequence
from typing import Any

from covscan.render.content.places import SIDES
from covscan.render.content.shift_rows import shown
from covscan.render.names import printable
from covscan.render.web.anchors import anchor
from covscan.report.types import Report, Site


def sites_of(report: Report) -> list[Site]:
    """The sites that the page has rows for, in network order; one that sees another's tensor goes with that."""
    return shown(report.sites, verbose=False)


def described(report: Report, sites: Sequence[Site]) -> list[dict[str, Any]]:
    """Each site's name, side, module path, type and role, and facts as pairs of words."""
    seen: dict[tuple[str, str], list[str]] = {}
    for site in report.sites:
        if site.same_as is not None:
            other = f"{printable(site.site)} {SIDES[site.position]}"
            seen.setdefault((site.same_as.site, site.same_as.position), []).append(other)
    return [_site(site, seen.get((site.site, site.position), [])) for site in sites]


def _site(site: Site, same: list[str]) -> dict[str, Any]:
    *path, leaf = module_path(site.site)
    return {
        "name": printable(site.site),
        "side": SIDES[site.position],
        "path": [printable(part) for part in path],
        "leaf": printable(leaf),
        "type": printable(site.type),
        "role": site.role,
        "key": anchor(site.site, site.position),
        "facts": [[name, printable(value)] for name, value in _facts(site, same)],
    }


def module_path(name: str) -> list[str]:
    """The parts of a module's or a value's name; none is empty, and together they hold every letter of it."""
    separator = "/" if "/" in name else "."
    parts = re.split(f"(?<=[^{separator}]){re.escape(separator)}(?=[^{separator}])", name)
    return parts or [name]


def _facts(site: Site, same: list[str]) -> list[tuple[str, str]]:
    shape = " × ".join(map(str, site.shape))
    facts = [("Shape", shape), ("Channels", f"{site.channels:,}"), ("Role", site.role)]
    if site.normalized_by:
        facts.append(("Normalized by", site.normalized_by))
    if site.source is not None:
        facts.append(("Made at", f"{site.source.file}:{site.source.line}"))
    if same:
        facts.append(("The same tensor as", ", ".join(same)))
    return facts
