"""What gradients and short trainings add to a report."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field


class Gain(Struct, frozen=True, kw_only=True):
    """A relative change of a loss, positive where it gets smaller, at most 1."""

    value: Annotated[
        float, Meta(description="share of the loss that is gained: 0.1 is 10 % less, a negative one is a loss")
    ]
    low: Annotated[float | None, Meta(description="lower end of the 90 % interval, null without repetitions")]
    high: Annotated[float | None, Meta(description="upper end of it")]


class LayerGradient(Struct, frozen=True, kw_only=True):
    """The gradient of one layer's weights at one checkpoint."""

    layer: Annotated[str, Meta(description="module name")]
    checkpoint: Annotated[str, Meta(description="id of the checkpoint")]
    gradient_norm: Annotated[
        float | None,
        Meta(description="root mean square over the batches of the norm, in units of the loss for one of the weights"),
    ]
    gradient_rms: Annotated[
        float | None, Meta(description="the same for one weight: over the root of their number, in the same unit")
    ]
    weight_norm: Annotated[float | None, Meta(description="Euclidean norm of the layer's weights")]
    relative_gradient: Annotated[float | None, Meta(description="gradient norm over weight norm")]
    update_ratio: Annotated[
        float | None, Meta(description="norm of one optimizer step at --lr over the weight norm; null without --lr")
    ]
    gradient_noise: Annotated[
        float | None, Meta(description="distance between the gradients of two batches, relative to a gradient")
    ]
    scale_invariance: Annotated[
        float | None, Meta(description="|<W, g>| / (|W| |g|); near 0 in front of a normalization")
    ]
    status: Annotated[str | None, Meta(description="why values are null, where they are")] = None


class GradientShift(Struct, frozen=True, kw_only=True):
    """How a layer's gradient changes once the layers before it are those of the next checkpoint."""

    layer: Annotated[str, Meta(description="module name")]
    from_: Annotated[str, Meta(description="id of the checkpoint whose gradient it is")] = field(name="from")
    to: Annotated[str, Meta(description="id of the next, whose layers are put in front")]
    relative: Annotated[float | None, Meta(description="|G - G'| / |G|; 0 where nothing moves")]
    cosine: Annotated[float | None, Meta(description="of G and G'; 1 where nothing moves")]
    noise: Annotated[float | None, Meta(description="what the choice of the batch alone changes, relative")]
    significant: Annotated[bool, Meta(description="whether it is above the noise")]
    status: Annotated[str | None, Meta(description="why values are null, where they are")] = None


class Landscape(Struct, frozen=True, kw_only=True):
    """The loss along the optimizer's next step at one checkpoint, at half to four times its size."""

    checkpoint: Annotated[str, Meta(description="id of the checkpoint")]
    rate: Annotated[
        float | None, Meta(description="learning rate: --lr, or the best of several rates where it was not given")
    ]
    rate_known: Annotated[bool, Meta(description="whether the rate is the one given as --lr")]
    loss: Annotated[float | None, Meta(description="in front of the step, in the unit of the loss")]
    loss_after: Annotated[float | None, Meta(description="behind one step at the rate, in the unit of the loss")]
    loss_low: Annotated[float | None, Meta(description="lowest loss over the steps, in the unit of the loss")]
    loss_high: Annotated[float | None, Meta(description="highest loss over the steps, in the unit of the loss")]
    predictiveness: Annotated[float | None, Meta(description="largest change of the gradient, relative to its norm")]
    effective_smoothness: Annotated[
        float | None,
        Meta(description="largest change of the gradient over the length of the step, in the unit of the sharpness"),
    ]
    sharpness: Annotated[
        float | None,
        Meta(description="largest eigenvalue of the Hessian, in units of the loss for one of a squared weight"),
    ]
    sharpness_error: Annotated[
        float | None, Meta(description="bound on how far some eigenvalue may lie from it, in the same unit")
    ]
    stability: Annotated[
        float | None, Meta(description="the rate as a multiple of the largest that is stable at this sharpness")
    ]
    status: Annotated[str | None, Meta(description="why values are null, where they are")] = None


class Gradients(Struct, frozen=True, kw_only=True):
    """What gradients say about the series."""

    layers: Annotated[list[LayerGradient], Meta(description="each layer's gradient at some checkpoints")]
    shifts: Annotated[
        list[GradientShift], Meta(description="how gradients change with the layers in front, between some neighbours")
    ]
    landscapes: Annotated[list[Landscape], Meta(description="the loss along a step, at some checkpoints")]
    loss_by_checkpoint: Annotated[
        dict[str, float | None],
        Meta(description="mean over the batches, in training mode, in the unit of the loss; null where not finite"),
    ]
    batch_size: Annotated[int, Meta(description="samples in a batch")]
    batches: Annotated[int, Meta(description="batches that means are taken over")]
    forwards: Annotated[int, Meta(description="forward passes spent; a backward pass counts as two")]


class Trials(Struct, frozen=True, kw_only=True):
    """The short trainings that the suggestions rest on."""

    tier: Annotated[Literal["probe", "trial"], Meta(description="single steps, or short trainings")]
    intervention: Annotated[
        Literal["from the start", "into a checkpoint"],
        Meta(description="normalizations in from the initial weights on, or put into trained weights unchanged"),
    ]
    start: Annotated[str, Meta(description="which weights the trainings start from")]
    loss: Annotated[str, Meta(description="what was trained for, as --loss names it")]
    optimizer: Annotated[str, Meta(description="what was trained with, as --optimizer names it")]
    rate: Annotated[float | None, Meta(description="the learning rate given as --lr")]
    best_rate: Annotated[float | None, Meta(description="the best learning rate found without a normalization")]
    batch_size: Annotated[int, Meta(description="samples in a batch")]
    samples: Annotated[int, Meta(description="samples that the trainings draw from")]
    everywhere: Annotated[Gain | None, Meta(description="a normalization behind every layer at once")]
    last_only: Annotated[
        Gain | None, Meta(description="a normalization at the last place in front of the head alone")
    ] = None
    rivals: Annotated[dict[str, Gain], Meta(description="remedies that are no normalization, by name")]
    curve_without: Annotated[
        list[float],
        Meta(description="mean training loss by step, clipped at the start's loss, in the unit of the loss"),
    ]
    curve_with: Annotated[list[float], Meta(description="the same with the best normalization, at its best rate")]
    area_steps: Annotated[
        int,
        Meta(description="steps that areas are of; what was not trained counts at the level that each curve ends on"),
    ] = 0
    steps: Annotated[int, Meta(description="training steps spent")]
    forwards: Annotated[int, Meta(description="other evaluations of a batch, in forward passes")]
    budget: Annotated[int, Meta(description="training steps that would have been spent at most")]
