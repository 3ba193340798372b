"""What ``covscan prove`` writes down: one normalization at one place, trained with and without. No torch, no numpy."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from covscan.report.training import Gain
from covscan.report.types import Tool

PROOF_VERSION = "1.1"

Answer = Literal["helps", "helps, as constants would", "makes no difference", "harms", "unresolved"]


class Rung(Struct, frozen=True, kw_only=True):
    """One learning rate of one arm, over the seeds."""

    rate: float
    areas: Annotated[list[float], Meta(description="mean training loss of each seed, clipped at the start's loss")]
    held_out: Annotated[
        list[float | None],
        Meta(description="each seed's loss on held-out samples in evaluation mode at the end, null where not finite"),
    ]
    stable: Annotated[bool, Meta(description="every seed stayed finite and ended below its start")]
    curve: Annotated[list[float], Meta(description="loss by step, mean of the seeds, clipped at the start's loss")]


class ArmOutcome(Struct, frozen=True, kw_only=True):
    """One way to train: the model as it is, with the normalization, with the fixed affine, or with a warm-up."""

    name: str
    rungs: list[Rung]
    best_rate: Annotated[float, Meta(description="the learning rate with the least mean area")]
    largest_stable_rate: Annotated[float | None, Meta(description="null where no rate was stable")]
    gain: Annotated[Gain | None, Meta(description="of the area over the model as it is, each at its best rate")] = None
    gain_at_rate: Annotated[Gain | None, Meta(description="the same at the rate given as --lr")] = None
    gain_at_base_rate: Annotated[Gain | None, Meta(description="the same at the best rate of the model as it is")] = (
        None
    )
    gain_held_out: Annotated[Gain | None, Meta(description="of the held-out loss at the end")] = None
    speed_up: Annotated[
        float | None,
        Meta(description="how many times fewer steps reach the lowest loss that this arm and the model as it is reach"),
    ] = None
    speed_up_low: Annotated[
        float | None, Meta(description="lower end of a 90 % interval over the seeds, null where that end is open")
    ] = None
    speed_up_high: Annotated[float | None, Meta(description="its upper end, null where that end is open")] = None
    speed_up_is_least: Annotated[bool, Meta(description="whether it may be more than that")] = False
    speed_up_is_most: Annotated[bool, Meta(description="whether it may be less than that")] = False


class Proof(Struct, frozen=True, kw_only=True):
    """A paired comparison by the full protocol."""

    proof_version: str
    tool: Tool
    model: str
    site: str
    position: Literal["before", "after"]
    norm: str
    intervention: Literal["from the start", "into a checkpoint"]
    start: str
    loss: str
    optimizer: str
    rate: Annotated[float | None, Meta(description="the learning rate given as --lr")]
    batch_size: int
    samples: Annotated[int, Meta(description="samples trained on")]
    held_out: Annotated[int, Meta(description="samples held out")]
    fingerprint: Annotated[str, Meta(description="of the samples, as in a report")]
    steps: Annotated[int, Meta(description="of each training")]
    seeds: int
    arms: Annotated[list[ArmOutcome], Meta(description="the model as it is first")]
    over_fixed_affine: Annotated[Gain | None, Meta(description="gain of the normalization over the fixed affine")]
    verdict: Answer
    expected: Annotated[float | None, Meta(description="the gain asked for with --expect-gain")] = None
    met: Annotated[bool | None, Meta(description="whether the interval lies above it")] = None
    notes: list[str]
