"""Suppressions: which findings they take out of the verdict, and which of them are of no use any more."""

import datetime as dt
from collections.abc import Sequence

from msgspec import structs

from covscan.config.policy import Suppression
from covscan.gate.names import matches
from covscan.gate.selection import at_site
from covscan.report.gate import SuppressionResult
from covscan.report.types import Finding


def suppress(
    findings: Sequence[Finding], suppressions: Sequence[Suppression], today: dt.date
) -> tuple[list[Finding], list[SuppressionResult]]:
    """The findings, each with the reason of the first suppression that holds for it, and what became of each of those.

    A suppression holds up to the end of the day on which it expires; afterwards its findings count again. It is unused
    where it matches no finding, be that one counted or not: leaving rules out with --select makes none unused.
    """
    holding = [each for each in suppressions if not _expired(each, today)]
    marked = []
    for finding in findings:
        reason = next((each.reason for each in holding if _matches(each, finding)), None)
        marked.append(structs.replace(finding, suppressed=reason))
    return marked, [_result(each, findings, today) for each in suppressions]


def _expired(suppression: Suppression, today: dt.date) -> bool:
    return suppression.expires is not None and suppression.expires < today


def _matches(suppression: Suppression, finding: Finding) -> bool:
    return matches(suppression.codes, finding.code) and at_site(suppression.sites, finding)


def _result(suppression: Suppression, findings: Sequence[Finding], today: dt.date) -> SuppressionResult:
    expired = _expired(suppression, today)
    count = 0 if expired else sum(_matches(suppression, finding) for finding in findings)
    return SuppressionResult(
        codes=list(suppression.codes),
        sites=list(suppression.sites),
        reason=suppression.reason,
        expires=None if suppression.expires is None else suppression.expires.isoformat(),
        suppressed=count,
        status="expired" if expired else "used" if count else "unused",
    )
