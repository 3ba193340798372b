"""Keeping the sites that the user asked for."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from covscan.capture.types import Network, Site, SiteKey
from covscan.render.choosing import check_known, matches


def select_sites(network: Network, keep: Sequence[str], leave_out: Sequence[str]) -> Network:
    """The network with only the sites whose name matches ``keep`` (empty: all) and none of ``leave_out``.

    A site that was measured in another's place takes its place when that one goes. Raises UsageError for a glob that
    matches nothing.
    """
    names = list(dict.fromkeys(site.key.site for site in network.sites))
    check_known(names, [*keep, *leave_out], "covscan sites lists what there is")
    kept = [site for site in network.sites if _wanted(site.key.site, keep, leave_out)]
    return replace(network, sites=tuple(_resettle(kept)))


def _wanted(name: str, keep: Sequence[str], leave_out: Sequence[str]) -> bool:
    if any(matches(name, glob) for glob in leave_out):
        return False
    return not keep or any(matches(name, glob) for glob in keep)


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
