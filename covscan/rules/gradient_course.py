"""Where training goes from checkpoint to checkpoint: a loss that rises, weights that go back and forth."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import mean, median, stdev

from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.words import number

_MATERIAL = 0.05
_ERRORS = 3.0
_FEWEST = 3
_BACK, _SWINGING = -0.3, -0.7

Losses = Sequence[float | None]


def diverging_loss(evidence: Evidence) -> Iterator[Firing]:
    """The loss rises from checkpoint to checkpoint.

    Severity: warning where the last checkpoint is above an earlier one or its loss is not finite, info where the loss
    rose in between and came down again.

    ## What it measures
    The loss on the same batches at every checkpoint, in training mode. It counts as risen where it rose on every batch,
    by 5 % or more on average (a limit of covscan's own), and by over three standard errors of the paired differences.

    ## Why it matters
    Whatever the statistics of the activations say about the last checkpoint, they may describe a network that is coming
    apart.

    ## When it misleads
    On samples that were not trained on, a loss rises by overfitting, and the training loss does not. The loss
    computed here may not be all of the one trained with, or the latter may have changed on the way. Cyclic learning
    rates raise the loss on purpose.

    ## Example
    `the loss rose from 0.31 at step-800 to 2.4 at step-1000`

    ## What to do
    Go back to the best checkpoint; lower the learning rate or warm it up longer (COV303 says whether it is too high);
    clip gradients. Then see COV219 and COV211 for what grew.

    ## Sources
    Wortsman et al., *Small-scale Proxies for Large-scale Transformer Training Instabilities*, 2023.
    """
    gradients = evidence.gradients
    if gradients is None:
        return
    series = [(name, losses) for name in gradients.checkpoints if (losses := gradients.loss_by_checkpoint.get(name))]
    finite = [(name, losses) for name, losses in series if _finite(losses)]
    means = {name: gradients.mean_loss(name) for name, _ in series}
    if finite and series[-1][0] != finite[-1][0]:
        yield Firing(
            severity="warning",
            checkpoint=series[-1][0],
            message=f"the loss is not finite at {series[-1][0]}; it was {number(means[finite[-1][0]] or 0)} "
            f"at {finite[-1][0]}",
            evidence={"losses": means},
        )
        return
    rises = [(a, b) for a, b in pairwise(finite) if _rises(a[1], b[1])]
    best = min(finite[:-1], key=lambda item: means[item[0]] or 0.0, default=None)
    late = best is not None and _rises(best[1], finite[-1][1])
    if best is None or not (late or rises):
        return
    start, end = (best, finite[-1]) if late else rises[-1]
    yield Firing(
        severity="warning" if late else "info",
        checkpoint=end[0],
        message=f"the loss rose from {number(means[start[0]] or 0)} at {start[0]} to {number(means[end[0]] or 0)} "
        f"at {end[0]}" + ("" if late else ", and came down again"),
        evidence={"losses": means},
    )


def oscillating_weights(evidence: Evidence) -> Iterator[Firing]:
    """From checkpoint to checkpoint the weights turn back.

    Severity: warning below -0.7, info below -0.3.

    ## What it measures
    The cosine between the way that all trained weights went to a checkpoint and the way from it to the next, the median
    over the series. Going on in one direction it is 1 and for a random walk 0. States drawn independently around one
    point give -1/2, and a swing between two states -1. The two limits are covscan's own, set between these.

    ## Why it matters
    Around -1/2 the weights do not travel any more: they are thrown about one place by steps too large to settle.
    Towards -1 they swing. Shift between such checkpoints is noise of training, not its progress.

    ## When it misleads
    A network that has arrived does the same, and should. Checkpoints at the same phase of a swing hide it. Averaged
    weights (EMA, SWA) do not swing though the training does.

    ## Example
    `the weights turn back at 4 of 5 checkpoints (median cosine -0.52)`

    ## What to do
    Lower the learning rate or let it decay; average the weights. If the loss is still too high, the rate is held down
    by curvature: see COV303.

    ## Sources
    Izmailov et al., *Averaging Weights Leads to Wider Optima and Better Generalization*, 2018.
    """
    gradients = evidence.gradients
    turns = [turn for turn in gradients.turns if turn.layer is None] if gradients else []
    cosines = [turn.cosine for turn in turns if turn.cosine is not None]
    if not cosines or (middle := median(cosines)) >= _BACK:
        return
    back = sum(cosine < _BACK for cosine in cosines)
    yield Firing(
        severity="warning" if middle < _SWINGING else "info",
        checkpoint=turns[-1].middle,
        message=f"the weights turn back at {back} of {len(cosines)} checkpoints (median cosine {number(middle)})",
        evidence={
            "median_cosine": middle,
            "share": back / len(cosines),
            "by_checkpoint": {turn.middle: turn.cosine for turn in turns},
        },
    )


def _finite(losses: Losses) -> bool:
    return all(loss is not None and math.isfinite(loss) for loss in losses)


def _rises(before: Losses, after: Losses) -> bool:
    pairs = [(a, b) for a, b in zip(before, after, strict=False) if a is not None and b is not None]
    rises = [b - a for a, b in pairs]
    if len(rises) < _FEWEST or min(rises) <= 0:
        return False
    error = stdev(rises) / math.sqrt(len(rises))
    return mean(rises) > max(_ERRORS * error, _MATERIAL * abs(mean(a for a, _ in pairs)))
