"""The rules about budgets: exceeded, or not to be decided."""

from collections.abc import Iterator, Mapping
from typing import cast

from covscan.catalog.firing import Firing
from covscan.gate.judged import Judged
from covscan.report.gate import BudgetResult
from covscan.report.types import Position, Severity


def budget_exceeded(judged: Judged) -> Iterator[Firing]:
    """What was measured lies beyond a limit of the configuration.

    Severity: error where the budget's level is error, which fails the gate, else warning.

    ## What it measures
    The worst site, the median of the sites, the share of them beyond a value, or the number of findings, against the
    limits of the budget. A measure of shift is judged by its 95 % interval: it is exceeded where the whole interval
    lies beyond the limit. A shift whose interval does not clear its noise floor may be none, so that its interval
    begins at 0. Sites that share a tensor count once.

    ## Why it matters
    The limit is the one that you set: this is what a merge or a training run was to be stopped for.

    ## When it misleads
    A statistic (dead_channels, max, std and so on) has no interval in the report and is judged at the point, so that
    one close to its limit may change sides with other samples. A limit that was measured on one seed may be too narrow
    for the next one. A count of findings grows where a rule became stricter with a new version.

    ## Example
    `worst-shift: gaussian_w2 2.41 [2.25, 2.57] at fc3 (output) from step-0 to step-100, beyond the limit of 2`

    ## What to do
    Look at the sites in the evidence, all of which are beyond the limit for sure. Where the change was meant, raise the
    limit in the change that needs it, or set its level to warn or off by the budget's name.

    ## Sources
    None: this is a limit of your own. Presets say where theirs come from: `covscan/gate/presets.py`.
    """
    for judgement in judged.budgets:
        result = judgement.result
        if result.outcome in {"exceeded", "warned"}:
            yield _firing(result, "error" if result.outcome == "exceeded" else "warning", judgement.beyond)


def budget_undecided(judged: Judged) -> Iterator[Firing]:
    """A budget could not be decided: an interval across the limit, too few samples, or nothing to judge.

    Severity: warning.

    ## What it measures
    Budgets whose limit lies within the 95 % interval of what was measured; those with fewer samples than min-samples;
    those whose globs match no site; and those whose measure or statistic was taken nowhere.

    ## Why it matters
    Neither answer would be honest. An interval across the limit passes with this warning. A budget of level error that
    could not be judged at all makes the run inconclusive (exit code 4): a limit on a layer that was renamed must not
    turn green by itself.

    ## When it misleads
    With very many sites the worst of them often has an interval that reaches across a limit close to it.

    ## Example
    `worst-shift: inconclusive at n = 512: gaussian_w2 1.9 [1.6, 2.2] at fc3 (output) from step-0 to step-100, across
    the limit of 2`

    ## What to do
    Give more samples: intervals narrow with the square root of their number. Correct a glob that matches nothing; the
    message names the nearest site. Judge the median or the share of sites where single ones are noisy.

    ## Sources
    Intervals come from leaving out blocks of samples in turn: Efron and Stein, *The Jackknife Estimate of Variance*,
    1981.
    """
    for judgement in judged.budgets:
        if judgement.result.outcome == "inconclusive":
            yield _firing(judgement.result, "warning", {})


def _firing(result: BudgetResult, severity: Severity, beyond: Mapping[str, float]) -> Firing:
    return Firing(
        severity=severity,
        site=result.site,
        position=cast(Position | None, result.position),
        checkpoint=result.checkpoint,
        message=f"{result.budget}: {result.message}",
        evidence={
            "budget": result.budget,
            "subject": result.subject,
            "over": result.over,
            "max": result.max,
            "min": result.min,
            "value": result.value,
            "low": result.low,
            "high": result.high,
            "samples": result.samples,
            "beyond": dict(beyond),
        },
    )
