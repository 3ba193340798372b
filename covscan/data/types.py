"""What the readers of sample data hand to capture."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Batch:
    """Some samples, with what identifies each of them.

    ``named`` holds arrays by the names the user gave (empty for positional data), ``positional`` those without names;
    both keep the structure that the model expects (an array, or for Python data sources whatever they yielded).
    Axis 0 of every array is the sample, ``n`` of them. ``index`` (n,) int64 is each sample's number in the data set,
    the same at every checkpoint; ``block`` (n,) int64 its jackknife block. ``mask`` (n, positions) bool is True where
    there is data and False where there is padding; None where nothing is padded.
    """

    index: npt.NDArray[np.int64]
    block: npt.NDArray[np.int64]
    positional: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict)
    target: Any = None
    mask: npt.NDArray[np.bool_] | None = None

    @property
    def n(self) -> int:
        """How many samples the batch holds."""
        return len(self.index)


class Samples(Protocol):
    """An open, seeded sample of a data set, which can be read any number of times and is the same each time."""

    @property
    def count(self) -> int:
        """Samples that one pass yields."""
        ...

    @property
    def available(self) -> int | None:
        """Samples that the data set holds, where that is known."""
        ...

    @property
    def blocks(self) -> int:
        """Number of jackknife blocks the samples are dealt into."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 of the samples that are read, in order, with names, shapes and dtypes."""
        ...

    @property
    def description(self) -> str:
        """One line for the report's head: what was opened."""
        ...

    @property
    def nonfinite(self) -> int:
        """Values among the samples that are NaN or infinite."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """Names of the arrays, empty where they have none."""
        ...

    def batches(self) -> Iterator[Batch]:
        """The samples in ascending ``index``, cut into batches; the last may be smaller."""
        ...

    def cut(self, batch_size: int) -> None:
        """Cut into batches of another size from now on."""
        ...
