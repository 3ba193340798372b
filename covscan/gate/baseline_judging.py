"""Each value and each count of findings, then and now: better, worse, new, or no longer there."""

import math
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from msgspec.structs import replace

from covscan.config.policy import Tolerances
from covscan.gate.baseline_tolerance import excess, tolerance
from covscan.gate.baseline_types import Baseline, KnownFinding, KnownValue, ValueKey
from covscan.gate.baseline_values import FEWEST_STEPS
from covscan.report.baseline import BaselineChange, Change

Pair = tuple[KnownValue | None, KnownValue | None]
_ORDER: tuple[Change, ...] = ("worse", "unmeasured", "better", "new")


def value_pairs(known: Baseline, now: Baseline, tolerances: Tolerances) -> list[Pair]:
    """Each value that ``tolerances`` asks for, then and now, at the sites that both have."""
    before = {value.key: value for value in known.values}
    after = {value.key: value for value in now.values}
    shared = {site.key for site in known.sites} & {site.key for site in now.sites}
    both = {**before, **after}
    keys = [key for key, value in both.items() if (value.site, value.position) in shared and _asked(value, tolerances)]
    return [(_counterpart(known, before, key), _counterpart(now, after, key)) for key in keys]


def _asked(value: KnownValue, tolerances: Tolerances) -> bool:
    globs = tolerances.statistics if value.span == "last" else tolerances.measures
    return any(fnmatchcase(value.subject, glob) for glob in globs)


def _counterpart(baseline: Baseline, values: Mapping[ValueKey, KnownValue], key: ValueKey) -> KnownValue | None:
    """The value with this key; between two checkpoints the whole is the largest step."""
    if key in values or key[0] != "step-to-step" or baseline.series.checkpoints >= FEWEST_STEPS:
        return values.get(key)
    whole = values.get(("first-to-last", *key[1:]))
    return None if whole is None else replace(whole, span="step-to-step")


def value_changes(pairs: list[Pair], tolerances: Tolerances) -> Iterator[BaselineChange]:
    """What lies beyond its tolerance, and what has no counterpart or no tolerance."""
    compared = sum(known is not None and now is not None for known, now in pairs)
    for known, now in pairs:
        if known is None or now is None:
            yield from _alone(known, now)
            continue
        borne = tolerance(known, now, tolerances, compared)
        beyond = 0.0 if borne is None else excess(known.value, now.value, borne)
        if borne is None and known.value != now.value:
            yield _change("unmeasured", known, known.value, now.value, None)
        elif beyond:
            yield _change("worse" if beyond > 0 else "better", known, known.value, now.value, borne)


def _alone(known: KnownValue | None, now: KnownValue | None) -> Iterator[BaselineChange]:
    if known is not None:
        yield _change("unmeasured", known, known.value, None, None)
    if now is not None:
        yield _change("new", now, None, now.value, None)


def _change(
    change: Change, where: KnownValue, baseline: float | None, value: float | None, borne: float | None
) -> BaselineChange:
    return BaselineChange(
        change=change,
        span=where.span,
        site=where.site,
        position=where.position,
        subject=where.subject,
        baseline=baseline,
        value=value,
        tolerance=borne,
    )


def finding_changes(known: Baseline, now: Baseline) -> Iterator[BaselineChange]:
    """Codes that are found more often at a site than before, or as errors where they were warnings; or less often.

    Counts know no tolerance. More errors are worse, and so are more errors and warnings together.
    """
    before = {finding.key: finding for finding in known.findings}
    after = {finding.key: finding for finding in now.findings}
    for key in dict.fromkeys((*before, *after)):
        pairs = list(zip(counts(before.get(key)), counts(after.get(key)), strict=True))
        grown = next((pair for pair in pairs if pair[1] > pair[0]), None)
        differing = grown or next((pair for pair in pairs if pair[1] < pair[0]), None)
        if differing is not None:
            yield BaselineChange(
                change="worse" if grown else "better",
                span="findings",
                site=key[1],
                position=None,
                subject=key[0],
                baseline=float(differing[0]),
                value=float(differing[1]),
                tolerance=0.0,
            )


def counts(finding: KnownFinding | None) -> tuple[int, int]:
    """How many errors there are, and how many errors and warnings together."""
    return (finding.errors, finding.errors + finding.warnings) if finding else (0, 0)


def rank(change: BaselineChange) -> tuple[object, ...]:
    """The order in which changes are read: worse first, the largest excess over its tolerance first."""
    size = abs(abs(change.value or 0.0) - abs(change.baseline or 0.0))
    by_how_much = size / change.tolerance if change.tolerance else math.inf if size else 0.0
    where = (change.span, change.site or "", change.position or "", change.subject)
    return _ORDER.index(change.change), -by_how_much, where
