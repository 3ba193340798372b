"""What a normalization of somebody's own multiplies by: its weight, or one more than it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_CLOSE = 0.05
_FEWEST = 4


def gain_offset(weight: "torch.Tensor | None", given: "torch.Tensor", made: "torch.Tensor", eps: float) -> float:
    """1.0 where a normalization over the last axis multiplies by ``1 + weight`` (Gemma's), 0.0 where by ``weight``.

    Read off one call: the slope of ``made`` (..., channels) against the normalized rows of ``given``, per channel, less
    the weight. A root mean square and a standard deviation give the same slopes but for a mean that is hardly there.
    """
    channels = given.shape[-1]
    if weight is None or weight.shape != (channels,) or given.shape != made.shape or not given.is_floating_point():
        return 0.0
    rows, results = given.detach().double().reshape(-1, channels), made.detach().double().reshape(-1, channels)
    if len(rows) < _FEWEST:
        return 0.0
    normalized = rows / (rows.square().mean(dim=1, keepdim=True) + eps).sqrt()
    centred = normalized - normalized.mean(dim=0)
    slopes = (centred * results).sum(dim=0) / centred.square().sum(dim=0)
    offset = float((slopes - weight.detach().double()).nanmedian())
    return 1.0 if abs(offset - 1.0) < _CLOSE else 0.0
