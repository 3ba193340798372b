"""Gradients against their noise: what the layers in front do to them, and how much of a batch's gradient is luck."""

from collections.abc import Iterator

from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.words import listed, number, plural, share

_SIGNAL = 0.1
_FEWEST = 4


def gradient_shift(evidence: Evidence) -> Iterator[Firing]:
    """Layers whose gradient is changed by what the layers in front of them learn.

    Severity: info.

    ## What it measures
    The gradient of a layer's weights at one checkpoint, and the same on the same batches with all parameters in front
    of the layer taken from the next checkpoint: how far the two lie apart, relative to the first. Named are layers
    where that is more than two batches differ (COV308), at the latest pair of checkpoints where there are any.

    ## Why it matters
    It is internal covariate shift as an optimizer would feel it: the step was computed for inputs that have changed.

    ## When it misleads
    Reducing it need not help. In the experiments that this measure comes from, BatchNorm made it larger and trained
    better. It also grows with the distance between checkpoints and with the learning rate: compare only what is as far
    apart. The original takes one step, this the way to the next checkpoint.

    ## Example
    `the gradient of fc4 changes by 1.8 of its norm (cosine -0.21; noise 0.9) by what the layers in front of it learn
    from step-100 to step-200`

    ## What to do
    Nothing on its account alone. Read it beside COV303 and COV205; save checkpoints closer together to see one step's
    worth.

    ## Sources
    Santurkar et al., *How Does Batch Normalization Help Optimization?*, 2018, definition 2.1.
    """
    gradients = evidence.gradients
    above = [shift for shift in gradients.shifts if shift.significant] if gradients else []
    if not above:
        return
    latest = [shift for shift in above if shift.start == above[-1].start]
    worst = max(latest, key=lambda shift: shift.relative or 0.0)
    others = [shift.layer for shift in latest if shift is not worst]
    yield Firing(
        severity="info",
        site=worst.layer,
        checkpoint=worst.end,
        message=f"the gradient of {worst.layer} changes by {number(worst.relative or 0)} of its norm "
        f"(cosine {number(worst.cosine or 0)}; noise {number(worst.noise or 0)}) by what the layers in front of it "
        f"learn from {worst.start} to {worst.end}" + (f"; so do {listed(others)}" if others else ""),
        evidence={
            "relative": worst.relative,
            "cosine": worst.cosine,
            "noise": worst.noise,
            "preceding": worst.preceding,
            "layers": {shift.layer: shift.relative for shift in latest},
        },
    )


def gradient_noise_dominates(evidence: Evidence) -> Iterator[Firing]:
    """Most of a batch's gradient is noise.

    Severity: info.

    ## What it measures
    The share of the squared gradient of a batch that different batches have in common, over all layers, at the last
    checkpoint with gradients: 1 - noise^2 / 2, below 10 % (a limit of covscan's own). With it goes the batch
    size at which signal and noise would be equal, the batch times (1 - share) / share.

    ## Why it matters
    Up to that batch size, larger batches save steps in proportion; beyond it they do not. And where noise dominates,
    gradient shift below it cannot be felt.

    ## When it misleads
    A network that has fitted its data has nothing but noise left, as it should. A few batches give the share with an
    error of several percent; dropout adds noise of its own.

    ## Example
    `batches of 64 have 4 % of their squared gradient in common: signal and noise would be equal at about 1,500 samples`

    ## What to do
    Larger batches, or a smaller learning rate, if the loss no longer falls. Small batches are no fault as such.

    ## Sources
    McCandlish et al., *An Empirical Model of Large-Batch Training*, 2018.
    """
    gradients = evidence.gradients
    if gradients is None or not gradients.layers or gradients.batches < _FEWEST:
        return
    checkpoint = gradients.layers[-1].checkpoint
    known = [
        (layer.gradient_norm**2, layer.gradient_noise**2)
        for layer in gradients.at(checkpoint)
        if layer.gradient_norm is not None and layer.gradient_noise is not None
    ]
    whole = sum(size for size, _ in known)
    if not whole:
        return
    common = sum(size * (1 - noise / 2) for size, noise in known) / whole
    if common >= _SIGNAL:
        return
    equal = gradients.batch_size * (1 - common) / common if common > 0 else None
    yield Firing(
        severity="info",
        checkpoint=checkpoint,
        message=f"batches of {plural(gradients.batch_size, 'sample')} have {share(max(common, 0.0))} of their squared "
        "gradient in common"
        + (f": signal and noise would be equal at about {number(float(f'{equal:.2g}'))} samples" if equal else ""),
        evidence={"common_share": common, "batch_size": gradients.batch_size, "equal_at": equal},
    )
