"""Following the calls of a tapped TorchScript program while it runs, and what each call is."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol

import torch

from covscan.capture import torch_modules as kinds
from covscan.capture.attention import Logits, Scores
from covscan.capture.script_arguments import attribute, resolve, weight_names
from covscan.capture.script_graph import Call
from covscan.capture.script_kinds import with_rank
from covscan.capture.script_program import ScriptProgram
from covscan.capture.types import Role, Saturation, call_name

Values = Sequence[torch.Tensor | None]


class Visitor(Protocol):
    """Is told of each call as it happens; ``name`` has ``#2`` and on behind later calls."""

    def enter(self, name: str, call: Call, values: Values) -> None:
        """Before the call, with the tensors that go in."""
        ...

    def leave(self, name: str, call: Call, values: Values) -> None:
        """Behind the call, with the tensors that come out."""
        ...

    def attended(self, name: str, call: Call, values: Values) -> None:
        """Before a softmax over attention logits, or attention in one operator."""
        ...


class CallFollower:
    """Turns the places that a program shows into named calls; made anew for each forward pass."""

    def __init__(self, calls: Sequence[Call], visitor: Visitor) -> None:
        self._calls, self._visitor = calls, visitor
        self._counts: Counter[str] = Counter()
        self._attended: Counter[str] = Counter()
        self._open: list[str] = []

    def __call__(self, place: int, values: Values) -> None:
        """Take one event of the program."""
        call = self._calls[place // 2]
        if call.kind == "logits":
            self._visitor.attended(_next_name(self._attended, call.name), call, values)
        elif place % 2:
            self._visitor.leave(self._open.pop(), call, values)
        else:
            self._open.append(_next_name(self._counts, call.name))
            self._visitor.enter(self._open[-1], call, values)


def _next_name(counts: Counter[str], base: str) -> str:
    counts[base] += 1
    return call_name(base, counts[base] - 1)


@dataclass(frozen=True, slots=True)
class CallKind:
    """What a call is, as far as the archive tells. ``parameters`` are the full names of its own weights."""

    role: Role
    parameters: tuple[str, ...]
    has_bias: bool
    dropout: float | None
    sequence_first: bool | None
    settings: SimpleNamespace


def kind_of(call: Call, program: ScriptProgram) -> CallKind:
    """Look at the module or the operator that a call stands for."""
    names = (call.type,)
    module = attribute(program.module, call.name) if call.kind == "module" else None
    parameters = _own_weights(call, module, program)
    settings = _settings(call, module)
    role = _role(call, module, [program.weights[name] for name in parameters])
    return CallKind(
        role=role,
        parameters=parameters,
        has_bias=role != "attention"
        and (call.facts.get("biased", False) or any(_is_bias(name) for name in parameters)),
        dropout=kinds.dropout_probability(names, settings),  # type: ignore[arg-type]
        sequence_first=kinds.is_sequence_first(settings, names)  # type: ignore[arg-type]
        if hasattr(settings, "batch_first")
        else None,
        settings=settings,
    )


def _own_weights(call: Call, module: Any, program: ScriptProgram) -> tuple[str, ...]:
    if module is None:
        return tuple(dict.fromkeys(weight_names(call.arguments)))
    recursive = kinds.role_of((call.type,), leaf=True, parametrized=False, only_vectors=False) == "attention"
    local = [
        name for name, _ in (*module.named_parameters(recurse=recursive), *module.named_buffers(recurse=recursive))
    ]
    return tuple(name for name in (f"{call.name}.{item}" for item in local) if name in program.weights)


def _role(call: Call, module: Any, weights: list[torch.Tensor]) -> Role:
    if call.kind == "sum":
        return "block"
    leaf = module is None or not list(module.children())
    only_vectors = all(weight.ndim <= 1 for weight in weights)
    return kinds.role_of((call.type.format(rank=1),), leaf=leaf, parametrized=bool(weights), only_vectors=only_vectors)


def _is_bias(name: str) -> bool:
    return name.rpartition(".")[2].startswith("bias")


_SETTINGS = ("batch_first", "p", "eps", "momentum", "num_groups", "normalized_shape", "min_val", "max_val")


def _settings(call: Call, module: Any) -> SimpleNamespace:
    """What torch.nn would keep as attributes: those of the module, else the constants of its operator."""
    found = dict(call.facts)
    for name in _SETTINGS:
        if module is not None and hasattr(module, name):
            found[name] = getattr(module, name)
    return SimpleNamespace(**found)


def flat_parts(call: Call, settings: SimpleNamespace) -> tuple[Saturation | None, Saturation | None]:
    """Where input and output of an activation lie on a flat part of it."""
    if call.type == "Hardtanh" and not (hasattr(settings, "min_val") and hasattr(settings, "max_val")):
        return None, None
    names = (call.type,)
    return kinds.flat_input(names, settings), kinds.flat_output(names, settings)  # type: ignore[arg-type]


def type_of(call: Call, dimensions: int) -> str:
    """The class name of a call whose tensors have so many dimensions."""
    return with_rank(call.type, dimensions) if "{" in call.type else call.type


def logits_of(call: Call, values: Values, samples: int) -> Logits | Scores | None:
    """The attention logits that were shown; None where they cannot be told apart by sample and head."""
    shown = [resolve(argument, values, {}) for argument in call.arguments]
    if call.method == "softmax":
        scores = shown[0]
        fits = scores.ndim == 4 and scores.shape[0] == samples
        folded = scores.ndim == 3 and scores.shape[0] % samples == 0
        last = call.facts.get("dim") in (-1, scores.ndim - 1)
        return Scores(scores.detach(), samples) if last and (fits or folded) else None
    query, key, mask = shown
    if query.ndim != 4 or query.shape[0] != samples:
        return None
    heads = query.shape[1] // max(key.shape[1], 1)
    scale = call.facts.get("scale")
    return Logits(
        query.detach(),
        key.repeat_interleave(heads, 1) if heads > 1 else key.detach(),
        mask,
        bool(call.facts.get("is_causal", False)),
        query.shape[-1] ** -0.5 if scale is None else float(scale),
    )
