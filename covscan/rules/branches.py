"""Normalizing what residual branches give, where the stream of a pre-norm network grows super-linearly."""

from dataclasses import dataclass

from covscan.report.types import Candidate, Site
from covscan.rules.evidence import Evidence
from covscan.rules.lookup import Layer, graph_of, hidden_layers, is_sequence, last
from covscan.rules.residual_growth import Growth, growth
from covscan.surgery.code import sequential


@dataclass(frozen=True, slots=True)
class Branch:
    """The last layer of the last block's branch, and the growth that speaks for normalizing there."""

    site: Site
    name: str
    growth: Growth
    norm: str

    def candidate(self) -> Candidate:
        """The branch's output as a candidate; this rule stands outside the ranking of places."""
        return Candidate(
            site=self.name,
            position="after",
            norm=self.norm,
            score=1.0,
            evidence={"residual growth": 1.0},
            runner_up=None,
        )

    def patch(self) -> str:
        """Code for this branch, with the remark that the others want the same."""
        return sequential(self.name, "after", f"nn.{self.norm}({self.site.channels})") + "\n# The same for every block."


def growing_branches(evidence: Evidence) -> list[Layer]:
    """The last layer of each block of a residual stream that grows super-linearly; none where it does not."""
    found = growth(evidence, last(evidence)) or growth(evidence, evidence.checkpoints[0])
    if found is None:
        return []
    layers = hidden_layers(evidence, graph_of(evidence), normalized=True)
    ends: list[Layer] = []
    for block in found.sites:
        inside = [
            layer
            for layer in layers
            if layer.name.startswith(f"{block.site}.") and layer.site.channels == block.channels
        ]
        ends += inside[-1:]
    return ends


def branch_output(evidence: Evidence) -> Branch | None:
    """Where an output norm would go: only with a normalization in front of the branch and a hundredfold growth."""
    found = growth(evidence, last(evidence))
    kinds = [norm.kind for norm in evidence.norms.get(last(evidence).id, {}).values()]
    if found is None or not found.strong or not (kinds.count("layer") or kinds.count("rms")):
        return None
    block = found.sites[-1].site
    inside = [
        layer
        for layer in hidden_layers(evidence, graph_of(evidence), normalized=True)
        if layer.name.startswith(f"{block}.") and layer.site.channels == found.sites[-1].channels
    ]
    if not inside or not is_sequence(inside[-1].site):
        return None
    norm = "RMSNorm" if kinds.count("rms") > kinds.count("layer") else "LayerNorm"
    return Branch(inside[-1].site, inside[-1].name, found, norm)
