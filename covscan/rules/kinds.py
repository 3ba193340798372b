"""Which normalization fits a place: the first rule that applies decides, and names the runner-up."""

from collections import Counter
from dataclasses import dataclass

from covscan.rules.evidence import Evidence
from covscan.rules.lookup import is_recurrent, is_sequence, last
from covscan.rules.places import Place

_LARGE_BATCH, _SMALL_BATCH, _LARGE_BATCH_LINEAR = 16, 4, 32
_SPATIAL = {3: "1d", 4: "2d", 5: "3d"}


@dataclass(frozen=True, slots=True)
class Choice:
    """A normalization, why this one, and the next best."""

    norm: str
    reason: str
    runner_up: str | None


def choose(evidence: Evidence, place: Place) -> Choice:
    """The normalization for a place, from the shape of its tensor, the batch size and what the network already uses."""
    used = Counter(norm.kind for norm in evidence.norms.get(last(evidence).id, {}).values())
    rank = len(place.site.shape)
    if is_recurrent(place.type) or is_sequence(place.site):
        return _sequence(used)
    if rank >= 3 and place.site.channel_axis == 1:
        return _convolution(
            used, evidence.train_batch_size, "BatchNorm" + _SPATIAL.get(rank, "2d"), evidence.data.masked
        )
    return _linear(used, evidence.train_batch_size)


def _sequence(used: Counter[str]) -> Choice:
    if used["rms"] > used["layer"]:
        return Choice(
            "RMSNorm", "positions are tokens or time steps, and the network already uses RMSNorm", "LayerNorm"
        )
    known = ", and the network already uses LayerNorm" if used["layer"] else ""
    return Choice(
        "LayerNorm",
        f"positions are tokens or time steps, which batch statistics would mix with padding{known}",
        "RMSNorm",
    )


def _convolution(used: Counter[str], batch: int | None, batchnorm: str, masked: bool) -> Choice:
    if masked:
        return Choice("GroupNorm", "sequences are padded, and batch statistics would count the padding", batchnorm)
    if batch is not None and batch < _SMALL_BATCH:
        return Choice(
            "GroupNorm", f"a batch of {batch} is too small for batch statistics; add weight standardization", None
        )
    if batch is not None and batch < _LARGE_BATCH:
        return Choice("GroupNorm", f"a batch of {batch} makes batch statistics noisy", "SyncBatchNorm")
    if used["group"] > used["batch"] or used["layer"] > used["batch"]:
        return Choice("GroupNorm", "a convolution in a network that already normalizes per sample", batchnorm)
    if used["instance"] > used["batch"]:
        return Choice("InstanceNorm" + batchnorm[-2:], "the network already uses InstanceNorm", "GroupNorm")
    return Choice(batchnorm, f"a convolution trained with {_assumed(batch, _LARGE_BATCH)}", "GroupNorm")


def _linear(used: Counter[str], batch: int | None) -> Choice:
    if used["rms"] > used["batch"] + used["layer"]:
        return Choice("RMSNorm", "the network already uses RMSNorm", "LayerNorm")
    if used["layer"] > used["batch"]:
        return Choice("LayerNorm", "the network already uses LayerNorm", "BatchNorm1d")
    if batch is not None and batch < _LARGE_BATCH_LINEAR:
        return Choice(
            "LayerNorm", f"a linear layer, and a batch of {batch} makes batch statistics noisy", "BatchNorm1d"
        )
    return Choice("BatchNorm1d", f"a linear layer trained with {_assumed(batch, _LARGE_BATCH_LINEAR)}", "LayerNorm")


def _assumed(batch: int | None, least: int) -> str:
    if batch is None:
        return f"a batch of {least} or more per device, which is assumed (say --train-batch-size)"
    return f"a batch of {batch} per device"
