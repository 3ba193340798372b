"""The names that a report's numbers go by, for whoever limits them without measuring."""

from typing import get_args, get_type_hints

from covscan.report.types import Statistics

MEASURES: dict[str, str] = {
    "standardized_mean_difference": "shift of the channel means, in standard deviations",
    "log_variance_ratio": "mean ln of the later over the earlier channel variance",
    "absolute_log_variance_ratio": "the same without its sign, so that growth and decay don't cancel",
    "gaussian_w2": "distance of channel means and spreads together, in standard deviations",
    "wasserstein_1": "earth mover's distance of the values, in standard deviations",
    "kolmogorov_smirnov": "largest difference of the distribution functions, 0 to 1",
    "population_stability_index": "symmetric relative entropy over ten bins, in nats",
    "jensen_shannon": "Jensen-Shannon divergence over ten bins, in nats, at most 0.69",
    "linear_cka_distance": "1 - CKA: how far the similarities between samples changed, about 0 to 1",
    "effective_rank": "ln of the later over the earlier number of directions in use",
    "shift_per_weight_movement": "gaussian_w2 for a weight change as large as the weights",
    "excess_shift": "gaussian_w2 that a layer itself added to what its input brought, in standard deviations",
    "excess_mean_difference": "the part of it in the means, in standard deviations",
    "excess_log_variance_ratio": "the part of it in the spread, as a ln of variances",
    "shift_amplification": "gaussian_w2 over what it is where the data enter; between two data sets alone",
}
"""Every measure of shift that a report can have, with its unit; a test holds it against those that are measured."""


def _numbers() -> tuple[str, ...]:
    hints = get_type_hints(Statistics)
    return tuple(name for name, hint in hints.items() if hint in {int, float} or float in get_args(hint))


STATISTICS: tuple[str, ...] = _numbers()
"""Every number that a report can have of one site at one checkpoint."""
