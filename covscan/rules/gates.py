"""What has to be wrong in absolute terms before any candidate becomes a suggestion.

A shift is none of it. One strong sign, or two weak ones of different kinds, at the first checkpoint where
that is the state before training (training starts from there), or at the last.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from covscan.report.types import Checkpoint
from covscan.rules import channel_balance, depth_scale, flat_units, mean_dominance, residual_growth
from covscan.rules.evidence import Evidence
from covscan.rules.lookup import Layer, last, untrained
from covscan.rules.words import number, share

NEEDED_WEAK = 2
_SATURATED_AT_START = 0.5
"""Below what a finding needs: before training nothing was learned that a saturated unit could stand for."""
_DEAD = 0.4
"""Above what a finding needs: a third of a narrow rectifier layer is often dead before training."""


@dataclass(frozen=True, slots=True)
class Sign:
    """One kind of fault, where it was seen, and in words."""

    kind: str
    strong: bool
    text: str
    checkpoint: str


def signs(evidence: Evidence) -> list[Sign]:
    """The strongest sign of each kind, strong ones first."""
    first, final = evidence.checkpoints[0], last(evidence)
    looked_at = [first, final] if untrained(evidence, first) and first is not final else [final]
    best: dict[str, Sign] = {}
    for checkpoint in looked_at:
        for sign in _signs(evidence, checkpoint):
            if sign.kind not in best or (sign.strong and not best[sign.kind].strong):
                best[sign.kind] = sign
    return sorted(best.values(), key=lambda sign: not sign.strong)


def enough(found: list[Sign]) -> bool:
    """Whether the signs justify a suggestion."""
    return any(sign.strong for sign in found) or len(found) >= NEEDED_WEAK


def _signs(evidence: Evidence, checkpoint: Checkpoint) -> Iterator[Sign]:
    for growing, word in ((True, "grows"), (False, "falls")):
        trend = depth_scale.trend(evidence, checkpoint, growing=growing)
        if trend is not None:
            text = f"variance {word} {number(trend.factor)}-fold from {trend.start} to {trend.end.name}"
            yield Sign("scale", trend.strong, text, checkpoint.id)
    alike = mean_dominance.alike(evidence, checkpoint)
    beyond = {layer.name: q for layer, q, _ in mean_dominance.beyond_null(evidence, checkpoint)}
    collapsed = [(layer, c) for layer, c in alike if c > mean_dominance.COLLAPSED]
    if collapsed or (alike and beyond):
        layer, cosine = max(collapsed or alike, key=_size)
        text = f"samples look alike at {layer.name} (mean cosine {number(cosine)})"
        yield Sign("sameness", bool(collapsed), text, checkpoint.id)
    saturated = flat_units.saturated(evidence, checkpoint)
    if saturated:
        site, worst = max(saturated, key=lambda item: item[1])
        text = f"{share(worst)} of the values at {site.site} are saturated"
        limit = _SATURATED_AT_START if untrained(evidence, checkpoint) else flat_units.MOST_SATURATED
        yield Sign("flat units", worst > limit, text, checkpoint.id)
    dead = [(site, portion) for site, portion in flat_units.dead(evidence, checkpoint) if portion > _DEAD]
    if dead and not saturated:
        site, worst = max(dead, key=lambda item: item[1])
        text = f"{share(worst)} of the channels of {site.site} are dead"
        yield Sign("flat units", worst > flat_units.MOST_DEAD, text, checkpoint.id)
    unequal = channel_balance.unequal_channels(evidence, checkpoint)
    if unequal:
        layer, spread = max(unequal, key=_size)
        text = f"channel variances at {layer.name} spread by {number(spread)} (standard deviation of ln)"
        yield Sign("heterogeneity", spread > channel_balance.VERY_UNEQUAL, text, checkpoint.id)
    growth = residual_growth.growth(evidence, checkpoint)
    if growth is not None:
        text = f"the residual stream's variance grows {number(growth.factor)}-fold over {len(growth.sites)} blocks"
        yield Sign("residual growth", growth.strong, text, checkpoint.id)


def _size(item: tuple[Layer, float]) -> float:
    return item[1]
