"""Which samples are read and how they are dealt into jackknife blocks: by seed, alike at every checkpoint."""

import numpy as np
import numpy.typing as npt

from covscan.errors import UsageError
from covscan.stats.hashing import hash_index

Index = npt.NDArray[np.int64]

MOST_BLOCKS = 32
MOST_ROWS = 1 << 32
"""Each of which is hashed, in a minute and a half."""
_CHOICE_STREAM = 2
_BLOCK_STREAM = 3
_CHUNK = 1 << 20


def choose_rows(available: int, samples: int, seed: int) -> Index:
    """Ascending numbers of the rows that are read: all, or the ``samples`` with the smallest hash.

    Memory grows with ``samples`` and not with ``available``. Raises UsageError where there is nothing to
    read.
    """
    if available < 1:
        raise empty()
    if available > MOST_ROWS:
        raise UsageError(
            "too-large",
            "the data says that it holds more samples than any data set has",
            found=f"{available:,}",
            hint="the file is damaged, or made to exhaust the machine",
        )
    if available <= samples:
        return np.arange(available, dtype=np.int64)
    kept = np.empty(0, np.int64)
    for start in range(0, available, _CHUNK):
        kept = np.concatenate([kept, np.arange(start, min(start + _CHUNK, available), dtype=np.int64)])
        last = min(samples, len(kept)) - 1
        kept = kept[np.argpartition(hash_index(kept, seed, _CHOICE_STREAM), last)[: last + 1]]
    return np.sort(kept)


def deal_blocks(index: Index, seed: int) -> tuple[int, Index]:
    """How many blocks there are, and the block of each sample; block sizes differ by one at most."""
    blocks = min(MOST_BLOCKS, len(index))
    order = np.argsort(hash_index(index, seed, _BLOCK_STREAM), kind="stable")
    rank = np.empty(len(index), np.int64)
    rank[order] = np.arange(len(index))
    return blocks, rank % blocks


def empty(what: str = "the data") -> UsageError:
    """The error for data without a single sample."""
    return UsageError("empty-data", f"{what} holds no samples", hint="give data with at least one sample")
