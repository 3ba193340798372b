"""Pure functions of two summaries: a value, its noise floor and its interval.

A new measure is a function in the module of its family and a line here.
"""

from dataclasses import dataclass
from typing import Literal

Family = Literal["moments", "distribution", "geometry", "derived"]


@dataclass(frozen=True, slots=True)
class Spec:
    """Where a measure is, and from which absolute value on it is material (it needs to clear the noise as well).

    ``same_samples``: it compares sample by sample, so that both sides must have seen the same.
    """

    target: str
    family: Family
    material: float
    same_samples: bool = False


MEASURES: dict[str, Spec] = {
    "standardized_mean_difference": Spec("covscan.measures.moments:standardized_mean_difference", "moments", 0.2),
    "log_variance_ratio": Spec("covscan.measures.moments:log_variance_ratio", "moments", 0.4),
    "absolute_log_variance_ratio": Spec("covscan.measures.moments:absolute_log_variance_ratio", "moments", 0.4),
    "gaussian_w2": Spec("covscan.measures.moments:gaussian_w2", "moments", 0.2),
    "wasserstein_1": Spec("covscan.measures.distribution:wasserstein_1", "distribution", 0.2),
    "kolmogorov_smirnov": Spec("covscan.measures.distribution:kolmogorov_smirnov", "distribution", 0.1),
    "population_stability_index": Spec("covscan.measures.distribution:population_stability_index", "distribution", 0.1),
    "jensen_shannon": Spec("covscan.measures.distribution:jensen_shannon", "distribution", 0.0125),
    "linear_cka_distance": Spec("covscan.measures.geometry:linear_cka_distance", "geometry", 0.1, same_samples=True),
    "effective_rank": Spec("covscan.measures.geometry:effective_rank", "geometry", 0.22),
    "shift_per_weight_movement": Spec("covscan.measures.movement:shift_per_weight_movement", "derived", 0.0),
    "excess_shift": Spec("covscan.measures.excess:excess_shift", "derived", 0.2),
    "excess_mean_difference": Spec("covscan.measures.excess:excess_mean_difference", "derived", 0.2),
    "excess_log_variance_ratio": Spec("covscan.measures.excess:excess_log_variance_ratio", "derived", 0.4),
    "shift_amplification": Spec("covscan.measures.amplification:shift_amplification", "derived", 1.5),
}
"""Effect sizes: 0.2 sd is Cohen's small effect, PSI 0.1 its moderate mark and JS an eighth of it, 0.4 = ln 1.5.

``shift_amplification`` is taken between two data sets alone, where it is material from 1.5 on and from 1/1.5 down.
"""

SIGNED = frozenset({"log_variance_ratio", "effective_rank", "excess_log_variance_ratio"})
"""Measures that may be negative; the others are distances."""

__all__ = ["MEASURES", "SIGNED", "Family", "Spec"]
