"""Where a shift comes from, and shifts that add up unseen."""

from collections.abc import Iterator

from covscan.report.types import Shift
from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.lookup import first_to_last, significant, steps, value
from covscan.rules.shift_runs import Moved, firing, runs
from covscan.rules.shift_severity import shift_severity
from covscan.rules.words import number, plural

_MOST_SOURCES = 3
_LARGE = 0.8


def shift_source(evidence: Evidence) -> Iterator[Firing]:
    """A layer shifts its output by itself, beyond what it inherits from its input.

    Severity: warning from 0.8 standard deviations on between trained checkpoints, else info.

    ## What it measures
    The excess shift: Gaussian W2 between what a layer gives with its new and with its old weights on the same new
    input. 0 for whatever has no weights. The three layers with the largest excess are named, as far as they reach half
    of the largest, and how many more there are.

    ## Why it matters
    One layer that moves drags everything behind it along. The table of shifts shows all of it; this shows where it
    starts.

    ## When it misleads
    Two layers that move against each other both have a large excess though the network does what it did. It is measured
    on a part of the samples, so that small values are noisy. From an untrained start some layer has to move first, so
    that it is information there.

    ## Example
    `fc2 adds 1.4 sd by itself, the largest of 5 layers`

    ## What to do
    If one layer alone stands out, look at its learning rate, its initialization and its weight decay before you add
    anything to the network.

    ## Sources
    The forward half of Santurkar et al.'s definition (2018), which changes the weights in front of a layer and looks at
    its gradient.
    """
    measure = "excess_shift"
    sources = [
        Moved(site, shift, size)
        for site, shift in first_to_last(evidence)
        if significant(shift, measure) and (size := value(shift, measure)) is not None
    ]
    sources.sort(key=lambda moved: -moved.value)
    for rank, moved in enumerate(sources[:_MOST_SOURCES], start=1):
        if moved.value < sources[0].value / 2:
            return
        found = moved.shift.measures[measure]
        place = f"the largest of {plural(len(sources), 'layer')}" if rank == 1 else f"number {rank} of {len(sources)}"
        inherited = value(moved.shift, "gaussian_w2")
        yield Firing(
            severity=shift_severity(evidence, moved.shift, large=moved.value >= _LARGE),
            site=moved.site.site,
            position=moved.site.position,
            checkpoint=moved.shift.to,
            message=f"{moved.site.site} adds {number(moved.value)} sd of shift by itself, {place}, "
            f"from {moved.shift.from_} to {moved.shift.to}"
            + (f"; its whole shift is {number(inherited)} sd" if inherited is not None else ""),
            evidence={
                "rank": rank,
                "excess_shift": moved.value,
                "noise": found.noise,
                "low": found.low,
                "high": found.high,
                "excess_mean_difference": value(moved.shift, "excess_mean_difference"),
                "excess_log_variance_ratio": value(moved.shift, "excess_log_variance_ratio"),
                "whole_shift": inherited,
                "sources": {other.site.site: other.value for other in sources},
            },
        )


def accumulating_drift(evidence: Evidence) -> Iterator[Firing]:
    """Steps too small to be seen add up to a shift that is seen.

    Severity: warning between trained checkpoints, info from an untrained start.

    ## What it measures
    Sites where Gaussian W2 from each checkpoint to the next never clears noise and effect size, but from the first to
    the last it does.

    ## Why it matters
    Whoever compares each state only with the one before never notices, however far the network has gone.

    ## When it misleads
    Checkpoints that lie close together make small steps out of any change, the whole of a training that starts at
    random included.

    ## Example
    `no step is significant, but together they moved 0.45 sd at norm2 (output)`

    ## What to do
    Compare with a fixed reference checkpoint, not with the last one.

    ## Sources
    Statistical process control has the cumulative sum for it (Page 1954).
    """
    if len(evidence.checkpoints) < 3:
        return
    measure = "gaussian_w2"
    by_site = steps(evidence)

    def accumulated(shift: Shift) -> float | None:
        between = by_site.get((shift.site, shift.position), [])
        if not significant(shift, measure) or not between or any(significant(step, measure) for step in between):
            return None
        return value(shift, measure)

    for run in runs(evidence, accumulated):
        size = number(run.peak.value)
        severity = shift_severity(evidence, run.peak.shift, large=True)
        yield firing(run, measure, severity, f"no step is significant, but together they moved {size} sd")
