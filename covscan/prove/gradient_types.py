"""What gradients say about a series of checkpoints, as plain numbers; needs no torch.

Wherever a field is None, the ``status`` beside it says why. A batch is ``Gradients.batch_size`` samples, and whatever
concerns several of them uses the same batches at every checkpoint.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

HESSIAN_PRODUCT = 8
"""What one product with the Hessian costs, in forward passes: 6 to 10 were measured on perceptrons, conv nets and
transformers, most with attention, which has no fused second derivative."""
_SIZES, _RATES = 4, 7  # of the steps of a landscape, and of the rates tried where the user's is not known


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is evaluated at most. Where there is more of something, that many are taken, evenly spread.

    Costs are counted in forward passes over a batch; a backward pass counts as two, and a product with the Hessian as
    eight. See ``most_forwards``.
    """

    layers: int = 12
    """Layers whose gradient shift is measured."""
    batches: int = 4
    """Batches without a common sample: what norms are averaged over and noise is taken from."""
    profiles: int = 6
    """Checkpoints at which each layer's gradient is measured."""
    checkpoints: int = 24
    """Checkpoints at which the loss is measured, and between which weights are followed."""
    pairs: int = 3
    """Neighbouring checkpoints between which gradients are spliced."""
    landscapes: int = 3
    """Checkpoints at which steps of several sizes are tried and the curvature is measured."""
    probes: int = 2
    """Batches that a landscape is taken over."""
    iterations: int = 12
    """Products with the Hessian, at most."""

    def most_forwards(self, checkpoints: int, layers: int, *, rate_known: bool, divides: bool = False) -> int:
        """What a series of so many checkpoints of a network with so many layers costs at most.

        ``divides`` says that the optimizer divides by a root mean square, as Adam does: curvature is measured twice.
        """
        followed = min(checkpoints, self.checkpoints)
        pairs = min(max(followed - 1, 0), self.pairs)
        profiles = min(followed, self.profiles + pairs)
        probes = min(self.probes, self.batches)
        products = 1 + (divides and rate_known)
        steps = probes * (3 + 3 * _SIZES + (0 if rate_known else 3 + _RATES))
        curvature = products * probes * (3 + HESSIAN_PRODUCT * self.iterations) + (products - 1) * 3 * self.batches
        return (
            self.batches * (3 * profiles + (followed - profiles))
            + 1
            + pairs * min(layers, self.layers) * 3 * self.batches
            + min(followed, self.landscapes) * (steps + curvature)
        )


@dataclass(frozen=True, slots=True)
class LayerGradient:
    """The gradient of one layer's weights at one checkpoint, vectors such as biases left out.

    ``gradient_norm`` and ``gradient_rms`` (one weight's) are root mean squares over the batches. ``relative_gradient``
    is gradient over weight norm. ``update_ratio`` is the norm of one step of the optimizer at the user's rate, with
    weight decay, relative to the weights: the step that follows after the optimizer, started anew, has
    seen one batch after the other at these weights. ``gradient_noise`` is the distance between the gradients of two
    batches relative to a gradient, sqrt(mean ||g - g'||^2 / mean ||g||^2) over all pairs: 0 where they agree, sqrt(2)
    where they have nothing in common. ``scale_invariance`` is |<W, g>| / (||W|| ||g||), the mean over the batches: near
    0 where the weights' scale does not matter to the loss, as in front of a BatchNorm.
    """

    layer: str
    checkpoint: str
    gradient_norm: float | None
    weight_norm: float | None
    relative_gradient: float | None
    update_ratio: float | None
    gradient_noise: float | None
    scale_invariance: float | None
    gradient_rms: float | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class GradientShift:
    """How the gradient of one layer at checkpoint ``start`` changes once the layers before it are those of ``end``.

    Santurkar et al.'s measure with the next checkpoint in place of the next step: G is the gradient by the layer's
    weights at ``start``; G' the same on the same batch, at the same weights, with every parameter that the layer's
    input depends on taken from ``end``. ``relative`` is sqrt(mean ||G - G'||^2 / mean ||G||^2) over the batches,
    ``cosine`` the mean of cos(G, G'); 0 and 1 where nothing moves. ``noise`` is ``LayerGradient.gradient_noise``: a
    shift below it is no larger than what the choice of the batch makes. ``significant`` says that ``relative`` is
    above it. ``preceding`` counts the parameter tensors that were exchanged.
    """

    layer: str
    start: str
    end: str
    relative: float | None
    cosine: float | None
    noise: float | None
    significant: bool
    status: str | None = None
    preceding: int = 0


@dataclass(frozen=True, slots=True)
class Landscape:
    """The loss along the optimizer's next step, at 1/2 to 4 times its size, means over a few batches.

    ``rate`` is the user's rate, or, where that is not known (``rate_known`` False), the one of several rates sqrt(10)
    apart whose single step lowers the loss most. ``loss`` is the loss before the step and ``loss_after`` the one after
    a step at ``rate``; ``loss_low`` and ``loss_high`` bound what the steps lead to. ``predictiveness`` is how far the
    gradient goes from where it was, relative to its norm, at most over the steps (0: it predicts perfectly), and
    ``effective_smoothness`` the change of the gradient over the length of the step, at most, in units of
    curvature. ``sharpness`` is the largest eigenvalue of the Hessian of the mean loss over the batches in training
    mode, and ``sharpness_error`` bounds how far some eigenvalue may lie from it. ``stability`` says where the rate
    stands: 1 is the largest that gradient descent bears at this curvature; for optimizers with momentum or a
    preconditioner, their own limit.
    """

    checkpoint: str
    rate: float | None
    loss_low: float | None
    loss_high: float | None
    predictiveness: float | None
    effective_smoothness: float | None
    sharpness: float | None
    stability: float | None
    loss: float | None = None
    loss_after: float | None = None
    rate_known: bool = True
    sharpness_error: float | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """Whether the weights kept their direction at ``middle``: the cosine of the ways to it and from it.

    1 going straight on, 0 for a random walk, -1/2 for states drawn independently around one point, -1 there and back.
    ``layer`` None is all trained weights together.
    """

    layer: str | None
    start: str
    middle: str
    end: str
    cosine: float | None


@dataclass(frozen=True, slots=True)
class Gradients:
    """Everything measured with a loss and gradients.

    ``layers`` by checkpoint, then in order of execution. ``loss_by_checkpoint`` holds, by checkpoint id, the loss on
    each of the batches, in training mode, None where it is not finite. ``spent_forwards`` counts what was evaluated, in
    forward passes over a batch; a backward pass counts as two. ``sign_like`` says that the optimizer's steps do
    not depend on the gradient's scale, and ``epsilon`` is what it adds to a root mean square before dividing by it.
    """

    layers: tuple[LayerGradient, ...]
    shifts: tuple[GradientShift, ...]
    landscapes: tuple[Landscape, ...]
    loss_by_checkpoint: Mapping[str, tuple[float | None, ...]]
    batch_size: int
    batches: int
    spent_forwards: int
    notes: tuple[str, ...] = ()
    turns: tuple[Turn, ...] = ()
    rate: float | None = None
    sign_like: bool = False
    epsilon: float | None = None
    checkpoints: tuple[str, ...] = field(default=())
    """Ids in training order of all checkpoints that were looked at."""

    def at(self, checkpoint: str) -> tuple[LayerGradient, ...]:
        """The layers' gradients at one checkpoint, in order of execution."""
        return tuple(layer for layer in self.layers if layer.checkpoint == checkpoint)

    def mean_loss(self, checkpoint: str) -> float | None:
        """The loss at a checkpoint, None where it was not measured or is not finite."""
        losses = [loss for loss in self.loss_by_checkpoint.get(checkpoint, ()) if loss is not None]
        complete = losses and len(losses) == len(self.loss_by_checkpoint[checkpoint])
        return sum(losses) / len(losses) if complete else None


def spread(count: int, most: int) -> list[int]:
    """At most so many of the numbers below ``count``, evenly spread, the first and the last among them."""
    if count <= most:
        return list(range(count))
    if most < 2:
        return [count - 1][:most]
    return sorted({round(place * (count - 1) / (most - 1)) for place in range(most)})
