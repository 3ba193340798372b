"""covscan beside numpy on whole activations, over drawn shapes, dtypes, batch cuts, offsets and scales.

Tolerances and their reasons:

- counts, shares and extremes are exact;
- moments are sums of deviations in the dtype of the rows, merged in float64: float32 rows carry 2e-5 of a variance
  (sums of up to 128 squares) and 1e-6 of a standard deviation of a mean, float64 rows 1e-9 and 1e-12;
- percentiles, kurtosis, directions and what compares distributions come from kept rows in float32, so the truth is
  taken from float32 rows as well and only the arithmetic is compared: 1e-5, for directions 1e-4, since a spectrum of
  products has half the digits of one of values.

Values reach from 1e-20 to 1e20, with offsets of up to a million times the scale. What float32 can no longer tell apart
under such an offset is rounded before either side sees it.
"""

import itertools
import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import plain
import pytest
import torch
from scipy import stats

from covscan.capture.reading import Reader
from covscan.capture.recorder import SummaryRecorder
from covscan.capture.types import Layout, Saturation, SiteKey
from covscan.data.sampling import deal_blocks
from covscan.data.types import Batch
from covscan.engine.site_work import SiteWork
from covscan.measures.compare import noise_floors
from covscan.measures.excess import excess
from covscan.measures.movement import shift_per_weight_movement, squared_norms
from covscan.measures.result import Result
from covscan.measures.views import Kept

KEY = SiteKey("site", "output")
DTYPES = {"float64": torch.float64, "float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
FINE = {"float64": (1e-9, 1e-12), "float32": (2e-5, 1e-6)}
CASES = 220


@dataclass
class Case:
    """What one seed draws: two sides of one site, on the same samples."""

    seed: int

    def __post_init__(self):
        draw = self.draw = np.random.default_rng([self.seed, 7])
        self.dtype = str(draw.choice(list(DTYPES)))
        half = self.dtype == "float16"
        self.scale = (
            float(10.0 ** draw.uniform(-2, 2)) if half else float(10.0 ** draw.choice([-20, -12, -3, 0, 0, 4, 20]))
        )
        self.offset = self.scale * float(draw.choice([0, 0, 1, 30] if half else [0, 0, 1, 1e3, 1e6]))
        self.samples = int(draw.integers(1, 60))
        self.positions = tuple(draw.integers(1, 4, size=int(draw.integers(0, 3))).tolist())
        self.channels = int(draw.integers(1, 24))
        self.last = bool(draw.integers(2))  # whether channels are the last axis
        self.rectified = bool(draw.integers(2))
        self.bounds = (-0.5 * self.scale, 0.5 * self.scale) if draw.integers(2) else None
        self.fine = FINE["float64" if self.dtype == "float64" else "float32"]
        size = math.prod(self.positions)
        self.samples = min(self.samples, 256 // size)  # as many rows as every measure reads
        self.mask = draw.random((self.samples, size)) < 0.7 if self.positions and draw.integers(2) else None
        if self.mask is not None:
            self.mask[0, 0] = True
        self.index = np.sort(draw.choice(10_000, self.samples, replace=False)).astype(np.int64)
        self.blocks, self.block = deal_blocks(self.index, self.seed)
        self.cuts = np.flatnonzero(draw.random(self.samples) < draw.choice([0.0, 0.1, 0.5, 1.0]))
        self.bad = bool(draw.random() < 0.25)
        self.first, self.second = self._values(1.0), self._values(float(draw.choice([1.0, 1.0, 1.3, 5.0])))

    def _values(self, factor):
        """A tensor of the network's: mixed channels, some constant, some zero, a few values not finite."""
        draw, shape = self.draw, (self.samples, math.prod(self.positions), self.channels)
        values = draw.normal(size=shape) * factor + draw.normal(size=self.channels)
        kinds = draw.integers(0, 8, size=self.channels)
        values[..., kinds == 0] = 0.0
        values[..., kinds == 1] = draw.normal(size=self.channels)[kinds == 1]
        values[..., kinds == 2] = np.maximum(values[..., kinds == 2], 0)
        values[..., kinds == 3] **= 3
        values[..., kinds == 4] *= 1e-3
        values = values * self.scale + self.offset * (kinds != 0)
        if self.bad:
            values[draw.random(shape) < 0.02] = draw.choice([np.nan, np.inf, -np.inf])
            values[..., draw.integers(self.channels)] = np.nan
        with np.errstate(over="ignore"):
            tensor = torch.from_numpy(values).to(DTYPES[self.dtype])
        tensor = tensor.reshape(self.samples, *self.positions, self.channels)
        return tensor if self.last or not self.positions else tensor.movedim(-1, 1)

    @property
    def layout(self):
        axes = len(self.positions) + 2
        return Layout(channel_axis=axes - 1 if self.last or not self.positions else 1)

    def summary(self, tensor):
        """What covscan keeps of it, batch by batch."""
        site = SimpleNamespace(key=KEY, saturation=None if self.bounds is None else Saturation(*self.bounds))
        network = SimpleNamespace(measured=lambda: [site])
        recorder = SummaryRecorder(network, SimpleNamespace(blocks=self.blocks, count=self.samples), self.seed)
        ends = [0, *(int(cut) for cut in self.cuts if cut), self.samples]
        for start, stop in itertools.pairwise(ends):
            part = slice(start, stop)
            mask = None if self.mask is None else self.mask[part]
            batch = Batch(self.index[part], self.block[part], mask=mask)
            recorder.record(KEY, Reader(batch, None, self.seed).rows(tensor[part], self.layout), batch)
        return recorder.summary().sites[KEY]

    def whole(self, tensor, *, narrow=False):
        """The same as rows, all at once."""
        values = tensor.double() if self.last or not self.positions else tensor.double().movedim(1, -1)
        rows = values.reshape(self.samples, -1, self.channels).numpy()
        with np.errstate(over="ignore"):
            rows = rows.astype(np.float32).astype(np.float64) if narrow else rows
        keep = np.ones(rows.shape[:2], bool) if self.mask is None else self.mask
        sample = np.broadcast_to(np.arange(self.samples)[:, None], keep.shape)[keep]
        return plain.Whole(rows[keep], sample, self.block[sample])

    def compared(self):
        one, other = self.summary(self.first), self.summary(self.second)
        floors = noise_floors(Kept(one), self.seed)
        work = SiteWork(other, [(one, floors)], None, self.seed, paired=True, rectified=self.rectified,
                        saturating=self.bounds is not None, per_channel=True)  # fmt: skip
        facts, (comparison,) = work.facts_and_comparisons()
        return facts, comparison


def close(found, truth, *, relative, absolute=0.0, what=""):
    if truth is None or (isinstance(truth, float) and not math.isfinite(truth)):
        assert found is None or not math.isfinite(found), (what, found, truth)
        return
    assert found is not None, (what, truth)
    assert abs(found - truth) <= relative * abs(truth) + absolute, (what, found, truth)


EXACT = {"samples", "count", "zero_share", "saturated_share", "nonfinite_share", "min", "max", "dead_channels"}
ROWS = {"kurtosis", *(f"p{q}" for q in plain.QUANTILES)}
DIRECTIONS = {"effective_rank", "participation_ratio", "conditioning", "cross_sample_cosine"}


@pytest.mark.parametrize("seed", range(CASES))
def test_every_statistic_is_that_of_the_whole_activations(seed):
    case = Case(seed)
    facts, _ = case.compared()
    whole, narrow = case.whole(case.second), case.whole(case.second, narrow=True)
    of_rows = plain.described(narrow, rectified=case.rectified, bounds=case.bounds)
    truth = plain.described(whole, rectified=case.rectified, bounds=case.bounds)
    of_variance, of_mean = case.fine
    spread, largest = truth.get("std", 0.0), max(abs(truth.get("min", 0.0)), abs(truth.get("max", 0.0)))
    fields = dict(facts.fields)
    for name in EXACT & truth.keys():
        assert fields.pop(name) == truth[name], (name, truth[name], case)
    if not truth["count"]:
        assert set(fields) == {"status"}
        return
    close(fields.pop("mean"), truth["mean"], relative=1e-12, absolute=of_mean * spread, what="mean")
    close(fields.pop("std"), truth["std"], relative=of_variance, absolute=1e-12 * largest, what="std")
    for name in ("channel_scale", "channel_mean_square", "mean_to_variance"):
        close(fields.pop(name), truth[name], relative=2 * of_variance, what=name)
    close(fields.pop("channel_heterogeneity"), truth["channel_heterogeneity"], relative=1e-3, absolute=1e-5,
          what="channel_heterogeneity")  # fmt: skip
    for name in ROWS:
        absolute = 1e-7 * largest if name != "kurtosis" else 0.0
        close(fields.pop(name), of_rows[name], relative=1e-5, absolute=absolute, what=name)
    close(fields.pop("massive_activation"), of_rows["massive_activation"], relative=1e-6, what="massive_activation")
    finite = np.isfinite(narrow.values).all(axis=1)
    directions = plain.directions(narrow.values[finite], narrow.sample[finite])
    for name, value in directions.items():
        close(fields.pop(name), value, relative=1e-4, absolute=1e-6, what=name)
    assert fields == {}
    for name, values in plain.per_channel(whole).items():
        kept = facts.channels[name]
        for found, value in zip(kept, [None if each is None else float(each) for each in values], strict=True):
            slack = of_mean * spread if name == "channel_means" else 1e-12 * largest
            close(found, value, relative=of_variance, absolute=slack, what=name)


def finite_pair(case, *, narrow):
    one, other = case.whole(case.first, narrow=narrow), case.whole(case.second, narrow=narrow)
    finite = np.isfinite(one.values).all(axis=1) & np.isfinite(other.values).all(axis=1)
    return one.values[finite], other.values[finite]


def groups_of(case):
    """Blocks with data, dealt into at most 32 groups in turn."""
    one, other = case.whole(case.first), case.whole(case.second)
    present = [set(each.block[np.isfinite(each.values).any(axis=1)].tolist()) for each in (one, other)]
    blocks = sorted(present[0] & present[1])
    count = min(32, len(blocks))
    return [set(blocks[start::count]) for start in range(count)]


@pytest.mark.parametrize("seed", range(CASES))
def test_every_measure_is_that_of_the_whole_activations(seed):
    case = Case(seed)
    _, comparison = case.compared()
    found = {name: result.value for name, result in comparison.measures.items()}
    relative = 1e-7 if case.dtype == "float64" else 2e-4
    one, other = case.whole(case.first), case.whole(case.second)
    truth = plain.moment_measures(one, other, groups_of(case))
    for name in ("standardized_mean_difference", "log_variance_ratio", "absolute_log_variance_ratio", "gaussian_w2"):
        # w2 is a root of a difference: near 0 it has half the digits.
        absolute = math.sqrt(relative) / 10 if name == "gaussian_w2" else relative
        close(found.pop(name), truth and truth[name], relative=relative, absolute=absolute, what=name)
    a, b = finite_pair(case, narrow=True)
    rows = plain.distribution_measures(a, b) if len(a) >= 2 and _groups_leave_rows(case, 1) else None
    for name in ("wasserstein_1", "kolmogorov_smirnov", "population_stability_index", "jensen_shannon"):
        close(found.pop(name), rows and rows[name], relative=1e-4, absolute=1e-6, what=name)
    enough = len(a) >= 4 and _groups_leave_rows(case, 4)
    geometry = plain.geometry_measures(a, b) if enough else {"linear_cka_distance": None, "effective_rank": None}
    for name, value in geometry.items():
        close(found.pop(name), value, relative=1e-4, absolute=1e-6, what=name)
    assert found == {}


def _groups_leave_rows(case, least):
    """Whether every replicate of the jackknife over 16 groups keeps so many rows."""
    one, other = case.whole(case.first), case.whole(case.second)
    finite = np.isfinite(one.values.astype(np.float32)).all(axis=1) & np.isfinite(other.values.astype(np.float32)).all(
        axis=1
    )
    present = [set(each.block[np.isfinite(each.values).any(axis=1)].tolist()) for each in (one, other)]
    blocks = sorted(present[0] & present[1])
    count = min(16, len(blocks))
    left = [np.sum(finite & ~np.isin(one.block, blocks[start::count])) for start in range(count)]
    return min([np.sum(finite), *left]) >= least


def replicates_of(case):
    """The moment measures of everything and without each group, on the channels and with the bias of everything."""
    one, other = case.whole(case.first), case.whole(case.second)
    groups = groups_of(case)
    every = set(one.block.tolist())
    return [plain.fixed_measures(one, other, groups, each) for each in (every, *(every - group for group in groups))]


@pytest.mark.parametrize("seed", range(0, CASES, 9))
def test_intervals_are_the_jackknifes_of_the_whole_activations(seed):
    case = Case(seed)
    _, comparison = case.compared()
    groups = groups_of(case)
    if len(groups) < 4 or comparison.measures["gaussian_w2"].value is None:
        assert comparison.measures["gaussian_w2"].low is None
        return
    truth = replicates_of(case)
    slack = 1e-6 if case.dtype == "float64" else 1e-3
    for name in ("standardized_mean_difference", "log_variance_ratio", "absolute_log_variance_ratio"):
        values = np.array([each[name] for each in truth])
        found = comparison.measures[name]
        if not np.isfinite(values).all():
            assert found.low is None
            continue
        n = len(groups)
        error = math.sqrt((n - 1) / n * np.sum((values[1:] - values[1:].mean()) ** 2))
        half = stats.t.ppf(0.975, n - 1) * error
        low = values[0] - half if name == "log_variance_ratio" else max(values[0] - half, 0.0)
        # Student's quantile is an expansion that is 0.2 % off at most.
        room = 3e-3 * half + slack * max(1.0, abs(values[0]))
        assert abs(found.high - (values[0] + half)) <= room, (name, found.high, values[0] + half)
        assert abs(found.low - low) <= room, (name, found.low, low)


@pytest.mark.parametrize("seed", range(0, CASES, 11))
def test_noise_floors_are_those_of_the_same_halves(seed):
    case = Case(seed)
    whole, kept = case.whole(case.first), Kept(case.summary(case.first))
    floors = noise_floors(kept, case.seed)
    blocks = sorted(set(whole.block[np.isfinite(whole.values).any(axis=1)].tolist()))
    count = min(32, len(blocks))
    if count < 4:
        assert floors == {}
        return
    groups = [set(blocks[start::count]) for start in range(count)]
    generator = np.random.default_rng([case.seed, count])
    halves = []
    for _ in range(64):
        first = set().union(*(groups[place] for place in generator.permutation(count)[: count // 2]))
        halves.append(plain.halves_measures(whole, groups, first))
    if halves[0] is None:
        assert "gaussian_w2" not in floors
        return
    for name in halves[0]:
        values = np.array([each[name] for each in halves])
        truth = float(np.quantile(np.abs(values), 0.95)) if np.isfinite(values).all() else math.nan
        close(floors.get(name), truth, relative=1e-3, absolute=1e-3, what=name)


@pytest.mark.parametrize("seed", range(0, CASES, 4))
def test_what_a_layer_adds_is_that_of_the_whole_activations(seed):
    case = Case(seed)
    old, new = case.summary(case.first), case.summary(case.second)
    found = excess(new.moments, old.moments, new.moments.pooled(), {})
    truth = plain.moment_measures(
        case.whole(case.first), case.whole(case.second), groups_of(case), floor_of_second=True
    )
    relative = 1e-7 if case.dtype == "float64" else 2e-4
    pairs = {
        "excess_shift": "gaussian_w2",
        "excess_mean_difference": "standardized_mean_difference",
        "excess_log_variance_ratio": "log_variance_ratio",
    }
    for name, plainly in pairs.items():
        absolute = math.sqrt(relative) / 10 if name == "excess_shift" else relative
        close(found[name].value, truth and truth[plainly], relative=relative, absolute=absolute, what=name)


@pytest.mark.parametrize("dtype", list(DTYPES))
@pytest.mark.parametrize("scale", [1e-18, 1e-3, 1.0, 1e18])
def test_the_movement_of_weights_is_the_ratio_of_their_norms(dtype, scale):
    draw = np.random.default_rng(1)
    scale = float(np.clip(scale, 1e-2, 1e2)) if dtype == "float16" else scale
    old = {name: torch.from_numpy(draw.normal(size=shape) * scale).to(DTYPES[dtype]) for name, shape in
           {"a": (7, 5), "b": (3,), "c": (2, 2)}.items()}  # fmt: skip
    new = {name: (value.double() * 1.1 + 0.01 * scale).to(DTYPES[dtype]) for name, value in old.items()}
    moved, size = squared_norms(old, new, ["a", "b"])
    flat = [np.concatenate([weights[name].double().numpy().ravel() for name in ("a", "b")]) for weights in (old, new)]
    truth = np.linalg.norm(flat[1] - flat[0]) / np.linalg.norm(flat[0])
    assert math.sqrt(moved / size) == pytest.approx(truth, rel=1e-5)
    found = shift_per_weight_movement(Result(0.6, 0.1, 0.5, 0.7, significant=True), math.sqrt(moved / size))
    assert (found.value, found.low, found.high) == pytest.approx((0.6 / truth, 0.5 / truth, 0.7 / truth), rel=1e-5)


@pytest.mark.parametrize("seed", range(0, CASES, 11))
def test_the_cuts_of_batches_change_nothing_but_the_last_digits(seed):
    case = Case(seed)
    facts, comparison = case.compared()
    case.cuts = np.arange(1, case.samples)
    one_by_one, compared = case.compared()
    for name, value in facts.fields.items():
        if isinstance(value, float):
            slack = 1e-3 if name == "channel_heterogeneity" else case.fine[0]
            close(
                one_by_one.fields[name],
                value,
                relative=2 * slack,
                absolute=1e-6 * facts.fields.get("std", 0.0),
                what=name,
            )
    for name, result in comparison.measures.items():
        close(compared.measures[name].value, result.value, relative=1e-3, absolute=1e-3, what=name)
