"""Reading what flows through a TorchScript archive, by taps in a copy of its program."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import torch

from covscan.capture.channel_flow import ChannelFlow
from covscan.capture.foreign import run_foreign
from covscan.capture.probe_batch import few_samples
from covscan.capture.script_calls import CallFollower, Values, Visitor
from covscan.capture.script_inputs import arguments_for, notes_on
from covscan.capture.script_norms import norms_of
from covscan.capture.script_plan import ScriptDiscovery
from covscan.capture.script_program import ScriptProgram
from covscan.capture.script_tap import ScriptTap
from covscan.capture.tensors import Provenance, tensors_in
from covscan.capture.torch_session import left_as_found, pick_device, seed_everything
from covscan.capture.types import Network, Norm, Recorder, Reference
from covscan.config.settings import Settings
from covscan.data.binding import take
from covscan.data.types import Batch
from covscan.errors import UsageError
from covscan.models.types import Checkpoint, ScriptSource

Value = TypeVar("Value")

_CAUSES = ("RuntimeError:", "builtins.", "torch.jit.Error:", "NotImplementedError:", "IndexError:")


class ScriptBackend:
    """The Backend for TorchScript archives, whose modules do not run Python hooks.

    With ``device="auto"`` an archive whose program names the CPU or holds tensors runs there.
    """

    def __init__(self, source: ScriptSource, settings: Settings) -> None:
        self._source, self._settings = source, settings
        self._device = pick_device(settings.device)

    @property
    def device(self) -> str:
        """Where the forward passes run."""
        return str(self._device)

    def plan(self, checkpoint: Checkpoint, batch: Batch) -> Network:
        """List what can be tapped, from one forward pass over a few samples. Raises UsageError."""
        program = self._open(checkpoint)
        with self._running(program):
            try:
                return self._apart(self._discover, program, checkpoint, take(batch, few_samples(batch)))
            except UsageError:
                # A traced archive may hold the batch size that it was traced with: ask with all, and report that.
                return self._apart(self._discover, program, checkpoint, batch)

    def _discover(self, program: ScriptProgram, checkpoint: Checkpoint, batch: Batch) -> Network:
        known = Provenance()
        discovery = ScriptDiscovery(program, batch.n, known)
        # First without following channels: what is raised under a dispatch mode loses its message.
        first = self._forward(program, checkpoint, batch, None, seed=self._settings.seed + 1)
        with ChannelFlow(known):
            second = self._forward(program, checkpoint, batch, discovery)
        discovery.repeatable = _equal(first, second)
        network = discovery.network()
        return replace(network, notes=network.notes + notes_on(program.schema, batch))

    def measure(
        self,
        checkpoint: Checkpoint,
        network: Network,
        batches: Iterable[Batch],
        recorder: Recorder,
        references: tuple[Reference, ...] = (),
    ) -> None:
        """Run every batch and hand what each measured site sees to ``recorder``. Raises UsageError."""
        program = self._open(checkpoint)
        others: dict[str, ScriptProgram] = {}
        for reference in references:
            assert isinstance(reference.backend, ScriptBackend)
            others[reference.id] = reference.backend._open(reference.checkpoint)
        tap = ScriptTap(program, network, recorder, self._settings, others)
        for other in others.values():
            other.module.to(self._device)
        with self._running(program):
            for batch in batches:  # read here, by the user's code
                self._apart(self._tapped, program, checkpoint, batch, tap)
        tap.close()

    def _tapped(self, program: ScriptProgram, checkpoint: Checkpoint, batch: Batch, tap: ScriptTap) -> None:
        tap.begin(batch)
        self._forward(program, checkpoint, batch, tap)
        tap.end()

    def norms(self, checkpoint: Checkpoint, network: Network) -> Mapping[str, Norm]:
        """The existing normalizations, by module or operator name."""
        return norms_of(self._open(checkpoint), network)

    def weights(self, checkpoint: Checkpoint) -> Mapping[str, torch.Tensor]:
        """Parameters and buffers by name, with those that a frozen archive keeps in its program."""
        return self._open(checkpoint).weights

    def _open(self, checkpoint: Checkpoint) -> ScriptProgram:
        program = ScriptProgram(self._source.module(checkpoint))
        if self._settings.device == "auto" and program.needs_cpu():
            self._device = torch.device("cpu")
        return program

    @contextmanager
    def _running(self, program: ScriptProgram) -> Iterator[None]:
        with left_as_found(program.module, self._device):
            yield

    def _apart(self, work: Callable[..., Value], *arguments: Any) -> Value:
        """``work(*arguments)``, which runs an archive: where it can do no more than compute, unless it is trusted."""
        if self._settings.trust:
            return work(*arguments)
        return run_foreign(work, *arguments, device=self._device)

    def _forward(
        self,
        program: ScriptProgram,
        checkpoint: Checkpoint,
        batch: Batch,
        visitor: Visitor | None,
        seed: int | None = None,
    ) -> Any:
        arguments = arguments_for(program.schema, batch, self._device, _dtype(program))
        seed_everything(self._settings.seed + int(batch.index[0]) if seed is None else seed)
        follow = CallFollower(program.calls, visitor) if visitor is not None else _ignore
        try:
            return program.run(arguments, follow)
        except (RuntimeError, torch.jit.Error) as error:
            raise UsageError(
                "model-failed",
                f"'{checkpoint.path}' raised on samples {batch.index[0]} to {batch.index[-1]}: {_cause(error)}",
                found="inputs " + _describe(program.schema, arguments),
                hint="check that --data holds what the archive's forward takes, in that shape, order and type",
            ) from error


def _ignore(place: int, values: Values) -> None:
    """Listen to a pass whose result alone is of interest."""


def _equal(first: Any, second: Any) -> bool:
    pairs = zip(tensors_in(first), tensors_in(second), strict=False)
    return all(one.shape == two.shape and torch.allclose(one, two, equal_nan=True) for one, two in pairs)


def _dtype(program: ScriptProgram) -> torch.dtype | None:
    return next((weight.dtype for weight in program.weights.values() if weight.is_floating_point()), None)


def _cause(error: Exception) -> str:
    """What an interpreter's message says is wrong, which stands last and behind a traceback of the program."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    start = next((n for n in reversed(range(len(lines))) if lines[n].startswith(_CAUSES)), len(lines) - 1)
    return " ".join(lines[start : start + 2]) if lines else "no message"


def _describe(schema: Any, arguments: list[Any]) -> str:
    parts = []
    for parameter, value in zip(schema.arguments[1:], arguments, strict=True):
        shapes = [f"{tuple(item.shape)} {str(item.dtype).removeprefix('torch.')}" for item in tensors_in(value)]
        parts.append(f"{parameter.name}: {', '.join(shapes) or value}")
    return "; ".join(parts) or "none"
