"""Whether the learning rate suits the loss: too large for its curvature, or too small to move the weights."""

from collections.abc import Iterator
from statistics import median
from typing import TYPE_CHECKING

from covscan.report.types import Severity
from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.words import listed, number, plural

if TYPE_CHECKING:
    from covscan.prove.gradient_types import Gradients, Landscape, LayerGradient

_EDGE, _FAR = 1.0, 2.0
_TINY, _ORDINARY = 1e-6, 1e-4
_NEAR_EPSILON = 10.0


def learning_rate_limited(evidence: Evidence) -> Iterator[Firing]:
    """The learning rate is at or above what the curvature of the loss allows.

    Severity: warning where, at the last checkpoint measured, a step at the learning rate raises the loss on its own
    batches (for optimizers whose steps do not depend on the gradient's size, where the rate is twice the limit); info
    where only the limit is passed, or only at an earlier checkpoint.

    ## What it measures
    The learning rate times the largest eigenvalue of the Hessian over the limit of the optimizer: 2 for SGD, 2 (1 + b)
    with momentum b, 2 (1 + b) / (1 - b) with a moving average as in Adam, whose Hessian is divided by the gradient's
    root mean square. Above 1 a quadratic would diverge. The Hessian is that of a few batches in training mode. It is a
    number of the whole network and says nothing about where a normalization should go.

    ## Why it matters
    What holds training back is then the rate that the loss allows. That is where a normalization can help, by raising
    it; so do warm-up and a better initialization, at no cost later.

    ## When it misleads
    Training in large batches comes to the edge by itself and stays there, slightly above 1, without harm. A few batches
    are more curved than all data. Adam's root mean square is estimated from a few gradients, without its memory.

    ## Example
    `the learning rate is 2.3 times what the curvature allows, and a step raises the loss from 0.41 to 0.58`

    ## What to do
    Warm the learning rate up, or lower it; if that makes training slower than you can bear, try a normalization at
    several learning rates.

    ## Sources
    Cohen et al., *Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability*, 2021, and *Adaptive
    Gradient Methods at the Edge of Stability*, 2022. Gilmer et al., *A Loss Curvature Perspective on Training
    Instability in Deep Learning*, 2022.
    """
    gradients = evidence.gradients
    measured = [each for each in gradients.landscapes if each.stability is not None] if gradients else []
    above = [each for each in measured if each.stability is not None and each.stability > _EDGE]
    if gradients is None or not above:
        return
    worst = above[-1]
    late = worst is measured[-1]
    severity: Severity = "warning" if late and _harmful(gradients, worst) else "info"
    yield Firing(
        severity=severity,
        checkpoint=worst.checkpoint,
        message=f"the learning rate is {number(worst.stability or 0)} times what the curvature allows{_outcome(worst)}"
        + ("" if late else f", at {worst.checkpoint}, and no more at the last checkpoint measured"),
        evidence={
            "rate": worst.rate,
            "sharpness": worst.sharpness,
            "by_checkpoint": {each.checkpoint: each.stability for each in measured},
            "loss": worst.loss,
            "loss_after": worst.loss_after,
        },
    )


def _harmful(gradients: "Gradients", landscape: "Landscape") -> bool:
    if gradients.sign_like:  # a first step from an empty memory is larger than those that follow
        return (landscape.stability or 0) > _FAR
    return landscape.loss is not None and (landscape.loss_after is None or landscape.loss_after > landscape.loss)


def _outcome(landscape: "Landscape") -> str:
    before, after = landscape.loss, landscape.loss_after
    if before is None:
        return ""
    if after is None:
        return ", and a step takes the loss out of the finite"
    return f", and a step raises the loss from {number(before)} to {number(after)}" if after > before else ""


def vanishing_update(evidence: Evidence) -> Iterator[Firing]:
    """Steps are too small to change the weights.

    Severity: warning where some layers stand still beside others that learn, or where gradients come near the
    optimizer's epsilon; info where all layers hardly move.

    ## What it measures
    At the last checkpoint with gradients: the norm of one optimizer step over that of the layer's weights, below 1e-6
    (a limit of covscan's own; about 1e-3 is customary while training); and, for Adam and the like, the root mean square
    of a layer's gradient below ten times the epsilon that is added to it.

    ## Why it matters
    1e-6 of a weight is a few units in its last place in float32, and nothing at all in half precision. Where
    epsilon dominates, Adam takes small gradients for smaller ones than they are, and the layer stops.

    ## When it misleads
    At the end of a schedule, and of a training that has fitted everything, steps are small because nothing is left to
    do. Weights kept in half precision with a float32 copy elsewhere move all the same.

    ## Example
    `one step changes fc1 by 4.1e-08 of its weights; the median layer by 0.0008`

    ## What to do
    Check that the layer's output reaches the loss. Lower epsilon where gradients come near it (1e-15 costs nothing in
    float32). A normalization is not the remedy.

    ## Sources
    Wortsman et al., *Small-scale Proxies for Large-scale Transformer Training Instabilities*, 2023 (epsilon).
    """
    gradients = evidence.gradients
    if gradients is None or not gradients.layers:
        return
    layers = gradients.at(gradients.layers[-1].checkpoint)
    still = [layer for layer in layers if layer.update_ratio is not None and layer.update_ratio < _TINY]
    drowned = [layer for layer in layers if _near_epsilon(gradients, layer)]
    ratios = [layer.update_ratio for layer in layers if layer.update_ratio is not None]
    if still:
        yield from _still(layers, still, median(ratios))
    elif drowned:
        names = [layer.layer for layer in drowned]
        worst = min(drowned, key=lambda layer: layer.gradient_rms or 0.0)
        yield Firing(
            severity="warning",
            site=worst.layer,
            checkpoint=worst.checkpoint,
            message=f"gradients of {number(worst.gradient_rms or 0)} come near the optimizer's epsilon of "
            f"{number(gradients.epsilon or 0)}: {listed(names)}",
            evidence={
                "epsilon": gradients.epsilon,
                "gradient_rms": {each.layer: each.gradient_rms for each in drowned},
            },
        )


def _near_epsilon(gradients: "Gradients", layer: "LayerGradient") -> bool:
    if gradients.epsilon is None or layer.gradient_rms is None:
        return False
    return layer.gradient_rms < _NEAR_EPSILON * gradients.epsilon


def _still(layers: "tuple[LayerGradient, ...]", still: "list[LayerGradient]", middle: float) -> Iterator[Firing]:
    worst = min(still, key=lambda layer: layer.update_ratio or 0.0)
    alone = middle >= _ORDINARY
    more = f"; {plural(len(still) - 1, 'layer')} more below {_TINY:g}" if len(still) > 1 else ""
    yield Firing(
        severity="warning" if alone else "info",
        site=worst.layer,
        checkpoint=worst.checkpoint,
        message=f"one step changes {worst.layer} by {number(worst.update_ratio or 0)} of its weights; "
        f"the median layer by {number(middle)}{more}",
        evidence={"update_ratios": {layer.layer: layer.update_ratio for layer in layers}},
    )
