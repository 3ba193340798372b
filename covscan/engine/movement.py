"""Relative weight movement up to each site."""

import math
from collections.abc import Mapping
from typing import Any

from covscan.capture.types import Network, SiteKey
from covscan.measures.movement import squared_norms

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def movement_before(network: Network, old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[SiteKey, float]:
    """||W_B - W_A|| / ||W_A|| over the weights of every module that ran up to and with each site's own."""
    moved = size = 0.0
    counted: set[str] = set()
    ratios: dict[SiteKey, float] = {}
    for module in network.modules:
        for key in module.inputs:
            ratios.setdefault(key, _ratio(moved, size))
        names = [n for n in module.parameters if n not in counted and not n.endswith(_STATISTICS)]
        counted.update(names)
        more_moved, more_size = squared_norms(old, new, names)
        moved, size = moved + more_moved, size + more_size
        if module.output is not None:
            ratios.setdefault(module.output, _ratio(moved, size))
    return ratios


def _ratio(moved: float, size: float) -> float:
    return math.sqrt(moved / size) if size > 0 and math.isfinite(moved / size) else 0.0
