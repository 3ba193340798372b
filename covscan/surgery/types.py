"""What is put into a model, and where."""

from dataclasses import dataclass
from typing import Literal

FAMILIES = (
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "LayerNorm",
    "RMSNorm",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
)


@dataclass(frozen=True, slots=True)
class Insertion:
    """A normalization behind a module (on its output) or in front of it (on its first input).

    ``site`` is the module's name as in ``named_modules()``; ``norm`` one of ``FAMILIES``; ``channels`` the size of
    ``channel_axis``, a non-negative axis of the tensor as the module sees it (its sample axis is another one).
    """

    site: str
    position: Literal["before", "after"]
    norm: str
    channels: int
    channel_axis: int

    @property
    def place(self) -> tuple[str, str]:
        """Where, whatever the kind."""
        return self.site, self.position

    def __str__(self) -> str:
        return f"{self.norm} {'behind' if self.position == 'after' else 'in front of'} {self.site}"


def per_channel(norm: str) -> bool:
    """Whether a normalization has a mean and a scale for each channel, as BatchNorm has."""
    return norm.startswith(("BatchNorm", "SyncBatchNorm", "InstanceNorm", "GroupNorm"))


def over_samples(norm: str) -> bool:
    """Whether a normalization takes its statistics over the samples of a batch."""
    return norm.startswith(("BatchNorm", "SyncBatchNorm"))


def groups_for(channels: int) -> int:
    """The most groups, at most 32, that divide the channels into equal groups of at least two."""
    return next((g for g in (32, 16, 8, 4, 2) if channels % g == 0 and channels // g >= 2), 1)


def constructor(norm: str, channels: int) -> str:
    """The PyTorch call that makes a normalization over so many channels."""
    if norm == "GroupNorm":
        return f"nn.GroupNorm({groups_for(channels)}, {channels})"
    return f"nn.{norm}({channels})"
