"""What everything that was judged comes to, in one word and a few sentences."""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from covscan.errors import ExitCode
from covscan.gate.judged import Judged
from covscan.gate.selection import at_least
from covscan.gate.sentences import places, regressed
from covscan.render.figures import counted
from covscan.report.gate import BudgetResult


class Verdict(NamedTuple):
    """The word, the exit code that it is, and why, the gravest reason first."""

    word: Literal["passed", "failed", "inconclusive"]
    exit_code: ExitCode
    reasons: list[str]


def verdict(judged: Judged) -> Verdict:
    """Failed, else inconclusive, else passed: what was found to be wrong outweighs what could not be looked at.

    A budget of level error that only has the limit within its interval passes with a warning, as one of level warn
    does that is exceeded. The gate's own findings (COV9xx) never count here: what they say is in these sentences.
    """
    failures, doubts, warnings = list(_failures(judged)), list(_doubts(judged)), list(_warnings(judged))
    if failures:
        return Verdict("failed", ExitCode.FINDINGS, failures + doubts + warnings)
    if doubts:
        return Verdict("inconclusive", ExitCode.INCONCLUSIVE, doubts + warnings)
    return Verdict("passed", ExitCode.OK, [_praise(judged), *warnings])


def _failures(judged: Judged) -> Iterator[str]:
    yield from _said(judged, lambda result: result.outcome == "exceeded")
    if judged.baseline is not None and judged.baseline.regressions:
        found = judged.baseline.regressions
        yield f"{counted(len(found), 'value')} beyond the baseline, the farthest: {regressed(found[0])}."
    grave = [finding for finding in judged.counting if at_least(finding.severity, judged.policy.fail_on)]
    if grave:
        yield (
            f"{counted(len(grave), 'finding')} of severity {judged.policy.fail_on}"
            f"{'' if judged.policy.fail_on == 'error' else ' or graver'}: {places(grave)}."
        )


def _doubts(judged: Judged) -> Iterator[str]:
    if not judged.report.coverage.measured:
        yield "Nothing was measured."
    yield from _said(judged, lambda result: result.level == "error" and _unjudged(result))
    if judged.baseline is not None and judged.baseline.status != "compared":
        why = "; ".join(judged.baseline.reasons) or judged.baseline.status
        yield f"The baseline {judged.baseline.source} cannot be used: {why}."


def _warnings(judged: Judged) -> Iterator[str]:
    yield from _said(judged, lambda result: result.outcome == "warned")
    yield from _said(judged, lambda result: result.outcome == "inconclusive" and not _unjudged(result))
    yield from _said(judged, lambda result: result.level == "warn" and _unjudged(result))


def _said(judged: Judged, chosen: Callable[[BudgetResult], bool]) -> Iterator[str]:
    for judgement in judged.budgets:
        if chosen(judgement.result):
            yield f"{judgement.result.budget}: {judgement.result.message}."


def _unjudged(result: BudgetResult) -> bool:
    return result.outcome == "inconclusive" and result.value is None


def _praise(judged: Judged) -> str:
    met = sum(judgement.result.outcome == "met" for judgement in judged.budgets)
    budgets = f"{counted(met, 'budget')} met" if met else "No budget to judge"
    if judged.policy.fail_on == "never":
        return f"{budgets}; findings do not count."
    graver = "" if judged.policy.fail_on == "error" else " or graver"
    return f"{budgets}; no finding of severity {judged.policy.fail_on}{graver}."
