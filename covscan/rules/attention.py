"""Normalizing queries and keys where attention logits grow too large."""

from collections.abc import Iterator

from covscan.report.types import Candidate, Site, Suggestion
from covscan.rules.attention_logits import DIVERGING, large_logits, rising
from covscan.rules.evidence import Evidence
from covscan.rules.words import number

_MOST = 3


def qk_candidates(evidence: Evidence) -> list[Candidate]:
    """A candidate for each attention call whose logits pass 10^4, or pass 10^3 and rise; 10^4 scores 1."""
    return [_candidate(largest, site) for site, largest in _growing(evidence)]


def qk_suggestions(evidence: Evidence) -> Iterator[Suggestion]:
    """The same as suggestions: this rule stands on its own evidence, outside the ranking of places."""
    for site, largest in _growing(evidence)[:_MOST]:
        candidate = _candidate(largest, site)
        yield Suggestion(
            rank=0,
            site=candidate.site,
            position=candidate.position,
            norm=candidate.norm,
            score=candidate.score,
            reason=f"The largest attention logit at {site.site} is {number(largest)}; runs whose logits pass 10,000 "
            "diverged. Normalizing queries and keys per head before their product bounds the logits.",
            confidence="low",
            tier="forward",
            evidence={
                "largest_logit": largest,
                "rising": rising(evidence, site),
                "confidence": "forward evidence alone",
            },
            patch=f"# In the forward of '{site.site}', behind the projections, before the product:\n"
            "#     query, key = self.query_norm(query), self.key_norm(key)\n"
            "# with self.query_norm = nn.RMSNorm(head_width) and self.key_norm = nn.RMSNorm(head_width) in __init__.\n"
            "# Set their gains so that the logits keep their scale, then train on.",
            runner_up="logit capping",
        )


def _growing(evidence: Evidence) -> list[tuple[Site, float]]:
    return [(site, size) for site, size in large_logits(evidence) if size > DIVERGING or rising(evidence, site)]


def _candidate(largest: float, site: Site) -> Candidate:
    return Candidate(
        site=site.site,
        position="before",
        norm="QKNorm",
        score=min(1.0, largest / DIVERGING),
        evidence={"attention logits": min(1.0, largest / DIVERGING)},
        runner_up=None,
    )
