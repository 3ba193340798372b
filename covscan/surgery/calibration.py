"""The mean and variance of a tensor over the sample data, in float64, as a recorder of what a back end reads."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from covscan.capture.types import Rows, SiteKey
from covscan.data.types import Batch
from covscan.errors import UsageError

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Mean and population variance per channel (channels,), the rows and samples they come from.

    ``independent`` is how many independent rows one sample is worth for a mean over a batch: 1 for a tensor without
    positions, the number of positions where they are unrelated, less where they resemble each other.
    """

    mean: Float64
    variance: Float64
    rows: int
    samples: int
    independent: float


class Calibrating:
    """A Recorder that adds up what it is shown of some sites; they are read as one, as calls of one module are."""

    def __init__(self, sites: Collection[SiteKey], channels: int) -> None:
        self._sites = sites
        self._all = _Sums(channels)
        self._of_samples = _Sums(channels)
        self._left_out = 0

    def record(self, key: SiteKey, rows: Rows, batch: Batch) -> None:
        """Add the rows of one site in one batch; those that are not finite are left out."""
        del batch
        if key not in self._sites:
            return
        finite: npt.NDArray[np.bool_] = np.all(np.isfinite(rows.values), axis=1)
        self._left_out += int(np.sum(~finite))
        values, sample = rows.values[finite].astype(np.float64), rows.sample[finite]
        if len(values):
            self._all.add(values)
            starts = np.flatnonzero(np.diff(sample, prepend=-1))
            counts = np.diff(starts, append=len(sample))
            self._of_samples.add(np.add.reduceat(values, starts, axis=0) / counts[:, None])

    def wants_replay(self, batch: Batch, work: int | None = None) -> bool:
        """No."""
        del batch, work
        return False

    def skip(self, site: str, reason: str) -> None:
        """Raise UsageError where it is one of the sites: there is nothing to calibrate with."""
        if any(site in (key.site, f"{key.site} (other branch)") for key in self._sites):
            raise UsageError("unreadable-site", f"{site!r} cannot be read: {reason}")

    def replay(self, *arguments: Any, **keywords: Any) -> None:
        """Never called, since none is wanted."""

    def unmoved(self, *arguments: Any) -> None:
        """Never called, since there are no references."""

    def result(self, site: str) -> Calibration:
        """What was seen. Raises UsageError where nothing finite was."""
        whole = self._all
        if not whole.count:
            raise UsageError(
                "no-values",
                f"nothing finite came by at {site!r}",
                found=f"{self._left_out} rows with NaN or infinity" if self._left_out else "no rows at all",
                hint="a normalization can be calibrated only with data that the network computes with",
            )
        variance = whole.squares / whole.count
        samples = self._of_samples
        between = float((samples.squares / max(samples.count - 1, 1)).sum())
        most = whole.count / samples.count
        independent = float(variance.sum()) / between if between > 0 else most
        return Calibration(whole.mean, variance, whole.count, samples.count, min(max(independent, 1.0), most))


class _Sums:
    """Count, mean and sum of squared deviations for each channel, merged pairwise."""

    def __init__(self, channels: int) -> None:
        self.count = 0
        self.mean: Float64 = np.zeros(channels)
        self.squares: Float64 = np.zeros(channels)

    def add(self, values: Float64) -> None:
        """Take (rows, channels) in."""
        new, mean = len(values), values.mean(axis=0)
        total, apart = self.count + new, mean - self.mean
        self.squares = self.squares + np.square(values - mean).sum(axis=0)
        self.squares += np.square(apart) * (self.count * new / total)
        self.mean = self.mean + apart * (new / total)
        self.count = total
