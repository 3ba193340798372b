import numpy as np
import pytest

from covscan.capture.types import Rows, SiteKey
from covscan.data.types import Batch
from covscan.errors import UsageError
from covscan.surgery.calibration import Calibrating
from covscan.surgery.difference import Differences

KEY, OTHER = SiteKey("fc", "output"), SiteKey("gelu", "output")


def batch(n):
    return Batch(index=np.arange(n), block=np.zeros(n, np.int64))


def rows(values, sample):
    return Rows(np.asarray(values, np.float32), np.asarray(sample), np.zeros(len(sample), np.int64))


def test_batches_merge_to_numpys_moments():
    rng = np.random.default_rng(0)
    parts = [rng.normal(1000, 2, (40, 3)).astype(np.float32) for _ in range(3)]
    parts[1][5, 0] = np.inf
    recorder = Calibrating({KEY}, 3)
    for part in parts:
        recorder.record(KEY, rows(part, np.repeat(np.arange(10), 4)), batch(10))
        recorder.record(OTHER, rows(np.zeros_like(part), np.repeat(np.arange(10), 4)), batch(10))
    assert not recorder.wants_replay(batch(10))
    recorder.skip("gelu", "whatever")
    found = recorder.result("fc")
    kept = np.concatenate(parts).astype(float)
    kept = kept[np.isfinite(kept).all(axis=1)]
    assert np.allclose(found.mean, kept.mean(axis=0), rtol=1e-12)
    assert np.allclose(found.variance, kept.var(axis=0), rtol=1e-9)
    assert (found.rows, found.samples) == (119, 30)
    assert 2 < found.independent <= 119 / 30


def test_what_cannot_be_read_is_said():
    recorder = Calibrating({KEY}, 3)
    with pytest.raises(UsageError, match="'fc' cannot be read: nested tensor"):
        recorder.skip("fc", "nested tensor")
    with pytest.raises(UsageError) as error:
        recorder.result("fc")
    assert error.value.found == "no rows at all"


def test_differences_are_told_in_standard_deviations_of_each_output():
    found = Differences()
    rng = np.random.default_rng(1)
    large, small = rng.normal(5, 100, (2, 50, 4)), rng.normal(0, 0.01, (2, 50))
    for part in (0, 1):
        found.add([large[part], small[part]], [large[part] + 1e-3, small[part] + 1e-6], 50)
    result = found.result()
    assert result.largest == pytest.approx(1e-3)
    assert result.relative == pytest.approx(1e-6 / small.std(), rel=1e-6)
    assert (result.samples, result.values) == (100, 500)
    assert not result.unchanged


def test_outputs_that_do_not_vary_or_do_not_match():
    def outcome(one, two):
        found = Differences()
        found.add([np.asarray(one, float)], [np.asarray(two, float)], 2)
        return found.result()

    assert outcome([1, 1], [1, 1]).unchanged
    assert outcome([1, 1], [1, 1.5]).relative is None
    assert outcome([1, np.nan, np.inf, 2], [1, np.nan, np.inf, 2]).unchanged
    assert not outcome([1, np.nan, 2], [1, 0, 2]).unchanged
    assert not outcome([1, 2], [1, 2, 3]).unchanged
    assert not outcome([np.nan, np.nan], [np.nan, 0]).unchanged
    assert not Differences().result().unchanged
