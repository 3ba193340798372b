"""Budgets to start from. They are written as a configuration would say them; a file changes them by name and key.

Where the limits come from:

- What is broken is broken whatever the training: NaN, and units that the rules call mostly dead (over half of a
  rectifier's channels, COV216) or mostly saturated (over 75 % of the values, COV217) at warning level. The rules are
  counted and not the statistics ``dead_channels`` and ``saturated_share`` themselves, because they know where a unit is
  meant to be sure (gates, the network's own output) and where a constant channel is the data's: the border of an image.
- From an untrained start everything shifts, so ``standard`` and ``strict`` have no limit on shift.
- ``finetune`` limits it for training that goes on from trained weights. 0.5 and 0.8 standard deviations are Cohen's
  medium and large effect (1988); half of the similarity lost is where COV204 warns, 0.8 of a layer's own making where
  COV205 does. A quarter of the sites may be beyond, since a new head and what feeds it have to move. On the runs under
  ``samples/`` the median shift is 0.06 to 0.37 standard deviations, and up to 8 % of the sites are beyond 0.8, where
  training goes on late (digits from step 8000, the transformer from step 500); from step 0 it is 0.84 to 1.63, and 54
  to 91 %. One layer alone beyond 0.8 is a warning.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEFAULT = "standard"


@dataclass(frozen=True, slots=True)
class Preset:
    """Budgets by name, each as its table in a configuration, and what they are for in one line."""

    summary: str
    budgets: Mapping[str, Mapping[str, Any]]


_STANDARD: dict[str, Mapping[str, Any]] = {
    "non-finite": {"statistic": "nonfinite_share", "checkpoint": "any", "max": 0.0},
    "dead-units": {"findings": ["COV216"], "severity": "warning", "max": 0.0},
    "saturated-units": {"findings": ["COV217"], "severity": "warning", "max": 0.0},
}

PRESETS: dict[str, Preset] = {
    "none": Preset("no budgets but your own", {}),
    "standard": Preset("what is broken whatever the training: non-finite values, dead and saturated units", _STANDARD),
    "strict": Preset(
        "the same from the first signs on, and no warning of any rule",
        {
            **_STANDARD,
            "dead-units": {"findings": ["COV216"], "max": 0.0},
            "saturated-units": {"findings": ["COV217"], "max": 0.0},
            "warnings": {"findings": ["*"], "severity": "warning", "max": 0.0},
        },
    ),
    "finetune": Preset(
        "for training that goes on from trained weights: most of the network stays where it was",
        {
            **_STANDARD,
            "median-shift": {"measure": "gaussian_w2", "over": "median", "max": 0.5},
            "shifted-sites": {"measure": "gaussian_w2", "over": "share", "beyond": 0.8, "max": 0.25},
            "turned-over-sites": {"measure": "linear_cka_distance", "over": "share", "beyond": 0.5, "max": 0.25},
            "own-shift": {"measure": "excess_shift", "max": 0.8, "level": "warn"},
        },
    ),
}
