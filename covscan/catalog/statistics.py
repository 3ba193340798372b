"""How each statistic of a site at a checkpoint is computed, and from what."""

from dataclasses import dataclass
from typing import Literal, get_args, get_type_hints

from msgspec import Meta

from covscan.report.types import Statistics

Basis = Literal["exact", "kept rows", "first kept rows", "exact and kept rows"]
BASES: dict[Basis, str] = {
    "exact": "exact over every value that was read",
    "kept rows": "from the finite values of the kept rows",
    "first kept rows": "from the first 256 kept rows, those of them that are finite in every channel",
    "exact and kept rows": "the largest value is exact, the median is of the kept rows",
}


@dataclass(frozen=True, slots=True)
class Definition:
    """A statistic's formula, empty where its meaning says it all, what it rests on, and who proposed it."""

    formula: str
    basis: Basis
    source: str = ""


_PERCENTILE = Definition("linear interpolation between the sorted values of all channels", "kept rows")

DEFINITIONS: dict[str, Definition] = {
    "samples": Definition("", "exact"),
    "count": Definition("rows x channels, less what is NaN or infinite", "exact"),
    "mean": Definition("mean of the channel means, each weighted by its finite values", "exact"),
    "std": Definition("sqrt(channel_scale + channel_mean_square - mean^2) where all values are finite", "exact"),
    "min": Definition("", "exact"),
    "max": Definition("", "exact"),
    **{f"p{share}": _PERCENTILE for share in (1, 5, 15, 25, 50, 75, 85, 95, 99)},
    "kurtosis": Definition("mean((x - mean)^4) / mean((x - mean)^2)^2, of all channels together", "kept rows"),
    "zero_share": Definition("values that are exactly 0 / all values", "exact"),
    "saturated_share": Definition(
        "values beyond the points where the activation is flat to within 2 % of its range / all values", "exact"
    ),
    "nonfinite_share": Definition("NaN and infinite values / all values", "exact"),
    "dead_channels": Definition(
        "channels whose standard deviation is at most 0.001 of the median one, or, behind a rectifier, that are not 0 "
        "in under 1 % of the values / all channels",
        "exact",
    ),
    "channel_scale": Definition("mean over channels of the channel variance", "exact", "ACV of Brock, De, Smith 2021"),
    "channel_mean_square": Definition(
        "mean over channels of the squared channel mean", "exact", "ACSM of Brock, De, Smith 2021"
    ),
    "mean_to_variance": Definition("channel_mean_square / channel_scale", "exact", "Brock, De, Smith 2021"),
    "channel_heterogeneity": Definition(
        "standard deviation over the channels that vary of ln(channel variance)", "exact"
    ),
    "cross_sample_cosine": Definition(
        "mean of <a, b> / (|a| |b|) over pairs of rows of different samples", "first kept rows"
    ),
    "effective_rank": Definition(
        "exp(-sum p ln p), p the eigenvalues of the centred Gram matrix over their sum",
        "first kept rows",
        "Roy, Vetterli 2007",
    ),
    "participation_ratio": Definition(
        "tr(S)^2 / tr(S^2) of the covariance S, both without bias", "first kept rows", "the estimator: Song et al. 2012"
    ),
    "conditioning": Definition(
        "largest eigenvalue of the uncentred second moment x channels / its trace", "first kept rows"
    ),
    "massive_activation": Definition(
        "max(|min|, |max|) / median of |value|", "exact and kept rows", "Sun et al. 2024 for the name"
    ),
}
"""By name; a test holds it against the fields of the report."""


def meaning(name: str) -> str:
    """What the report's schema says of a statistic; empty for one that this version does not know."""
    hint = get_type_hints(Statistics, include_extras=True).get(name)
    notes = [note for note in get_args(hint) if isinstance(note, Meta)]
    return notes[0].description or "" if notes else ""
