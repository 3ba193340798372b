"""ONNX models, a source and a recorder for the tests of the ONNX back end."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from covscan.capture.onnx_backend import OnnxBackend
from covscan.capture.types import Network, Reference, Rows, SiteKey
from covscan.config import Settings
from covscan.data.types import Batch
from covscan.models.types import Checkpoint, Series


class Source:
    engine = "onnx"
    series = Series((), "given")
    description = "a test"

    def proto(self, checkpoint):
        return onnx.load(checkpoint.path, load_external_data=False)


@dataclass
class Recorded:
    """A Recorder that keeps everything."""

    parts: dict = field(default_factory=dict)
    skipped: dict = field(default_factory=dict)
    replays: dict = field(default_factory=dict)
    unmoved_: list = field(default_factory=list)
    replay_batches: frozenset | None = None

    def record(self, key, rows, batch):
        self.parts.setdefault(key, []).append((Rows(rows.values.copy(), rows.sample, rows.position), batch))

    def wants_replay(self, batch, work=None):
        return self.replay_batches is None or int(batch.index[0]) in self.replay_batches

    def skip(self, site, reason):
        self.skipped.setdefault(site, reason)

    def replay(self, name, key, reference, actual, counterfactual, batch, work=None):
        assert name == key.site
        assert np.array_equal(actual.sample, counterfactual.sample)
        assert np.array_equal(actual.position, counterfactual.position)
        self.replays.setdefault((key.site, reference), []).append((actual, counterfactual, batch))

    def unmoved(self, name, key, reference):
        assert name == key.site
        self.unmoved_.append((name, reference))

    def values(self, site: str) -> np.ndarray:
        """All rows of a site over all batches, in order: (rows, channels)."""
        (key,) = [key for key in self.parts if key.site == site]
        return np.concatenate([rows.values for rows, _ in self.parts[key]])

    def replayed(self, site: str, reference: str) -> tuple[np.ndarray, np.ndarray]:
        found = self.replays[(site, reference)]
        return np.concatenate([a.values for a, _, _ in found]), np.concatenate([c.values for _, c, _ in found])


@dataclass
class Measured:
    backend: OnnxBackend
    network: Network
    seen: Recorded


def everything(**changes) -> Settings:
    return Settings(**{"positions": None, **changes})


def checkpoint(path: Path, name: str = "") -> Checkpoint:
    return Checkpoint(id=name or path.stem, path=path, step=None, sha256="")


def batch(*positional, start: int = 0, **named) -> Batch:
    arrays = [*positional, *(value for value in named.values() if np.ndim(value))]
    index = np.arange(start, start + len(arrays[0]))
    return Batch(index=index, block=index % 4, positional=positional, named=named)


def run(path, batches, *, references=(), settings=None, seen=None) -> Measured:
    backend = OnnxBackend(Source(), settings or everything())
    network = backend.plan(checkpoint(path), batches[0])
    seen = seen or Recorded()
    old = tuple(Reference(each.id, each, backend) for each in references)
    backend.measure(checkpoint(path), network, iter(batches), seen, old)
    return Measured(backend, network, seen)


def save(path: Path, nodes, inputs, outputs, tensors, *, opset=17, ir=8, functions=(), domains=()) -> Path:
    """Write a checked model; inputs are (name, shape) or (name, shape, type), tensors a dict of arrays."""
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    graph = helper.make_graph(
        nodes,
        "g",
        [info(*each) for each in inputs],
        [info(*each) for each in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=opsets, functions=list(functions))
    model.ir_version = ir
    onnx.save(model, path)
    return path


def info(name, shape=None, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


node = helper.make_node


def normal(*shape, seed=0, scale=1.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype(np.float32)


def rows_of(value: np.ndarray, channel: int, sample: int = 0) -> np.ndarray:
    """(rows, channels) in the order of reading: samples, then positions."""
    moved = np.moveaxis(value, (sample, channel), (0, -1))
    return moved.reshape(-1, value.shape[channel])


def oracle(path: Path, names, feeds) -> dict[str, np.ndarray]:
    """Values of a model by the reference evaluator of the onnx package, which shares nothing with ONNX Runtime."""
    from onnx.reference import ReferenceEvaluator

    model = onnx.load(path)
    del model.graph.output[:]
    model.graph.output.extend(info(name) for name in names)
    return dict(zip(names, ReferenceEvaluator(model).run(None, feeds), strict=True))


def site(network: Network, name: str):
    (found,) = [each for each in network.sites if each.key.site == name]
    return found


def module(network: Network, name: str):
    (found,) = [each for each in network.modules if each.name == name]
    return found


__all__ = [
    "Measured",
    "Recorded",
    "Rows",
    "SiteKey",
    "Source",
    "batch",
    "checkpoint",
    "everything",
    "info",
    "module",
    "node",
    "normal",
    "oracle",
    "rows_of",
    "run",
    "save",
    "site",
]
