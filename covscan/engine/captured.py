"""What running one subject's samples gave, before anything is compared."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from covscan.capture.recorder import CheckpointSummary
from covscan.capture.types import Module, Network, Skip
from covscan.engine.views import View
from covscan.measures.norms import NormEvidence


@dataclass(frozen=True, slots=True)
class Captured:
    """One subject's network and summaries; ``norms`` by module."""

    network: Network
    summary: CheckpointSummary
    norms: Mapping[str, NormEvidence]
    weights_nonfinite: tuple[str, ...]

    def renamed(self, view: View) -> "Captured":
        """The same under the names of the report."""
        return replace(
            self,
            network=_network(self.network, view),
            summary=_summary(self.summary, view),
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
