"""What of a network is compared with another's, and under which names."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from covscan.capture.types import Network, SiteKey, Skip


@dataclass(frozen=True, slots=True)
class View:
    """The part of a network that has a counterpart.

    ``sites`` are its measured sites by their own keys, ``calls`` its calls by their own names, both to what the report
    calls them; ``unmapped`` are the measured sites without a counterpart, each with the reason.
    """

    sites: Mapping[SiteKey, SiteKey]
    calls: Mapping[str, str]
    unmapped: tuple[Skip, ...]

    @property
    def renames(self) -> bool:
        """Whether anything is called otherwise than it is by itself."""
        return any(key != to for key, to in self.sites.items()) or any(name != to for name, to in self.calls.items())

    def restricted(self, network: Network) -> Network:
        """The network with only the sites that have a counterpart, and those that see the same tensors."""
        kept = tuple(site for site in network.sites if (site.same_as or site.key) in self.sites)
        return replace(network, sites=kept)

    def named(self, site: str, position: str) -> SiteKey | None:
        """What the report calls a site, None where it has no counterpart."""
        return next((to for key, to in self.sites.items() if (key.site, key.position) == (site, position)), None)
