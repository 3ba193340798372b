"""What one seed draws for the differential tests: two sides of one site, as covscan sees them and as whole rows."""

import itertools
import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import plain
import torch

from covscan.capture.reading import Reader
from covscan.capture.recorder import SummaryRecorder
from covscan.capture.types import Layout, Saturation, SiteKey
from covscan.data.sampling import deal_blocks
from covscan.data.types import Batch
from covscan.engine.site_work import SiteWork
from covscan.measures.compare import noise_floors
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
