"""Find the sets of weights inside whatever a training script saved around them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

_USUAL = ("state_dict", "model_state_dict", "model", "net", "network", "module", "state", "params", "weights")
_AVERAGED = ("ema", "avg", "average", "swa", "shadow", "teacher", "target", "momentum", "best", "old", "init")
_NOT_WEIGHTS = ("optim", "sched", "scaler", "callback", "rng", "loops", "hparams", "hyper", "args", "config")
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Weights:
    """Tensors by name, and the keys under which they lay in the file."""

    path: tuple[str, ...]
    tensors: dict[str, Any]


def candidates(content: Any) -> list[Weights]:
    """Every set of weights in ``content``, likeliest first: usual names first, moving averages last.

    A mapping of mappings is a candidate too, with its names joined by dots.
    """
    found = [weights for weights in _walk(content, (), _DEEPEST) if weights.tensors]
    return sorted(found, key=lambda weights: (is_averaged(weights.path), _unusual(weights.path), len(weights.path)))


def main_candidate(content: Any) -> Weights | None:
    """The weights that the file was probably saved for, when there is no module to compare them with."""
    found = candidates(content)
    usual = [weights for weights in found if weights.path and weights.path[-1] in _USUAL]
    return next(iter(usual or found), None)


def find_module(content: Any) -> nn.Module | None:
    """The ``nn.Module`` that ``content`` is or holds, the trained one before its moving average."""
    if isinstance(content, nn.Module):
        return content
    if not isinstance(content, Mapping):
        return None
    held = [(str(key), value) for key, value in content.items() if isinstance(value, nn.Module)]
    held.sort(key=lambda item: (is_averaged((item[0],)), _unusual((item[0],))))
    return held[0][1] if held else None


def is_averaged(path: tuple[str, ...]) -> bool:
    """Whether the keys speak of a moving average, a teacher or another copy of the trained network."""
    words = {word for key in path for word in key.lower().replace(".", "_").replace("-", "_").split("_")}
    return bool(words & set(_AVERAGED))


def describe(content: Any) -> str:
    """What a file without weights holds instead, for an error message."""
    if isinstance(content, torch.Tensor):
        return f"one tensor of shape {tuple(content.shape)}"
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    names = [repr(key) for key in list(content)[:5]]
    if "param_groups" in content:
        return "the state of an optimizer"
    return f"a mapping with {', '.join(names)}" if names else "an empty mapping"


def _walk(content: Any, path: tuple[str, ...], depth: int) -> Iterator[Weights]:
    if isinstance(content, nn.Module):
        yield Weights(path, dict(content.state_dict()))
        return
    if not isinstance(content, Mapping) or "param_groups" in content:
        return
    yield Weights(path, dict(_flatten(content, "")))
    if depth:
        for key, value in content.items():
            if isinstance(key, str) and not key.lower().startswith(_NOT_WEIGHTS):
                yield from _walk(value, (*path, key), depth - 1)


def _flatten(content: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if not isinstance(key, str):
            continue
        if isinstance(value, torch.Tensor) or key.endswith("_extra_state") or _is_packed(key, value):
            yield prefix + key, value
        elif isinstance(value, nn.Module):
            yield from ((f"{prefix}{key}.{name}", tensor) for name, tensor in value.state_dict().items())
        elif isinstance(value, Mapping) and "param_groups" not in value and not key.lower().startswith(_NOT_WEIGHTS):
            yield from _flatten(value, f"{prefix}{key}.")


def _is_packed(key: str, value: Any) -> bool:
    """Whether an entry is what torch.ao's quantized layers save beside tensors: packed weights and their type."""
    parts = key.split(".")
    return "_packed_params" in parts and (isinstance(value, torch.dtype | tuple) or value is None)


def _unusual(path: tuple[str, ...]) -> int:
    """How many of the keys are none of the usual ones, and then the place among those."""
    return sum(len(_USUAL) if key not in _USUAL else _USUAL.index(key) for key in path)
