"""Whether weights go on in their direction from checkpoint to checkpoint, or back and forth."""

import math
from collections.abc import Mapping, Sequence

import torch

from covscan.models.types import Checkpoint, TorchSource
from covscan.prove.gradient_types import Turn

Names = Mapping[str, Sequence[str]]
"""By layer: the full names of its weights."""


def turns(source: TorchSource, checkpoints: Sequence[Checkpoint], trained: Sequence[str], layers: Names) -> list[Turn]:
    """The turn at each checkpoint but the ends, of all weights named ``trained`` together and of each layer.

    Reads every checkpoint's weights once, three of them at a time, and runs nothing.
    """
    found: list[Turn] = []
    held: list[Mapping[str, torch.Tensor]] = []
    for place, checkpoint in enumerate(checkpoints):
        held = [*held[-2:], source.weights(checkpoint)]
        if len(held) < 3:
            continue
        ids = [each.id for each in checkpoints[place - 2 : place + 1]]
        products = {name: _products(*(weights.get(name) for weights in held)) for name in trained}
        for layer, names in ((None, trained), *layers.items()):
            sums = [sum(values) for values in zip(*(products[name] for name in names), strict=True)]
            found.append(Turn(layer, ids[0], ids[1], ids[2], _cosine(sums)))
    return found


def _products(*states: torch.Tensor | None) -> tuple[float, float, float]:
    """<b - a, c - b>, |b - a|^2 and |c - b|^2 in float64; zeros where the tensors do not fit each other."""
    fitting = [state for state in states if state is not None and state.shape == getattr(states[0], "shape", None)]
    if len(fitting) < len(states):
        return 0.0, 0.0, 0.0
    first, middle, last = (state.detach().flatten().double().cpu() for state in fitting)
    there, back = middle - first, last - middle
    return float(there @ back), float(there @ there), float(back @ back)


def _cosine(sums: Sequence[float]) -> float | None:
    if len(sums) < 3 or not all(map(math.isfinite, sums)) or sums[1] == 0 or sums[2] == 0:
        return None
    return max(-1.0, min(1.0, sums[0] / math.sqrt(sums[1] * sums[2])))
