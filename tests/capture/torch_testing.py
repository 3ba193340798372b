"""Running a module through the back end as the pipeline does, and the truth from plain hooks."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from covscan.capture.recorder import CheckpointSummary, SummaryRecorder
from covscan.capture.torch_backend import TorchBackend
from covscan.capture.types import Network, Reference, SiteKey
from covscan.config import Settings
from covscan.data import open_samples
from covscan.models.types import Checkpoint, Series


class InMemory:
    """A TorchSource over modules that are already there."""

    engine = "torch"
    foreign = False
    description = "in memory"

    def __init__(self, *modules):
        self._modules = {f"c{number}": module for number, module in enumerate(modules)}
        self.series = Series(tuple(Checkpoint(name, Path(name), None, "") for name in self._modules), "given")

    def module(self, checkpoint):
        return self._modules[checkpoint.id]

    def weights(self, checkpoint):
        return self._modules[checkpoint.id].state_dict()


@dataclass
class Run:
    network: Network
    summary: CheckpointSummary

    def sites(self):
        return {(site.key.site, site.key.position) for site in self.network.sites}

    def skipped(self):
        return {skip.site: skip.reason for skip in (*self.network.skipped, *self.summary.skipped)}

    def moments(self, site, position="output"):
        return self.summary.sites[SiteKey(site, position)].moments.pooled()


def capture(module, data, references=(), **settings):
    """Capture one module on ``data`` with every position read, unless said otherwise."""
    wanted = Settings(data=data, **({"positions": None, "device": "cpu"} | settings))
    source = InMemory(module, *references)
    samples = open_samples(wanted)
    backend = TorchBackend(source, wanted)
    first, *earlier = source.series.checkpoints
    network = backend.plan(first, next(iter(samples.batches())))
    recorder = SummaryRecorder(network, samples, wanted.seed)
    old = tuple(Reference(each.id, each, backend) for each in earlier)
    backend.measure(first, network, samples.batches(), recorder, old)
    return Run(network, recorder.summary())


def by_channel(values, axis):
    """(values, channels) float64 of a tensor."""
    array = np.asarray(values.detach().float().numpy(), np.float64)
    return np.moveaxis(array, axis, -1).reshape(-1, array.shape[axis])


def agrees(moments, tensor, axis):
    truth = by_channel(tensor, axis)
    np.testing.assert_allclose(moments.mean, truth.mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(moments.variance, truth.var(axis=0), rtol=1e-4, atol=1e-9)
