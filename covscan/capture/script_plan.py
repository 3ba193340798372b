"""One listened-to forward pass of a TorchScript archive: which tensors there are, and which of them are the same."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch

from covscan.capture import torch_modules as kinds
from covscan.capture.channel_flow import INTERLEAVED
from covscan.capture.layouts import UnknownLayoutError, infer_layout
from covscan.capture.script_calls import CallKind, Values, flat_parts, kind_of, logits_of, type_of
from covscan.capture.script_graph import Call
from covscan.capture.script_program import ScriptProgram
from covscan.capture.tensors import Origin, Provenance, first_tensor
from covscan.capture.types import Layout, Module, Network, Saturation, Site, SiteKey, Skip, base_name

_FROZEN = (
    "the archive is frozen: its layers have lost their names and are called by their operators in order, and BatchNorm "
    "may have been folded into the layers before it"
)


@dataclass(slots=True)
class _Frame:
    """A call that has begun; ``sums`` says whether an addition is one of two equally shaped tensors."""

    kind: CallKind
    inputs: tuple[SiteKey, ...] = ()
    layout: Layout | None = None
    sums: bool = True


class ScriptDiscovery:
    """The Visitor of a first pass; ``network()`` tells what it saw once the pass is over.

    ``known`` is shared with the ChannelFlow that is active during the pass.
    """

    def __init__(self, program: ScriptProgram, samples: int, known: Provenance) -> None:
        self._program, self._samples, self._known = program, samples, known
        self._sites: list[Site] = []
        self._modules: list[Module] = []
        self._skipped: dict[str, str] = {}
        self._frames: dict[str, _Frame] = {}
        self._fired: set[str] = set()
        self.repeatable = True
        self._kind_of = lru_cache(maxsize=None)(lambda number: kind_of(program.calls[number], program))

    def enter(self, name: str, call: Call, values: Values) -> None:
        """Note the input of a call."""
        frame = self._frames[name] = _Frame(self._kind_of(call.number))
        self._fired.add(call.name)
        tensor = first_tensor(list(values))
        if call.kind == "sum":
            frame.sums = len({value.shape for value in values if value is not None}) == 1
        if frame.kind.role == "block" or tensor is None:
            return
        origin = self._known.same(tensor)
        flat = flat_parts(call, frame.kind.settings)[0]
        if origin is not None and origin.key is not None:
            frame.layout, frame.inputs = origin.layout, (origin.key,)
            if frame.kind.role != "other":
                self._alias(name, call, frame, origin.key, flat, tensor.ndim)
                frame.inputs = (SiteKey(name, "input"),)
        elif frame.kind.role != "other":
            key = SiteKey(name, "input")
            frame.layout = self._add(key, call, frame, tensor, flat)
            frame.inputs = (key,) if frame.layout is not None else ()

    def _alias(
        self, name: str, call: Call, frame: _Frame, key: SiteKey, flat: Saturation | None, dimensions: int
    ) -> None:
        place = next(number for number, site in enumerate(self._sites) if site.key == key)
        source = self._sites[place]
        if flat is not None and source.saturation is None:
            source = self._sites[place] = replace(source, saturation=flat)
        self._sites.append(
            replace(
                source,
                key=SiteKey(name, "input"),
                type=type_of(call, dimensions),
                role=frame.kind.role,
                depth=len(self._sites),
                same_as=source.same_as or source.key,
            )
        )

    def leave(self, name: str, call: Call, values: Values) -> None:
        """Note the output of a call, and the call."""
        frame = self._frames.pop(name)
        role = frame.kind.role
        tensor = first_tensor(list(values))
        key: SiteKey | None = None
        if tensor is not None:
            key = self._output(name, call, frame, tensor)
        elif role != "other" and not (call.kind == "module" and role == "block"):
            self._skipped.setdefault(name, "its output holds no tensor")
        if role == "block" and (key is None or key.site != name):
            return
        self._modules.append(
            Module(
                name=name,
                type=type_of(call, tensor.ndim if tensor is not None else 2),
                role=role,
                depth=len(self._modules),
                inputs=frame.inputs,
                output=key,
                has_parameters=bool(frame.kind.parameters),
                has_bias=frame.kind.has_bias,
                dropout=frame.kind.dropout,
                parameters=frame.kind.parameters,
                origin=base_name(name),
            )
        )

    def _output(self, name: str, call: Call, frame: _Frame, tensor: torch.Tensor) -> SiteKey | None:
        origin = self._known.same(tensor)
        role = frame.kind.role
        if origin is not None and origin.key is not None and role in {"block", "other"}:
            return origin.key
        if role == "other" or (role == "block" and not (frame.sums and tensor.ndim >= 2)):
            return None
        key = SiteKey(name, "output")
        flat = flat_parts(call, frame.kind.settings)[1]
        return key if self._add(key, call, frame, tensor, flat) is not None else None

    def attended(self, name: str, call: Call, values: Values) -> None:
        """Note attention logits as a site of their own."""
        logits = logits_of(call, values, self._samples)
        if logits is None:
            self._skipped.setdefault(name, "its attention logits: samples and heads cannot be told apart")
            return
        shape: tuple[int | str, ...] = ("N", *logits.shape[1:])
        self._sites.append(
            Site(
                SiteKey(name, "logits"),
                call.type,
                "attention",
                Layout(1),
                logits.shape[1],
                shape,
                len(self._sites),
            )
        )

    def _add(
        self, key: SiteKey, call: Call, frame: _Frame, tensor: torch.Tensor, flat: Saturation | None
    ) -> Layout | None:
        layout = self._layout(key, call, frame, tensor)
        if layout is None:
            return None
        shape: list[int | str] = list(tensor.shape)
        shape[layout.sample_axis] = "N" if layout.folded == 1 else f"N*{layout.folded}"
        self._sites.append(
            Site(
                key=key,
                type=type_of(call, tensor.ndim),
                role=frame.kind.role,
                layout=layout,
                channels=int(tensor.shape[layout.channel_axis]),
                shape=tuple(shape),
                depth=len(self._sites),
                saturation=flat,
            )
        )
        self._known.remember(tensor, Origin(key, layout))
        return layout

    def _layout(self, key: SiteKey, call: Call, frame: _Frame, tensor: torch.Tensor) -> Layout | None:
        if not tensor.is_floating_point():
            if key.position == "output" or "Embedding" not in call.type:
                held = str(tensor.dtype).removeprefix("torch.")
                self._skipped.setdefault(key.site, f"its {key.position} holds {held} values")
            return None
        hint = self._known.layout(tensor) or frame.layout
        if hint is not None and hint.folded == INTERLEAVED and tensor.shape[0] != self._samples:
            self._skipped.setdefault(key.site, f"its {key.position} holds the samples interleaved along axis 0")
            return None
        try:
            return infer_layout(
                tensor.shape,
                self._samples,
                axis=_channel_axis(type_of(call, tensor.ndim), frame.kind, tensor, self._program),
                sequence_first=frame.kind.sequence_first,
                hint=hint,
            )
        except UnknownLayoutError as reason:
            self._skipped.setdefault(key.site, f"its {key.position} of {reason}")
            return None

    def network(self) -> Network:
        """Everything the pass showed."""
        return Network(
            sites=tuple(self._sites),
            modules=tuple(self._modules),
            skipped=tuple(Skip(site, reason) for site, reason in self._skipped.items()),
            never_fired=self._never_fired(),
            parameters=sum(weight.numel() for weight in self._learned().values()),
            nondeterministic=() if self.repeatable else ("output",),
            notes=(_FROZEN,) if self._nameless() else (),
        )

    def _never_fired(self) -> tuple[str, ...]:
        """Modules without children that hold weights or are called somewhere, and were not called in this pass."""
        called = {call.name for call in self._program.calls if call.kind != "logits"}
        for name, module in self._program.module.named_modules():
            if name and not list(module.children()) and (list(module.parameters()) or list(module.buffers())):
                called.add(name)
        return tuple(sorted(name for name in called - self._fired if name))

    def _learned(self) -> dict[str, torch.Tensor]:
        """The archive's parameters; of a frozen one the floating constants of layers."""
        return dict(self._program.module.named_parameters()) | self._nameless()

    def _nameless(self) -> dict[str, torch.Tensor]:
        named = set(self._program.module.state_dict())
        return {name: value for name, value in self._program.weights.items() if name not in named}


def _channel_axis(type_name: str, kind: CallKind, tensor: torch.Tensor, program: ScriptProgram) -> int | None:
    """Axis of the channels where the class fixes it; of a norm, the size of its weight tells."""
    axis = kinds.channel_axis_of((type_name,))
    if axis is not None or kind.role != "norm":
        return axis
    normalized: Any = getattr(kind.settings, "normalized_shape", None) or ()
    if len(normalized) > 1:
        return 1 if tensor.ndim >= 4 else -1
    vectors = [program.weights[name] for name in kind.parameters if program.weights[name].ndim == 1]
    size = normalized[0] if normalized else len(vectors[0]) if vectors else None
    return 1 if size == tensor.shape[1] and size != tensor.shape[-1] else -1
