"""Variance of the residual stream that grows faster than its blocks add."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from covscan.report.types import Checkpoint, Site
from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.lookup import last, measured, statistics
from covscan.rules.words import number

_FEWEST_BLOCKS = 4
_TOTAL = 10.0
_LARGE = 100.0
_SUPER_LINEAR = 3.0


@dataclass(frozen=True, slots=True)
class Growth:
    """Block outputs of one width in order, their variances, and how much more the second half adds than the first."""

    sites: tuple[Site, ...]
    scales: tuple[float, ...]
    factor: float
    acceleration: float

    @property
    def strong(self) -> bool:
        """Whether the variance grows a hundredfold or more."""
        return self.factor >= _LARGE


def growth(evidence: Evidence, checkpoint: Checkpoint) -> Growth | None:
    """Super-linear growth over at least four blocks of one width; None where there is none.

    A stream to which each block adds as much grows linearly; doubled by each it grows exponentially. It
    counts where the second half of the blocks adds at least three times what the first half adds, and the
    whole is tenfold.
    """
    blocks = [
        (site, stats.channel_scale)
        for site in measured(evidence)
        if site.role == "block" and site.position == "output"
        if (stats := statistics(site, checkpoint)) is not None and stats.channel_scale
    ]
    best: Growth | None = None
    for _, group in groupby(blocks, key=lambda item: (item[0].channels, len(item[0].shape))):
        members = list(group)
        if len(members) < _FEWEST_BLOCKS:
            continue
        scales = [scale for _, scale in members]
        middle = scales[(len(scales) - 1) // 2]
        early, late = middle - scales[0], scales[-1] - middle
        factor = scales[-1] / scales[0]
        if factor < _TOTAL or late < _SUPER_LINEAR * max(early, 0.0):
            continue
        acceleration = late / early if early > 0 else float(factor)
        if best is None or factor > best.factor:
            best = Growth(tuple(site for site, _ in members), tuple(scales), factor, acceleration)
    return best


def residual_growth(evidence: Evidence) -> Iterator[Firing]:
    """The variance of the residual stream grows faster than linearly with depth.

    Severity: warning from a hundredfold on, info from tenfold on.

    ## What it measures
    The mean channel variance of what blocks of one width give, in order: at least four, a tenfold growth, and a second
    half that adds three times as much as the first or more.

    ## Why it matters
    With a normalization in front of each branch only, the stream may grow exponentially; later blocks then hardly
    change it, and half precision overflows. Without any, each block doubles the variance at the start.

    ## When it misleads
    A few massive activations (COV221) make most of a variance. Trained networks use scale to order their layers.

    ## Example
    `the residual stream's variance grows 240-fold over 12 blocks, most of it in the last ones`

    ## What to do
    Scale branches by 1/sqrt(depth) or start them at zero (SkipInit, LayerScale): both cost nothing at inference. Else
    normalize what each branch gives (Peri-LN).

    ## Sources
    De and Smith, *Batch Normalization Biases Residual Blocks Towards the Identity*, 2020. Sun et al., *The Curse of
    Depth*,
    2025. Kim et al., *Peri-LN*, 2025.
    """
    found = growth(evidence, last(evidence))
    if found is None:
        return
    site = found.sites[-1]
    yield Firing(
        severity="warning" if found.strong else "info",
        site=site.site,
        position=site.position,
        checkpoint=last(evidence).id,
        message=f"the residual stream's variance grows {number(found.factor)}-fold over {len(found.sites)} blocks, "
        f"the second half adding {number(found.acceleration)} times what the first adds",
        evidence={
            "factor": found.factor,
            "acceleration": found.acceleration,
            "scales": {site.site: scale for site, scale in zip(found.sites, found.scales, strict=True)},
        },
    )
