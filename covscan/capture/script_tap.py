"""The Visitor of a measuring pass: read, reduce, replay, and keep nothing."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from covscan.capture.reading import Reader, UnreadableError
from covscan.capture.script_arguments import attribute, is_known, resolve
from covscan.capture.script_calls import Values, logits_of
from covscan.capture.script_graph import Call
from covscan.capture.script_program import ScriptProgram
from covscan.capture.tensors import first_tensor
from covscan.capture.transfer import Gathering
from covscan.capture.types import Network, Recorder, RemoteRows, Rows, Site, SiteKey
from covscan.config.settings import Settings
from covscan.data.types import Batch

_Counterfactual = tuple[str, torch.Tensor | None]


class ScriptTap:
    """Reads the measured sites of ``network`` while the program of one checkpoint runs.

    ``references`` holds the programs of earlier checkpoints by id; on the batches that the recorder wants, a layer that
    moved is run with their weights on the input that it is about to see.
    """

    def __init__(
        self,
        program: ScriptProgram,
        network: Network,
        recorder: Recorder,
        settings: Settings,
        references: Mapping[str, ScriptProgram],
    ) -> None:
        self._recorder, self._settings, self._references = Gathering(recorder), settings, references
        self._wanted: dict[SiteKey, Site] = {site.key: site for site in network.measured()}
        self._fired: set[SiteKey] = set()
        self._work: dict[str, int] = {}
        self._moved = self._compare(program, network)
        self._waiting: dict[str, list[_Counterfactual]] = {}

    def begin(self, batch: Batch) -> None:
        """Get ready for one batch."""
        self._batch = batch
        self._reader = Reader(batch, self._settings.positions, self._settings.seed)
        self._waiting.clear()

    def end(self) -> None:
        """Finish one batch."""
        self._recorder.end()

    def close(self) -> None:
        """Note the sites that never came by."""
        for key in self._wanted:
            if key not in self._fired:
                self._recorder.skip(key.site, "it did not run at this checkpoint")

    def enter(self, name: str, call: Call, values: Values) -> None:
        """Read the input, and replay the call before anything can change the input in place."""
        self._read(SiteKey(name, "input"), values)
        site = self._wanted.get(SiteKey(name, "output"))
        if site is None or name not in self._moved or not all(is_known(argument) for argument in call.arguments):
            return
        if not self._recorder.wants_replay(self._batch, self._work[name]):
            return
        for reference in self._moved[name]:
            result = _call(call, self._references[reference], values)
            self._waiting.setdefault(name, []).append((reference, first_tensor(result)))

    def leave(self, name: str, call: Call, values: Values) -> None:
        """Read the output, and hand over what the replays gave."""
        del call
        key = SiteKey(name, "output")
        rows = self._read(key, values)
        for reference, tensor in self._waiting.pop(name, ()):
            if rows is not None:
                counterfactual = self._rows(tensor, self._wanted[key])
                self._recorder.replay(name, key, reference, rows, counterfactual, self._batch, self._work[name])

    def attended(self, name: str, call: Call, values: Values) -> None:
        """Read attention logits."""
        key = SiteKey(name, "logits")
        if key not in self._wanted:
            return
        logits = logits_of(call, values, self._batch.n)
        self._fired.add(key)
        if logits is None:
            self._recorder.skip(key.site, "its attention logits: samples and heads cannot be told apart")
        else:
            self._recorder.record(key, logits.rows(self._reader), self._batch)

    def _read(self, key: SiteKey, values: Values) -> Rows | RemoteRows | None:
        site = self._wanted.get(key)
        if site is None:
            return None
        self._fired.add(key)
        tensor = first_tensor(list(values))
        try:
            rows = self._rows(tensor, site)
        except UnreadableError as reason:
            self._recorder.skip(key.site, f"its {key.position}: {reason}")
            return None
        self._recorder.record(key, rows, self._batch)
        return rows

    def _rows(self, tensor: torch.Tensor | None, site: Site) -> Rows | RemoteRows:
        if tensor is None:
            raise UnreadableError("holds no tensor in a later batch")
        if tensor.ndim != len(site.shape):
            raise UnreadableError(f"{tensor.ndim} axes, {len(site.shape)} in the first batch")
        return self._reader.rows(tensor, site.layout)

    def _compare(self, program: ScriptProgram, network: Network) -> dict[str, list[str]]:
        """Calls that can be replayed → ids of the references at which their weights differ."""
        moved: dict[str, list[str]] = {}
        for module in network.modules:
            if module.output not in self._wanted or not module.parameters or module.role == "block":
                continue
            own = [program.weights.get(name) for name in module.parameters]
            for reference, other in self._references.items():
                theirs = [other.weights.get(name) for name in module.parameters]
                if not _comparable(own, theirs):
                    continue
                if all(torch.equal(one, two) for one, two in zip(own, theirs, strict=True)):  # type: ignore[arg-type]
                    self._recorder.unmoved(module.name, module.output, reference)
                else:
                    moved.setdefault(module.name, []).append(reference)
                    self._work[module.name] = _work_of(self._wanted[module.output], own)  # type: ignore[arg-type]
        return moved


def _work_of(site: Site, weights: Sequence[torch.Tensor]) -> int:
    """Multiplications for one sample, as if every weight met every position."""
    taken = (site.layout.sample_axis, site.layout.channel_axis)
    positions = math.prod(int(size) for axis, size in enumerate(site.shape) if axis not in taken)
    return positions * site.layout.folded * sum(weight.numel() for weight in weights)


def _comparable(own: Sequence[torch.Tensor | None], theirs: Sequence[torch.Tensor | None]) -> bool:
    return all(
        one is not None and two is not None and one.shape == two.shape for one, two in zip(own, theirs, strict=True)
    )


def _call(call: Call, reference: ScriptProgram, values: Values) -> Any:
    """What the same module or operator of another checkpoint gives for the same input."""
    given = [resolve(argument, values, reference.weights) for argument in call.arguments]
    if call.kind == "module":
        return getattr(attribute(reference.module, call.name), call.method)(*given)
    return getattr(torch.ops.aten, call.method)(*given)
