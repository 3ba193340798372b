"""Keeping the sites that the user asked for."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from covscan.capture.types import Network, Site, SiteKey
from covscan.errors import UsageError, raise_collected


def select_sites(network: Network, keep: Sequence[str], leave_out: Sequence[str]) -> Network:
    """The network with only the sites whose name matches ``keep`` (empty: all) and none of ``leave_out``.

    A site that was measured in another's place takes its place when that one goes. Raises UsageError for a glob that
    matches nothing.
    """
    names = list(dict.fromkeys(site.key.site for site in network.sites))
    _check(names, [*keep, *leave_out])
    kept = [site for site in network.sites if _wanted(site.key.site, keep, leave_out)]
    return replace(network, sites=tuple(_resettle(kept)))


def _wanted(name: str, keep: Sequence[str], leave_out: Sequence[str]) -> bool:
    if any(fnmatchcase(name, glob) for glob in leave_out):
        return False
    return not keep or any(fnmatchcase(name, glob) for glob in keep)


def _resettle(sites: Iterable[Site]) -> list[Site]:
    kept = list(sites)
    present = {site.key for site in kept}
    heirs: dict[SiteKey, SiteKey] = {}
    settled = []
    for site in kept:
        source = site.same_as
        if source is None or source in present:
            settled.append(site)
        elif source in heirs:
            settled.append(replace(site, same_as=heirs[source]))
        else:
            heirs[source] = site.key
            settled.append(replace(site, same_as=None))
    return settled


def _check(names: Sequence[str], globs: Sequence[str]) -> None:
    errors = []
    for glob in globs:
        if any(fnmatchcase(name, glob) for name in names):
            continue
        near = difflib.get_close_matches(glob, names, n=3, cutoff=0.5)
        hint = (
            f"did you mean {', '.join(repr(name) for name in near)}?" if near else "covscan sites lists what there is"
        )
        errors.append(
            UsageError(
                "unknown-site",
                f"no site matches '{glob}'",
                found=f"{len(names)} sites, the first is '{names[0]}'" if names else "no sites at all",
                hint=hint,
            )
        )
    raise_collected(errors)
