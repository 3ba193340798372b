"""An array in a file, of which rows are read when they are asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from covscan.data.arrays import Array


@dataclass(frozen=True, slots=True)
class MappedArray:
    """Where an array lies in a file, and how.

    The file is mapped anew for each reading: a mapping that is kept counts every page that was ever read as memory
    of the process, which would then grow with the samples.
    """

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    order: Literal["C", "F"] = "C"

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Array:
        return np.array(self._whole()[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self._whole(), dtype)

    def _whole(self) -> Array:
        if self.size == 0:
            return np.empty(self.shape, self.dtype)
        return np.asarray(np.memmap(self.path, self.dtype, "r", self.offset, self.shape, self.order))
