"""What each measure is called in a heading, and over which range it is coloured."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """The same range in every report, so that a colour means the same; ``low`` is 0 on a linear scale."""

    title: str
    unit: str
    low: float
    high: float

    def place(self, value: float) -> float:
        """From 0 to 1, by the magnitude of the value."""
        size = abs(value)
        if self.low == 0:
            return min(size / self.high, 1.0)
        if size <= self.low:
            return 0.0
        return min(math.log(size / self.low) / math.log(self.high / self.low), 1.0)


SCALES = {
    "gaussian_w2": Scale("Gaussian W2 distance", "standard deviations of the site", 0.1, 10),
    "standardized_mean_difference": Scale("Shift of the means", "standard deviations of the site", 0.1, 10),
    "absolute_log_variance_ratio": Scale("Change of the variances, either way", "|ln| of the ratio", 0.1, 10),
    "log_variance_ratio": Scale("Change of the variances", "ln of the ratio, coloured by size", 0.1, 10),
    "wasserstein_1": Scale("Wasserstein-1 distance", "standard deviations of the site", 0.1, 10),
    "excess_shift": Scale("Excess: what the layer added itself", "standard deviations of the site", 0.1, 10),
    "excess_mean_difference": Scale("Excess of the means", "standard deviations of the site", 0.1, 10),
    "excess_log_variance_ratio": Scale("Excess of the variances", "ln of the ratio, coloured by size", 0.1, 10),
    "kolmogorov_smirnov": Scale("Kolmogorov–Smirnov statistic", "0 to 1", 0, 1),
    "population_stability_index": Scale("Population stability index", "nats", 0.05, 5),
    "jensen_shannon": Scale("Jensen–Shannon divergence", "nats, at most 0.69", 0, math.log(2)),
    "linear_cka_distance": Scale("Linear CKA distance", "0 to about 1", 0, 1),
    "effective_rank": Scale("Effective rank", "ln of the ratio, coloured by size", 0.1, 10),
    "shift_per_weight_movement": Scale("Shift for each relative change of weights", "sd", 0.1, 10),
    "shift_amplification": Scale("Shift beside that of the input", "times", 0.1, 10),
}


def scale(measure: str) -> Scale:
    """Of a measure that this version does not know: its name, and the usual range."""
    return SCALES.get(measure) or Scale(measure.replace("_", " "), "", 0.1, 10)
