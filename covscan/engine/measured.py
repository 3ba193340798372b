"""What is kept of one subject while others are compared with it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from covscan.capture.recorder import CheckpointSummary
from covscan.capture.types import Module, Network, SiteKey, Skip
from covscan.engine.views import View
from covscan.measures.norms import NormEvidence


@dataclass(frozen=True, slots=True)
class Measured:
    """One subject's network and summaries; ``noise`` by site, ``norms`` by module."""

    network: Network
    summary: CheckpointSummary
    noise: Mapping[SiteKey, Mapping[str, float]]
    weights: Mapping[str, Any]
    norms: Mapping[str, NormEvidence]
    weights_nonfinite: tuple[str, ...]

    def renamed(self, view: View) -> "Measured":
        """The same under the names of the report."""
        return replace(
            self,
            network=_network(self.network, view),
            summary=_summary(self.summary, view),
            noise={view.sites[key]: floors for key, floors in self.noise.items()},
            norms={view.calls.get(name, name): _norm(norm, view) for name, norm in self.norms.items()},
        )


def _network(network: Network, view: View) -> Network:
    """Without the sites that only see the same tensors, for which the report has no name."""
    return replace(
        network,
        sites=tuple(replace(site, key=view.sites[site.key]) for site in network.measured()),
        modules=tuple(_module(module, view) for module in network.modules),
    )


def _module(module: Module, view: View) -> Module:
    return replace(
        module,
        name=view.calls.get(module.name, module.name),
        inputs=tuple(view.sites.get(key, key) for key in module.inputs),
        output=None if module.output is None else view.sites.get(module.output, module.output),
    )


def _summary(summary: CheckpointSummary, view: View) -> CheckpointSummary:
    names = {key.site: named.site for key, named in view.sites.items()}
    return CheckpointSummary(
        sites={view.sites[key]: kept for key, kept in summary.sites.items()},
        replays={(view.sites[key], reference): replay for (key, reference), replay in summary.replays.items()},
        skipped=tuple(Skip(names.get(skip.site, skip.site), skip.reason) for skip in summary.skipped),
    )


def _norm(norm: NormEvidence, view: View) -> NormEvidence:
    if norm.site is None or norm.position is None:
        return norm
    key = view.named(norm.site, norm.position)
    return norm if key is None else replace(norm, site=key.site, position=key.position)
