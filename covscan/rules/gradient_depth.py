"""Gradients that grow or vanish on their way back through the layers."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import correlation, linear_regression

from covscan.report.types import Severity
from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.lookup import is_embedding
from covscan.rules.words import number

STRONG, SUSTAINED = 1e3, 30.0
_FEWEST, _STEADY = 4, 0.7


@dataclass(frozen=True, slots=True)
class Slope:
    """Relative gradients over depth at a checkpoint: by ``factor`` more at the last layer than at the first."""

    checkpoint: str
    factor: float
    profile: dict[str, float]


def slope(evidence: Evidence, checkpoint: str) -> Slope | None:
    """The trend of ln(relative gradient) over the layers, None with fewer than four or where it is not steady.

    Least squares, so that one odd layer at an end does not make a trend; steady is a correlation of 0.7 or more in
    size. Embeddings are left out, because most of their rows are not read.
    """
    if evidence.gradients is None:
        return None
    tables = {module.name for module in evidence.network.modules if is_embedding(module.type)}
    profile = {
        layer.layer: layer.relative_gradient
        for layer in evidence.gradients.at(checkpoint)
        if layer.relative_gradient and layer.layer not in tables
    }
    logarithms = [math.log(value) for value in profile.values()]
    if len(profile) < _FEWEST or max(logarithms) == min(logarithms):
        return None
    places = range(len(profile))
    if abs(correlation(places, logarithms)) < _STEADY:
        return None
    exponent = linear_regression(places, logarithms).slope * (len(profile) - 1)
    return Slope(checkpoint, math.exp(min(exponent, 700.0)), profile)


def vanishing_gradients(evidence: Evidence) -> Iterator[Firing]:
    """The gradient vanishes on its way back to the first layers.

    Severity: warning where the gradient relative to the weights falls a thousandfold from the last layer to the first
    and still does at the last checkpoint, info thirtyfold, at an earlier checkpoint, or for an optimizer whose steps do
    not depend on the gradient's size.

    ## What it measures
    Gradient norm over weight norm of each layer, root mean square over several batches, and its exponential trend over
    depth. The two limits are covscan's own, those of COV211.

    ## Why it matters
    At one learning rate for all, the first layers then hardly learn while the last ones do.

    ## When it misleads
    Adam and the like scale each weight's step anew: with them the layers learn all the same until the gradient comes
    near their epsilon (COV307). A pretrained network may have little left to learn in its first layers.

    ## Example
    `the gradient falls 3,200-fold from head to fc1, relative to the weights`

    ## What to do
    Initialize for the activation in use; replace saturating activations; add skip connections; or normalize. A higher
    learning rate for the first layers treats the symptom.

    ## Sources
    Glorot and Bengio, *Understanding the Difficulty of Training Deep Feedforward Neural Networks*, 2010. Hanin and
    Rolnick, *How to Start Training*, 2018.
    """
    yield from _fire(evidence, vanishing=True)


def exploding_gradients(evidence: Evidence) -> Iterator[Firing]:
    """The gradient grows on its way back to the first layers.

    Severity: warning where the gradient relative to the weights grows a thousandfold from the last layer to the first
    and still does at the last checkpoint, info thirtyfold, at an earlier checkpoint, or for an optimizer whose steps do
    not depend on the gradient's size.

    ## What it measures
    Gradient norm over weight norm of each layer, root mean square over several batches, and its exponential trend over
    depth. The two limits are covscan's own, those of COV211.

    ## Why it matters
    The learning rate has to suit the largest gradient; the last layers then hardly learn, and a batch out of the
    ordinary throws the first ones off.

    ## When it misleads
    A last layer that has nothing left to learn has a small gradient, too. Clipping by the norm hides the symptom, not
    the proportions.

    ## Example
    `the gradient grows 5,100-fold from head to conv1, relative to the weights`

    ## What to do
    Initialize for the activation in use; scale residual branches down. A BatchNorm behind every layer of a deep network
    without skip connections makes it worse, not better: it multiplies gradients by a constant at each layer.

    ## Sources
    Yang et al., *A Mean Field Theory of Batch Normalization*, 2019. Hanin and Rolnick, *How to Start Training*, 2018.
    """
    yield from _fire(evidence, vanishing=False)


def _fire(evidence: Evidence, *, vanishing: bool) -> Iterator[Firing]:
    found = evidence.gradients
    if found is None:
        return
    profiled = list(dict.fromkeys(layer.checkpoint for layer in found.layers))
    for checkpoint in reversed(profiled):
        trend = slope(evidence, checkpoint)
        if trend is None:
            continue
        factor = trend.factor if vanishing else 1 / trend.factor
        if factor < SUSTAINED:
            continue
        names, late = list(trend.profile), checkpoint == profiled[-1]
        severity: Severity = "warning" if factor >= STRONG and late and not found.sign_like else "info"
        way = "falls" if vanishing else "grows"
        yield Firing(
            severity=severity,
            site=names[0],
            checkpoint=checkpoint,
            message=f"the gradient {way} {number(factor)}-fold from {names[-1]} to {names[0]}, relative to the weights"
            + ("" if late else f", at {checkpoint}, and no more at the last checkpoint"),
            evidence={"factor": factor, "relative_gradients": trend.profile, "sign_like": found.sign_like},
        )
        return
