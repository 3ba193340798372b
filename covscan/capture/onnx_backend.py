"""Reading what flows through ONNX graphs, by making inner values outputs of a copy."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import onnx

from covscan.capture.onnx_branches import Prepared, prepare
from covscan.capture.onnx_calls import find_calls
from covscan.capture.onnx_constants import Array, Weights
from covscan.capture.onnx_feeding import declared
from covscan.capture.onnx_measure import Measurement
from covscan.capture.onnx_network import Probe, Survey
from covscan.capture.onnx_norms import norms_of
from covscan.capture.onnx_parts import Call, Shapes
from covscan.capture.onnx_replay import Replay, is_unmoved, same_calls
from covscan.capture.onnx_study import Study, structure, study
from covscan.capture.types import Network, Norm, Recorder, Reference
from covscan.config import Settings
from covscan.data.binding import bind_onnx
from covscan.data.types import Batch
from covscan.models.types import Checkpoint, OnnxSource


@dataclass(frozen=True, slots=True)
class _Facts:
    """What one checkpoint's graph showed that holds for the others too."""

    size: int | None
    decisions: Mapping[str, bool]
    shapes: Shapes


class OnnxBackend:
    """The Backend for ONNX files, through ONNX Runtime on the CPU."""

    device = "cpu"

    def __init__(self, source: OnnxSource, settings: Settings) -> None:
        self._source = source
        self._settings = settings
        self._facts: _Facts | None = None
        self._current: tuple[str, Prepared] | None = None
        self._probed: dict[str, tuple[_Facts, Probe, Probe | None]] = {}

    def plan(self, checkpoint: Checkpoint, batch: Batch) -> Network:
        """List what can be tapped, from runs over a few samples. Raises UsageError."""
        found = self._study(checkpoint, batch)
        calls = find_calls(found.prepared.graph, found.first.shapes)
        network = Survey(found.prepared, calls, found.first, found.second).network()
        bound = bind_onnx(declared(found.prepared.graph.inputs), batch)
        return replace(network, notes=network.notes + bound.notes())

    def measure(
        self,
        checkpoint: Checkpoint,
        network: Network,
        batches: Iterable[Batch],
        recorder: Recorder,
        references: tuple[Reference, ...] = (),
    ) -> None:
        """Run every batch and hand what each measured site sees to ``recorder``. Raises UsageError."""
        stream = iter(batches)
        first = next(stream, None)
        if first is None:
            return
        facts = self._facts or self._learn(self._study(checkpoint, first))
        prepared = self._prepared(checkpoint)
        replays = self._replays(checkpoint, prepared, network, recorder, references)
        run = Measurement(checkpoint, prepared, network, recorder, self._settings, facts.size, replays)
        for number, batch in enumerate(_again(first, stream), start=1):
            run.batch(batch, number)

    def norms(self, checkpoint: Checkpoint, network: Network) -> Mapping[str, Norm]:
        """The existing normalizations, by module name."""
        prepared = self._prepared(checkpoint)
        return norms_of(prepared.graph, self._calls(prepared), network)

    def weights(self, checkpoint: Checkpoint) -> Mapping[str, Array]:
        """Floating initializers and constants by name, mapped from disk where they are external."""
        return Weights(self._prepared(checkpoint).graph)

    def _study(self, checkpoint: Checkpoint, batch: Batch) -> Study:
        self._current = None  # the old graph may go before the new one comes
        model = self._source.proto(checkpoint)
        key = structure(model, batch)
        if key in self._probed:
            self._facts, first, second = self._probed[key]
            found = Study(self._prepare(model, checkpoint), first, second, self._facts.size)
        else:
            found = study(model, checkpoint, batch)
            self._probed[key] = (self._learn(found), found.first, found.second)
        self._current = (checkpoint.id, found.prepared)
        return found

    def _learn(self, found: Study) -> _Facts:
        self._facts = _Facts(found.size, found.prepared.decisions, found.first.shapes)
        return self._facts

    def _prepared(self, checkpoint: Checkpoint) -> Prepared:
        """The checkpoint's graph, with the branches taken that the data took before; that studied last is at hand."""
        if self._current is not None and self._current[0] == checkpoint.id:
            return self._current[1]
        return self._prepare(self._source.proto(checkpoint), checkpoint)

    def _prepare(self, model: onnx.ModelProto, checkpoint: Checkpoint) -> Prepared:
        decisions = self._facts.decisions if self._facts else {}

        def recall(model: onnx.ModelProto, names: Sequence[str]) -> Mapping[str, bool]:
            del model
            return {name: decisions[name] for name in names if name in decisions}

        return prepare(model, checkpoint.path, frozenset(), recall)

    def _calls(self, prepared: Prepared) -> tuple[Call, ...]:
        shapes = {name: tuple(tensor.dims) for name, tensor in prepared.graph.leaves.items()}
        return find_calls(prepared.graph, {**(self._facts.shapes if self._facts else {}), **shapes})

    def _replays(
        self,
        checkpoint: Checkpoint,
        prepared: Prepared,
        network: Network,
        recorder: Recorder,
        references: Sequence[Reference],
    ) -> list[Replay]:
        """One replay for each reference with other weights; equal weights are reported at once."""
        measured = {site.key for site in network.measured()}
        outputs = {module.name: module.output for module in network.modules if module.output in measured}
        here = [call for call in self._calls(prepared) if call.output in outputs]
        replays = []
        for reference in references:
            assert isinstance(reference.backend, OnnxBackend)
            other = reference.backend._prepared(reference.checkpoint)
            theirs = {call.output: call for call in reference.backend._calls(other)}
            named = {call.output: theirs.get(reference.name(call.output)) for call in here}
            moved = []
            for pair in same_calls(prepared.graph, here, other.graph, named):
                key = outputs[pair.here.output]
                if is_unmoved(prepared.graph, other.graph, pair) and key is not None:
                    recorder.unmoved(pair.here.output, key, reference.id)
                else:
                    moved.append(pair)
            if moved:
                replays.append(Replay(reference.id, other.graph, reference.checkpoint.path, moved))
        return replays


def _again(first: Batch, rest: Iterator[Batch]) -> Iterable[Batch]:
    return chain([first], rest)
