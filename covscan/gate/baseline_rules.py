"""The rules about a baseline: worse than it, not comparable with it, better than it."""

from collections.abc import Iterator
from typing import cast

from covscan.catalog.firing import Firing
from covscan.gate.judged import Judged
from covscan.gate.names import listed
from covscan.gate.sentences import regressed
from covscan.render.figures import counted
from covscan.report.types import Position


def baseline_regression(judged: Judged) -> Iterator[Firing]:
    """A value is larger than the baseline and its tolerance allow.

    Severity: error.

    ## What it measures
    Each value that the baseline holds against the same value now: shifts from the first to the last checkpoint and the
    largest step between neighbours, statistics at the last checkpoint, numbers of findings. The tolerance is relative
    or absolute, as configured, or else what the measured noise explains.

    ## Why it matters
    The baseline is what was accepted before. A change that makes a layer move farther than that is a change in how the
    network trains, meant or not.

    ## When it misleads
    Another seed, library version or machine trains another network. The noise that makes the tolerance is that of
    sampling at one checkpoint, not that of training anew.

    ## Example
    `gaussian_w2 at fc3 (output) from the first checkpoint to the last is 1.9, and the baseline's 1.2 bears 0.1 more`

    ## What to do
    Find out what changed. Where it was meant, accept it with `covscan baseline update --accept` in the change that
    causes it, so that the new bar is reviewed with it.

    ## Sources
    None: the bar is your own.
    """
    for each in judged.baseline.regressions if judged.baseline is not None else ():
        yield Firing(
            severity="error",
            site=each.site,
            position=cast(Position | None, each.position),
            message=regressed(each),
            evidence={
                "subject": each.subject,
                "span": each.span,
                "baseline": each.baseline,
                "value": each.value,
                "tolerance": each.tolerance,
            },
        )


def baseline_unusable(judged: Judged) -> Iterator[Firing]:
    """The baseline is absent or was measured on something else, so that nothing could be compared.

    Severity: warning.

    ## What it measures
    Whether the baseline's file is there, can be read, and carries the fingerprint of this architecture, these data and
    this way of sampling.

    ## Why it matters
    Against another network or other samples every difference is one of apples and pears. The run is inconclusive (exit
    code 4) and not green.

    ## When it misleads
    A renamed layer or one sample more changes the fingerprint though the network learns as before.

    ## Example
    `the baseline covscan-baseline.json cannot be used: it was measured on other samples`

    ## What to do
    Write one with `covscan baseline write` and commit it; after a change of model or data write it anew.

    ## Sources
    None: this is bookkeeping.
    """
    found = judged.baseline
    if found is not None and found.status != "compared":
        why = "; ".join(found.reasons) or found.status
        yield Firing(
            severity="warning",
            message=f"the baseline {found.source} cannot be used: {why}",
            evidence={"source": found.source, "status": found.status, "reasons": found.reasons},
        )


def baseline_outdated(judged: Judged) -> Iterator[Firing]:
    """The report is better than the baseline, or holds what the baseline does not know.

    Severity: info.

    ## What it measures
    Values that got smaller by more than the tolerance, and sites and findings that the baseline lacks.

    ## Why it matters
    An improvement that is not written down can be lost again without a word, and what the baseline does not know is not
    guarded by it.

    ## When it misleads
    A layer that no longer moves may have stopped learning.

    ## Example
    `the baseline covscan-baseline.json is outdated: 3 values improved, 1 new: fc4 (output)`

    ## What to do
    Run `covscan baseline update` and commit the file: it shrinks by itself.

    ## Sources
    None: this is bookkeeping.
    """
    found = judged.baseline
    if found is None or found.status != "compared" or not (found.improved or found.added):
        return
    parts = [f"{counted(found.improved, 'value')} improved"] if found.improved else []
    if found.added:
        parts.append(f"{len(found.added)} new: {listed(found.added)}")
    yield Firing(
        severity="info",
        message=f"the baseline {found.source} is outdated: {', '.join(parts)}",
        evidence={"source": found.source, "improved": found.improved, "added": found.added},
    )
