"""The rules about suppressions: of no use any more, or past their day."""

from collections.abc import Iterator

from covscan.catalog.firing import Firing
from covscan.gate.judged import Judged
from covscan.report.gate import SuppressionResult


def suppression_unused(judged: Judged) -> Iterator[Firing]:
    """A suppression of the configuration matches no finding.

    Severity: warning.

    ## What it measures
    Suppressions that have not expired and whose codes and sites match none of the report's findings, those that
    --select and --ignore leave out included.

    ## Why it matters
    What it was for is gone, or was never what it says. Left alone it hides the next finding of its kind, which nobody
    has looked at.

    ## When it misleads
    One configuration may serve several models, of which only one has the finding.

    ## Example
    `nothing is suppressed by COV216 at relu3 (sparse on purpose)`

    ## What to do
    Remove it. Where it should match, compare codes and site globs with the findings as the report has them.

    ## Sources
    None: this is bookkeeping.
    """
    for each in judged.suppressions:
        if each.status == "unused":
            yield Firing(
                severity="warning", message=f"nothing is suppressed by {_named(each)}", evidence=_evidence(each)
            )


def suppression_expired(judged: Judged) -> Iterator[Firing]:
    """A suppression is past the last day on which it held.

    Severity: warning.

    ## What it measures
    The date under `expires` against today's. On that day itself the suppression still holds.

    ## Why it matters
    Its findings count again, so that a gate may fail though nothing was changed: this says why.

    ## When it misleads
    Today is the day on the machine that runs covscan, in its own time zone.

    ## Example
    `the suppression of COV401 at encoder.* (statistics are refreshed at release) expired on 2026-03-31`

    ## What to do
    Repair what it was for, or give a new day and a reason that is true today.

    ## Sources
    None: this is bookkeeping.
    """
    for each in judged.suppressions:
        if each.status == "expired":
            yield Firing(
                severity="warning",
                message=f"the suppression of {_named(each)} expired on {each.expires}",
                evidence=_evidence(each),
            )


def _named(suppression: SuppressionResult) -> str:
    where = "" if suppression.sites == ["*"] else f" at {', '.join(suppression.sites)}"
    return f"{', '.join(suppression.codes)}{where} ({suppression.reason})"


def _evidence(suppression: SuppressionResult) -> dict[str, object]:
    return {
        "codes": suppression.codes,
        "sites": suppression.sites,
        "reason": suppression.reason,
        "expires": suppression.expires,
    }
