"""Which values are finite, found once for all accumulators of a site."""

from typing import Final

import numpy as np
import numpy.typing as npt

ALL_FINITE: Final = np.ones((1, 1), bool)
"""Stands for a mask of True everywhere, which nobody has to look at."""

Finite = npt.NDArray[np.bool_] | None


def finite_values(values: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """``ALL_FINITE``, or (rows, channels) bool that is True where a value is neither NaN nor infinite."""
    finite: npt.NDArray[np.bool_] = np.isfinite(values)
    return ALL_FINITE if finite.all() else finite
