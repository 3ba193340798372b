"""Whether there is enough to compare: samples and checkpoints."""

from collections.abc import Iterator
from statistics import median

from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.lookup import first_to_last
from covscan.rules.words import number, plural, share

_FEWEST = 32
_MATERIAL = 0.2


def few_samples(evidence: Evidence) -> Iterator[Firing]:
    """There are too few samples to tell a shift from the luck of the draw.

    Severity: warning below 32 samples; info where there are more, but noise still hides most of the shifts.

    ## What it measures
    The number of samples read, and at how many sites a shift between the first and the last checkpoint that would be
    material (0.2 standard deviations or more) does not clear the noise floor: the 95th percentile of the same measure
    between random halves of one checkpoint's samples.

    ## Why it matters
    Two draws of the same distribution differ by a mean standardized difference of 0.20 at 32 samples, 0.10 at 128,
    0.05 at 512. Below that nothing can be seen, and "no shift found" means nothing.

    ## When it misleads
    Samples are counted, not pixels or tokens, since those of one sample are alike. A network whose positions really are
    independent needs fewer samples than this rule believes.

    ## Example
    `--samples 16` on a series of six checkpoints: every shift is printed, none is marked significant.

    ## What to do
    Give more samples: `--samples 512` is the default where the data set holds so many. Noise falls with the square
    root.

    ## Sources
    Cohen, *Statistical Power Analysis*, 1988 (effect sizes). Under no shift E|d| = sqrt(2h/pi) with h = 1/n_A + 1/n_B.
    """
    samples = evidence.data.samples
    if samples < _FEWEST:
        yield Firing(
            severity="warning",
            message=f"only {plural(samples, 'sample')} read: shifts below about "
            f"{number((2 / 3.14159 * 2 / max(samples, 1)) ** 0.5)} standard deviations cannot be told from noise",
            evidence={"samples": samples, "fewest": _FEWEST},
        )
        return
    hidden, noises = 0, []
    for _, shift in first_to_last(evidence):
        measure = shift.measures.get("gaussian_w2")
        if measure is not None and measure.value is not None and measure.value >= _MATERIAL:
            hidden += not measure.significant
            noises.append(measure.noise or 0.0)
    if noises and hidden > len(noises) / 2:
        yield Firing(
            severity="info",
            message=f"noise hides {share(hidden / len(noises))} of the shifts that would be material; "
            f"its median is {number(median(noises))} standard deviations at {plural(samples, 'sample')}",
            evidence={"samples": samples, "hidden_share": hidden / len(noises), "median_noise": median(noises)},
        )


def single_checkpoint(evidence: Evidence) -> Iterator[Firing]:
    """There is only one checkpoint, so no shift can be measured.

    Severity: info.

    ## What it measures
    The number of checkpoints in the series.

    ## Why it matters
    A shift is a difference between two states of the network on the same samples. With one state, scale, conditioning,
    dead units and existing normalizations are still judged, and candidates rest on those alone.

    ## When it misleads
    It never does; but a glob that the shell did not expand as meant looks the same.

    ## Example
    `covscan analyze --model nets.py:build --data sample.npz runs/last.pt`

    ## What to do
    Give several checkpoints of one run, the untrained state among them if it was saved.

    ## Sources
    Ioffe and Szegedy, *Batch Normalization*, 2015: the change in the distribution of network activations due to the
    change in network parameters during training.
    """
    if len(evidence.checkpoints) == 1:
        yield Firing(
            severity="info",
            message="one checkpoint: nothing to compare it with, so shifts are not measured",
            evidence={"checkpoints": 1},
        )
