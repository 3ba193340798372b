"""The evidence on the normalizations of a torch module, read as the pipeline reads it."""

from pathlib import Path

import numpy as np

from covscan.capture.recorder import SummaryRecorder
from covscan.capture.torch_backend import TorchBackend
from covscan.config import Settings
from covscan.data import open_samples
from covscan.measures.norms import norm_evidence
from covscan.models.types import Checkpoint, Series


class Held:
    """A source of one module."""

    engine = "torch"
    foreign = False
    description = "held"

    def __init__(self, module):
        self._module = module
        self.series = Series((Checkpoint("c0", Path("c0"), None, ""),), "given")

    def module(self, checkpoint):
        return self._module

    def weights(self, checkpoint):
        return self._module.state_dict()


def read(module, data, **settings):
    """(network, evidence by norm) of ``module`` in eval mode on ``data``."""
    wanted = Settings(data=np.asarray(data), **({"positions": None, "device": "cpu"} | settings))
    source, samples = Held(module.eval()), open_samples(wanted)
    backend = TorchBackend(source, wanted)
    checkpoint = source.series.checkpoints[0]
    network = backend.plan(checkpoint, next(iter(samples.batches())))
    recorder = SummaryRecorder(network, samples, wanted.seed)
    backend.measure(checkpoint, network, samples.batches(), recorder)
    found = norm_evidence(
        network, backend.norms(checkpoint, network), recorder.summary().sites, backend.weights(checkpoint)
    )
    return network, found


def evidence_of(module, data, name, **settings):
    """The evidence on one normalization."""
    return read(module, data, **settings)[1][name]
