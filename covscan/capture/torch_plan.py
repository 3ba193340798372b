"""One instrumented forward pass: which tensors there are, in which order, and which of them are the same."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from covscan.capture import torch_modules as kinds
from covscan.capture.attention import Logits, Scores, watching_attention
from covscan.capture.channel_flow import INTERLEAVED
from covscan.capture.layouts import UnknownLayoutError, infer_layout
from covscan.capture.norm_gain import gain_offset
from covscan.capture.reading import unreadable_kind
from covscan.capture.sequences import readable
from covscan.capture.tensors import Origin, Provenance
from covscan.capture.torch_norms import epsilon_of
from covscan.capture.types import Layout, Module, Network, Role, Saturation, Site, SiteKey, Skip, base_name, call_name

if TYPE_CHECKING:
    import torch

_CONTAINERS = ("ModuleList", "ModuleDict", "ParameterList", "ParameterDict", "Identity")
_TORCHSCRIPT = "it is TorchScript, inside of which no hook runs"
_ATTENTION_WORDS = ("attn", "attention")


@dataclass(slots=True)
class _Frame:
    name: str
    base: str
    module: "torch.nn.Module"
    names: tuple[str, ...]
    role: Role
    inputs: tuple[SiteKey, ...] = ()
    layout: Layout | None = None


@dataclass(slots=True)
class Discovery:
    """What a forward pass shows through hooks on every module; ``network()`` tells it once the pass is over."""

    model: "torch.nn.Module"
    samples: int
    known: Provenance
    types: Mapping[str, str] = field(default_factory=dict)
    given: "Sequence[torch.Tensor]" = ()
    sites: list[Site] = field(default_factory=list)
    modules: list[Module] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    attention: list[SiteKey | None] = field(default_factory=list)
    repeatable: bool = True
    fed: list[SiteKey] = field(default_factory=list)
    _calls: Counter[str] = field(default_factory=Counter)
    _stack: list[_Frame] = field(default_factory=list)
    _recent: dict[int, Layout] = field(default_factory=dict)
    _closed: list[str] = field(default_factory=list)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Install the hooks for one forward pass."""
        handles = []
        try:
            for name, module in self._open_modules():
                if ".parametrizations" not in f".{name}":  # what computes a weight is not a layer
                    handles.append(module.register_forward_pre_hook(self._before(name), with_kwargs=True))
                    handles.append(module.register_forward_hook(self._after, with_kwargs=True))
            with watching_attention(lambda: self.samples, self._attended):
                yield
        finally:
            for handle in handles:
                handle.remove()

    def _open_modules(self) -> "list[tuple[str, torch.nn.Module]]":
        """The modules that can be hooked, by name: nothing of what is TorchScript."""
        import torch

        found: list[tuple[str, torch.nn.Module]] = []
        for name, module in self.model.named_modules():
            if any(name.startswith(f"{closed}.") for closed in self._closed):
                continue
            if isinstance(module, torch.jit.ScriptModule):
                self._closed.append(name)
                self.skipped.setdefault(name, _TORCHSCRIPT)
            elif name:
                found.append((name, module))
        return found

    def _before(self, name: str) -> Any:
        def enter(module: "torch.nn.Module", args: Any, kwargs: Any) -> None:
            frame = self._open(name, module)
            self._stack.append(frame)
            if frame.role == "block":
                return
            self._enter(frame, args, kwargs)

        return enter

    def _open(self, name: str, module: "torch.nn.Module") -> _Frame:
        names = kinds.class_names(module)
        if name in self.types:
            names = (self.types[name], *names)
        parameters = list(own_parameters(module).values())
        leaf = all(child == "parametrizations" for child, _ in module.named_children())
        role = kinds.role_of(
            names, leaf=leaf, parametrized=bool(parameters), only_vectors=all(p.ndim <= 1 for p in parameters)
        )
        frame = _Frame(call_name(name, self._calls[name]), name, module, names, role)
        self._calls[name] += 1
        return frame

    def _enter(self, frame: _Frame, args: Any, kwargs: Any) -> None:
        found = readable(args, kwargs)
        if found is None:
            return
        origin = self.known.same(found.identity)
        flat = kinds.flat_input(frame.names, frame.module)
        if origin is not None and origin.key is not None:
            frame.layout = origin.layout
            frame.inputs = (origin.key,)
            if frame.role != "other":
                self._alias(frame, origin.key, flat)
                frame.inputs = (SiteKey(frame.name, "input"),)
            return
        if frame.role == "other":
            return
        layout = self._layout(frame, found.tensor, self.known.layout(found.identity), "input")
        if layout is None:
            return
        key = SiteKey(frame.name, "input")
        self._add(frame, key, found.tensor, layout, flat)
        if any(found.identity is tensor for tensor in self.given):
            self.fed.append(key)
        self.known.remember(found.identity, Origin(key, layout))
        frame.layout = layout
        frame.inputs = (key,)

    def _alias(self, frame: _Frame, key: SiteKey, flat: Saturation | None) -> None:
        place = next(number for number, site in enumerate(self.sites) if site.key == key)
        source = self.sites[place]
        if flat is not None and source.saturation is None:
            source = self.sites[place] = replace(source, saturation=flat)
        self.sites.append(
            replace(
                source,
                key=SiteKey(frame.name, "input"),
                type=self._type(frame),
                role=frame.role,
                depth=len(self.sites),
                same_as=source.same_as or source.key,
            )
        )

    def _after(self, module: "torch.nn.Module", args: Any, kwargs: Any, output: Any) -> None:
        frame = self._stack.pop()
        found = readable(output)
        key: SiteKey | None = None
        if found is not None:
            key = self._leave(frame, found)
        elif frame.role != "other":
            self.skipped.setdefault(frame.name, f"its output holds no tensor but {type(output).__name__}")
        if frame.role == "block" and (key is None or key.site != frame.name):
            return
        self.modules.append(
            Module(
                name=frame.name,
                type=self._type(frame),
                role=frame.role,
                depth=len(self.modules),
                inputs=frame.inputs,
                output=key,
                has_parameters=bool(own_parameters(module)),
                has_bias=getattr(module, "bias", None) is not None,
                dropout=kinds.dropout_probability(frame.names, module),
                parameters=tuple(f"{frame.base}.{name}" for name in own_parameters(module)),
                origin=frame.base,
                gain_offset=_gain_offset(frame, readable(args, kwargs), found),
            )
        )

    def _leave(self, frame: _Frame, found: Any) -> SiteKey | None:
        """Note the output; the key of the site that sees it."""
        origin = self.known.same(found.identity)
        if frame.role == "other" or (frame.role == "block" and origin is not None and origin.key is not None):
            return origin.key if origin is not None else None
        hint = self.known.layout(found.identity) or frame.layout
        layout = self._layout(frame, found.tensor, hint, "output")
        if layout is None:
            return None
        key = SiteKey(frame.name, "output")
        self._add(frame, key, found.tensor, layout, kinds.flat_output(frame.names, frame.module))
        self.known.remember(found.identity, Origin(key, layout))
        return key

    def _layout(self, frame: _Frame, tensor: "torch.Tensor", hint: Layout | None, side: str) -> Layout | None:
        if not tensor.is_floating_point():
            if side == "output" or frame.role not in {"layer", "attention"} or "Embedding" not in frame.names:
                self.skipped.setdefault(
                    frame.name, f"its {side} holds {str(tensor.dtype).removeprefix('torch.')} values"
                )
            return None
        if kind := unreadable_kind(tensor):
            self.skipped.setdefault(frame.name, f"its {side} is a {kind} tensor")
            return None
        hint = hint or self._recent.get(tensor.ndim)
        if hint is not None and hint.folded == INTERLEAVED and tensor.shape[0] != self.samples:
            self.skipped.setdefault(frame.name, f"its {side} holds the samples interleaved along axis 0")
            return None
        axis = kinds.channel_axis_of(frame.names)
        if frame.role == "norm":
            axis = _norm_axis(frame, tensor, axis)
        try:
            layout = infer_layout(
                tensor.shape,
                self.samples,
                axis=axis,
                sequence_first=kinds.is_sequence_first(frame.module, frame.names),
                hint=hint,
            )
        except UnknownLayoutError as reason:
            self.skipped.setdefault(frame.name, f"its {side} of {reason}")
            return None
        if axis is not None:
            self._recent[tensor.ndim] = layout
        return layout

    def _add(
        self, frame: _Frame, key: SiteKey, tensor: "torch.Tensor", layout: Layout, flat: Saturation | None
    ) -> None:
        shape: list[int | str] = list(tensor.shape)
        shape[layout.sample_axis] = "N" if layout.folded == 1 else f"N*{layout.folded}"
        self.sites.append(
            Site(
                key,
                self._type(frame),
                frame.role,
                layout,
                int(tensor.shape[layout.channel_axis]),
                tuple(shape),
                len(self.sites),
                None,
                flat,
            )
        )

    def _attended(self, logits: Logits | Scores) -> None:
        frame = self._stack[-1] if self._stack else None
        words = f"{frame.name} {frame.names[0]}".lower() if frame else ""
        if frame is None or (isinstance(logits, Scores) and not any(word in words for word in _ATTENTION_WORDS)):
            self.attention.append(None)
            return
        count = sum(1 for key in self.attention if key is not None and base_name(key.site) == frame.base)
        key = SiteKey(call_name(frame.base, count), "logits")
        self.attention.append(key)
        heads = logits.shape[1]
        self.sites.append(
            Site(key, self._type(frame), "attention", Layout(1), heads, ("N", *logits.shape[1:]), len(self.sites))
        )

    def _type(self, frame: _Frame) -> str:
        return self.types.get(frame.base, frame.names[0])

    def network(self) -> Network:
        """Everything the pass showed."""
        never = tuple(
            name
            for name, module in self._open_modules()
            if not self._calls[name] and type(module).__name__ not in _CONTAINERS and ".parametrizations" not in name
        )
        return Network(
            sites=tuple(self.sites),
            modules=tuple(self.modules),
            skipped=tuple(Skip(site, reason) for site, reason in self.skipped.items()),
            never_fired=never,
            parameters=sum(parameter.numel() for parameter in self.model.parameters()),
            nondeterministic=() if self.repeatable else ("output",),
            fed=tuple(self.fed),
        )


def _gain_offset(frame: _Frame, given: Any, made: Any) -> float:
    if frame.role != "norm" or given is None or made is None or type(frame.module).__module__.startswith("torch."):
        return 0.0
    return gain_offset(getattr(frame.module, "weight", None), given.tensor, made.tensor, epsilon_of(frame.module))


def own_parameters(module: "torch.nn.Module") -> dict[str, "torch.Tensor"]:
    """Parameters and buffers by local name: a module's own, its parametrizations', and all inside attention."""
    recursive = any(name in kinds._ATTENTION for name in kinds.class_names(module))
    own: dict[str, torch.Tensor] = dict(module.named_parameters(recurse=recursive))
    own.update(module.named_buffers(recurse=recursive))
    children = dict(module.named_children())
    if "parametrizations" in children:
        inside = children["parametrizations"]
        own.update({f"parametrizations.{name}": value for name, value in inside.named_parameters()})
        own.update({f"parametrizations.{name}": value for name, value in inside.named_buffers()})
    return own


def _norm_axis(frame: _Frame, tensor: "torch.Tensor", axis: int | None) -> int:
    """Channel axis of a normalization; its weight's size tells a LayerNorm over axis 1 from one over the last."""
    if axis is not None:
        return axis
    weight = getattr(frame.module, "weight", None)
    shape = getattr(frame.module, "normalized_shape", None)
    size = weight.shape[0] if weight is not None and weight.ndim == 1 else shape[0] if shape else None
    last, second = tensor.shape[-1], tensor.shape[1]
    if size is None or len(shape or ()) > 1:
        return frame.layout.channel_axis if frame.layout else 1 if tensor.ndim >= 4 else -1
    if size == last and not (size == second and "2d" in frame.names[0]):
        return -1
    return 1 if size == second else -1
