"""Whether a kind of normalization fits a tensor, and which of its variants does."""

from collections.abc import Collection
from dataclasses import dataclass

from covscan.errors import UsageError
from covscan.render.names import nearest
from covscan.surgery.types import FAMILIES

_SPATIAL = {2: "1d", 3: "1d", 4: "2d", 5: "3d"}
_BY_RANK = ("BatchNorm", "InstanceNorm")
_FEW = 12


@dataclass(frozen=True, slots=True)
class Tensor:
    """What is to be normalized: its rank, its axes, and whether positions exist beside samples and channels."""

    rank: int
    channels: int
    channel_axis: int
    sample_axis: int = 0


def check_kind(norm: str) -> None:
    """Raise UsageError where no normalization has that name; ``BatchNorm`` alone stands for the one that fits."""
    if norm not in (*FAMILIES, *_BY_RANK):
        known = (*FAMILIES, *_BY_RANK)
        raise UsageError("unknown-norm", f"there is no normalization {norm!r} to put in", hint=nearest(norm, known))


def meant(name: str, known: Collection[str]) -> str:
    """A hint for somebody who named a place that is not there: the nearest one, all, or where to find them."""
    hint = nearest(name, known)
    return hint if hint.startswith("did you mean") or len(known) <= _FEW else "covscan sites lists what there is"


def fitting(norm: str, tensor: Tensor, where: str) -> str:
    """The full name of the normalization for this tensor. Raises UsageError where it would be wrong there.

    ``where`` names the place in messages.
    """
    check_kind(norm)
    reason = _refusal(norm, tensor)
    if reason:
        raise UsageError("unfit-norm", f"{norm} does not fit {where}: {reason[0]}", hint=reason[1])
    stem = norm.rstrip("123d") if norm.startswith(_BY_RANK) else norm
    if stem not in _BY_RANK:
        return norm
    right = stem + _SPATIAL.get(tensor.rank, "1d")
    if norm not in (stem, right):
        raise UsageError(
            "unfit-norm", f"{norm} does not fit {where}: the tensor has {tensor.rank} axes", hint=f"say --norm {right}"
        )
    return right


def _refusal(norm: str, tensor: Tensor) -> tuple[str, str] | None:
    """Why the kind must not be used, and what to do."""
    alone = tensor.channels == 1
    if norm.startswith("InstanceNorm") and tensor.rank == 2:
        return "one value for each sample and channel would become 0", "LayerNorm or BatchNorm1d normalize such tensors"
    if alone and (norm in ("LayerNorm", "RMSNorm") or (norm == "GroupNorm" and tensor.rank == 2)):
        return "a single channel would lose its value", "BatchNorm keeps what tells samples apart"
    if tensor.sample_axis != 0 and norm.startswith(("InstanceNorm", "GroupNorm")):
        return "axis 0 is not the sample there, and samples would be mixed", "use LayerNorm or RMSNorm"
    return None
