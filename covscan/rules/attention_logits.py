"""Attention logits that grow too large."""

from collections.abc import Iterator

from covscan.report.types import Site
from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.lookup import last, measured, statistics
from covscan.rules.words import number, plural

LARGE, DIVERGING = 1e3, 1e4
_RISING = 2.0


def large_logits(evidence: Evidence) -> list[tuple[Site, float]]:
    """Attention calls whose largest |logit| at the last checkpoint is over 1000, largest first."""
    found = [
        (site, stats.max)
        for site in measured(evidence)
        if site.position == "logits"
        and (stats := statistics(site, last(evidence))) is not None
        and stats.max is not None
        and stats.max > LARGE
    ]
    return sorted(found, key=lambda item: -item[1])


def rising(evidence: Evidence, site: Site) -> bool:
    """Whether the largest |logit| at least doubled over the series."""
    first, final = statistics(site, evidence.checkpoints[0]), statistics(site, last(evidence))
    if first is None or final is None or first.max is None or final.max is None:
        return False
    return len(evidence.checkpoints) > 1 and final.max >= _RISING * first.max


def large_attention_logits(evidence: Evidence) -> Iterator[Firing]:
    """Attention logits are so large that training is at risk.

    Severity: error over 10,000, warning over 1000.

    ## What it measures
    The largest |q.k| / sqrt(d) over heads, queries and the keys that may be attended to, at the last checkpoint.

    ## Why it matters
    Softmax of such logits is one-hot and passes no gradient. In a study of small proxies of large models every run
    whose largest logit passed 10^4 diverged; loss suffered from about 10^3 on.

    ## When it misleads
    A head that attends to one token on purpose has large logits without harm; the limit is for growth that goes on.
    Models that scale or cap their logits in an unusual place are read before the cap.

    ## Example
    `largest attention logit 4,300 at blocks.0.attention`

    ## What to do
    Normalize queries and keys per head before their product (QK-norm), or cap the logits; a lower learning rate delays
    it.

    ## Sources
    Wortsman et al. 2023. Dehghani et al., *Scaling Vision Transformers to 22 Billion Parameters*, 2023.
    """
    found = large_logits(evidence)
    if not found:
        return
    site, largest = found[0]
    more = f", and over {number(LARGE)} at {plural(len(found) - 1, 'call')} more" if len(found) > 1 else ""
    first = {"data": f"on {evidence.checkpoints[0].id}", "models": f"in {evidence.checkpoints[0].id}"}
    where = first.get(evidence.kind, "at the first checkpoint")
    grew = f", at least twice what it was {where}" if rising(evidence, site) else ""
    yield Firing(
        severity="error" if largest > DIVERGING else "warning",
        site=site.site,
        position=site.position,
        checkpoint=last(evidence).id,
        message=f"largest attention logit {number(largest)} at {site.site}{grew}{more}",
        evidence={"largest": largest, "calls": {other.site: each for other, each in found}},
    )
