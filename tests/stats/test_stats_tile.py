"""Every way to reduce an update against numpy in float64, on drawn shapes, offsets, scales and special values."""

import numpy as np
import pytest

from covscan.stats import SiteSummary
from covscan.stats.origin import Origin
from covscan.stats.tile import in_rows

SPECIAL = ("rectified", "constant", "not finite", "zero sample", "small samples", "plain")
LOW, HIGH = -1.0, 1.0


def drawn(generator, special):
    """(samples, channels, positions) in float32 or float64."""
    samples, channels = int(generator.integers(1, 9)), int(generator.choice([1, 2, 5, 17]))
    positions = int(generator.choice([1, 8, 9, 16, 32, 49, 64, 67, 96, 130, 197, 256, 784]))
    scale = 10.0 ** generator.choice([-30, -20, -12, -3, 0, 0, 0, 3, 12, 18, 25])
    offset = generator.choice([0, 0, 1, -1.5, 7, 1e3, -1e5, 1e-6]) * (generator.random((1, channels, 1)) < 0.6)
    values = (generator.standard_normal((samples, channels, positions)) + offset) * scale
    if special == "rectified":
        values = np.maximum(values, 0)
    elif special == "constant":
        values[:, generator.integers(channels)] = np.float32(generator.choice([0, 0.1, -3.3, 1e-9, 1e20]))
    elif special == "not finite":
        values[generator.random(values.shape) < 0.1] = generator.choice([np.nan, np.inf, -np.inf])
    elif special == "zero sample":
        values[generator.integers(samples)] = 0
    elif special == "small samples":
        values *= np.where(generator.random((samples, 1, 1)) < 0.3, 1e-6, 1)
    return values.astype(generator.choice([np.float32, np.float32, np.float64]))


def summarized(generator, values, way):
    """In one or two updates; and the rows with their blocks."""
    samples, channels, positions = values.shape
    sample, position = np.repeat(np.arange(samples), positions), np.tile(np.arange(positions), samples)
    rows, block = in_rows(values), generator.integers(0, 3, samples)
    if way == "ragged":
        kept = np.flatnonzero(generator.random(len(rows)) < 0.7)
        rows, sample, position = rows[kept], sample[kept], position[kept]
    summary = SiteSummary(channels, 3, 0, (LOW, HIGH))
    cut = samples // 2 if generator.random() < 0.5 else samples
    for start, end in ((0, cut), (cut, samples)):
        here = (sample >= start) & (sample < end)
        if here.any():
            origin = Origin(sample[here], position[here], block[sample[here]])
            summary.update(values[start:end] if way == "planes" else rows[here], origin)
    return summary, rows


@pytest.mark.parametrize("special", SPECIAL)
@pytest.mark.parametrize("way", ["planes", "rows", "ragged"])
def test_whatever_is_reduced_comes_to_what_numpy_says_in_float64(way, special):
    generator = np.random.default_rng([SPECIAL.index(special), len(way)])
    for _ in range(60):
        values = drawn(generator, special)
        while way == "planes" and values.shape[2] in (1, 67, 197):  # which are no planes
            values = drawn(generator, special)
        summary, rows = summarized(generator, values, way)
        exact = rows.astype(np.float64)
        finite = np.isfinite(exact)
        counts, extremes, found = summary.counts, summary.extremes, summary.moments.pooled()
        assert (counts.total == len(rows)).all()
        assert (counts.zero == (rows == 0).sum(axis=0)).all()
        assert (counts.nonfinite == (~finite).sum(axis=0)).all()
        assert (counts.saturated == (finite & ((exact <= LOW) | (exact >= HIGH))).sum(axis=0)).all()
        assert (extremes.low == np.where(finite, exact, np.inf).min(axis=0, initial=np.inf)).all()
        assert (extremes.high == np.where(finite, exact, -np.inf).max(axis=0, initial=-np.inf)).all()
        rounding = np.finfo(rows.dtype).eps
        for channel in range(rows.shape[1]):
            seen = exact[finite[:, channel], channel]
            if not len(seen):
                assert np.isnan(found.mean[channel])
                continue
            spread, largest = seen.std(), np.abs(seen).max()
            if not spread:
                assert found.variance[channel] == 0
                assert found.mean[channel] == seen[0]
                continue
            assert abs(found.mean[channel] - seen.mean()) <= rounding * (20 * spread + 4 * largest)
            merged = 8 * np.finfo(np.float64).eps * largest * spread
            allowed = 60 * rounding * seen.var() + np.square(3 * rounding * largest) + merged
            assert abs(found.variance[channel] - seen.var()) <= allowed
