"""Mergeable accumulators over arrays; they have never heard of a model.

Each has ``update`` (take rows), ``merge`` (take another's state) and ``state`` (plain arrays, for caches and other
processes). Any order and any chunking of the same rows gives the same state up to rounding in float64.
"""

from covscan.stats.moments import BlockMoments, BlockSums, Moments
from covscan.stats.rows import RowSample
from covscan.stats.summary import SiteSummary

ACCUMULATORS = {
    "moments": "covscan.stats.moments:BlockMoments",
    "counts": "covscan.stats.counts:ChannelCounts",
    "extremes": "covscan.stats.extremes:Extremes",
    "rows": "covscan.stats.rows:RowSample",
}

__all__ = ["ACCUMULATORS", "BlockMoments", "BlockSums", "Moments", "RowSample", "SiteSummary"]
