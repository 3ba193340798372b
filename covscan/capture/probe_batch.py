"""How many samples a discovery pass takes."""

from covscan.data.structure import map_arrays
from covscan.data.types import Batch

_FEW = (5, 7, 3, 4, 6, 2, 1)
"""Few, to be cheap, and first those that other axes seldom have, so that the sample axis stands out."""


def few_samples(batch: Batch) -> int:
    """The first of a few small numbers that no other axis of the data has, at most as many as the batch holds."""
    sizes: set[int] = set()
    map_arrays(lambda array: sizes.update(array.shape[1:]), (batch.positional, batch.named))
    fitting = [few for few in _FEW if few <= batch.n]
    return next((few for few in fitting if few not in sizes), fitting[0])
