"""Reading what flows through a ``torch.nn.Module``, by hooks."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from covscan.capture.channel_flow import ChannelFlow
from covscan.capture.exported_types import module_types
from covscan.capture.probe_batch import few_samples
from covscan.capture.tensors import Provenance, tensors_in
from covscan.capture.torch_norms import norms_of
from covscan.capture.torch_plan import Discovery
from covscan.capture.torch_session import left_as_found, pick_device, seed_everything
from covscan.capture.torch_source import SourceLines
from covscan.capture.torch_tap import Tap
from covscan.capture.types import Network, Norm, Recorder, Reference, Site, base_name
from covscan.config import Settings
from covscan.data.binding import Bound, bind_torch, take
from covscan.data.structure import map_arrays
from covscan.data.types import Batch
from covscan.errors import UsageError
from covscan.models.factory import factory_of
from covscan.models.types import Checkpoint, TorchSource

if TYPE_CHECKING:
    import torch

Value = TypeVar("Value")

_BY_PLACE, _BY_NAME = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD


@dataclass(frozen=True, slots=True)
class _Plan:
    """What was found of one module, which holds whatever its weights are, on samples of one form."""

    model: "torch.nn.Module"
    form: tuple[Any, ...]
    network: Network
    attention: tuple[Any, ...]


class TorchBackend:
    """The Backend for modules that Python hooks can see into."""

    def __init__(self, source: TorchSource, settings: Settings) -> None:
        self._source = source
        self._settings = settings
        self._device = pick_device(settings.device)
        self._attention: tuple[Any, ...] = ()
        self._opened: tuple[str, torch.nn.Module] | None = None
        self._plan: _Plan | None = None

    @property
    def device(self) -> str:
        """Where the forward passes run."""
        return str(self._device)

    def _open(self, checkpoint: Checkpoint) -> "torch.nn.Module":
        """The network with this checkpoint's weights, read once for all that is asked of it."""
        if self._opened is None or self._opened[0] != checkpoint.id:
            self._opened = None  # the old one may go before the new one comes
            self._opened = (checkpoint.id, self._source.module(checkpoint))
        return self._opened[1]

    def plan(self, checkpoint: Checkpoint, batch: Batch) -> Network:
        """List what can be tapped, from one forward pass over a few samples. Raises UsageError.

        The same module with other weights is not run again for it, unless something in it depends on numbers.
        """
        model, form = self._open(checkpoint), _form(batch)
        if self._plan is not None and self._plan.model is model and self._plan.form == form:
            self._attention = self._plan.attention
            return self._plan.network
        try:
            discovery, steady = self._apart(self._discover, model, take(batch, few_samples(batch)))
        except Exception:  # noqa: BLE001 a model with a fixed batch size refuses the few: ask with all, and report that
            discovery, steady = self._apart(self._discover, model, batch)
        self._attention = tuple(discovery.attention)
        bound = self._bind(model, batch)
        found = discovery.network()
        network = replace(found, sites=self._located(model, found.sites), notes=bound.notes())
        self._plan = _Plan(model, form, network, self._attention) if steady else None
        return network

    def _located(self, model: "torch.nn.Module", sites: tuple[Site, ...]) -> tuple[Site, ...]:
        """The sites with the lines of the user's code that make them."""
        lines = SourceLines(model, factory_of(self._settings.model)).of(base_name(site.key.site) for site in sites)
        return tuple(replace(site, source=lines.get(base_name(site.key.site))) for site in sites)

    def _bind(self, model: "torch.nn.Module", batch: Batch) -> Bound:
        return bind_torch(_signature(model), batch, self._device, _dtype(model))

    def _discover(self, model: "torch.nn.Module", batch: Batch) -> tuple[Discovery, bool]:
        """What is there, and whether it is whatever the numbers are."""
        known = Provenance()
        bound = self._bind(model, batch)
        given = tuple(tensors_in((bound.args, bound.kwargs)))
        discovery = Discovery(model, batch.n, known, module_types(model), given)
        with left_as_found(model, self._device):
            # First without following channels: what is raised under a dispatch mode loses its message.
            first = self._forward(model, batch, self._settings.seed + 1)
            with discovery.watching(), ChannelFlow(known) as flow:
                second = self._run(model, batch, bound, self._settings.seed)
        discovery.repeatable = _equal(first, second)
        return discovery, not flow.decided

    def measure(
        self,
        checkpoint: Checkpoint,
        network: Network,
        batches: Iterable[Batch],
        recorder: Recorder,
        references: tuple[Reference, ...] = (),
    ) -> None:
        """Run every batch and hand what each measured site sees to ``recorder``. Raises UsageError."""
        model = self._open(checkpoint)
        tap = Tap(model, network, recorder, self._attention, self._settings, references)
        with left_as_found(model, self._device), tap.installed():
            for batch in batches:  # read here, by the user's code
                self._apart(self._tapped, model, batch, tap)
        tap.close()

    def _tapped(self, model: "torch.nn.Module", batch: Batch, tap: Tap) -> None:
        tap.begin(batch)
        self._forward(model, batch, self._settings.seed + int(batch.index[0]))
        tap.end()

    def _apart(self, work: Callable[..., Value], *arguments: Any) -> Value:
        """``work(*arguments)``, which runs the network: where it can only compute, if it came out of a file."""
        if not self._source.foreign:
            return work(*arguments)
        from covscan.capture.foreign import run_foreign

        return run_foreign(work, *arguments, device=self._device)

    def _forward(self, model: "torch.nn.Module", batch: Batch, seed: int) -> Any:
        return self._run(model, batch, self._bind(model, batch), seed)

    def _run(self, model: "torch.nn.Module", batch: Batch, bound: Bound, seed: int) -> Any:
        seed_everything(seed)
        try:
            return model(*bound.args, **bound.kwargs)
        except UsageError:
            raise
        except (Exception, SystemExit) as error:
            raise UsageError(
                "model-failed",
                f"the model raised {type(error).__name__} on samples {batch.index[0]} to {batch.index[-1]}: "
                f"{_first_line(error)}",
                found="inputs " + _describe(bound.args, bound.kwargs),
                hint="check that --data holds what the model's forward takes, in that shape, order and type",
            ) from error

    def norms(self, checkpoint: Checkpoint, network: Network) -> Mapping[str, Norm]:
        """The existing normalizations, by module name."""
        return norms_of(self._open(checkpoint), network)

    def weights(self, checkpoint: Checkpoint) -> "Mapping[str, torch.Tensor]":
        """Parameters and buffers by name."""
        return self._source.weights(checkpoint)


def _form(batch: Batch) -> tuple[Any, ...]:
    """Shapes and types of the samples, and what is no array."""

    def form(array: Any) -> Any:
        return (array.shape, str(array.dtype))

    return (map_arrays(form, (batch.positional, batch.named)), batch.n, batch.mask is None)


def _signature(model: "torch.nn.Module") -> inspect.Signature | None:
    """What the model's forward takes; of a wrapper that hands on whatever it gets, what its one module takes."""
    try:
        signature = inspect.signature(model.forward)
    except (TypeError, ValueError):
        return None
    inner = list(model.children())
    handed_on = {each.kind for each in signature.parameters.values()} == {_BY_PLACE, _BY_NAME}
    return _signature(inner[0]) if handed_on and len(inner) == 1 else signature


def _dtype(model: "torch.nn.Module") -> "torch.dtype | None":
    """The type that inputs are given in: the first that can be computed with, which eight bits cannot."""
    floating = (parameter.dtype for parameter in model.parameters() if parameter.is_floating_point())
    return next((dtype for dtype in floating if dtype.itemsize > 1), None)


def _equal(first: Any, second: Any) -> bool:
    import torch

    pairs = zip(tensors_in(first), tensors_in(second), strict=False)
    return all(
        one.is_nested or (one.shape == two.shape and torch.allclose(one.double(), two.double(), equal_nan=True))
        for one, two in pairs
        if not one.is_complex()
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no message"


def _describe(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    parts = [f"{tuple(t.shape)} {str(t.dtype).removeprefix('torch.')}" for t in tensors_in(args)]
    for name, value in kwargs.items():
        parts += [f"{name}={tuple(t.shape)} {str(t.dtype).removeprefix('torch.')}" for t in tensors_in(value)]
    return ", ".join(parts) or "none"
