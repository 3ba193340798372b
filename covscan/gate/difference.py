"""Two reports side by side: what differs beyond what another sample of the data would change."""

from collections.abc import Iterable, Iterator

from covscan.config.policy import Tolerances
from covscan.gate.baseline_match import Sides, named, obstacles, remarks
from covscan.gate.baseline_tolerance import apart, tolerance
from covscan.gate.baseline_types import Baseline, KnownValue, ValueKey
from covscan.gate.baseline_values import baseline_of
from covscan.report.difference import (
    FindingDifference,
    ReportDiff,
    ReportFacts,
    SuggestionDifference,
    ValueDifference,
)
from covscan.report.types import Finding, Report, Suggestion

_EVERYTHING = Tolerances(measures=["*"], statistics=["*"])
_SIDES = Sides("in a", "in b")
_GATE_CODES = "COV9"


def difference_of(a: Report, b: Report, source_a: str, source_b: str) -> ReportDiff:
    """Compare the last checkpoints and the whole shifts of two reports, their findings and suggestions.

    Values stand side by side wherever both reports have the site, whatever differs in how they were measured; that is
    said in ``reasons``. What counts as a difference is the tolerance of a baseline without a given one, in either
    direction and with regard to the sign.
    """
    first, second = baseline_of(a, _EVERYTHING), baseline_of(b, _EVERYTHING)
    values = list(_values(first, second))
    order: dict[tuple[str, str], tuple[int, str]] = {
        (site.site, site.position): (site.depth, site.site) for report in (b, a) for site in report.sites
    }
    values.sort(key=lambda pair: order[pair[1].site, pair[1].position])
    return ReportDiff(
        a=_facts(a, source_a),
        b=_facts(b, source_b),
        reasons=obstacles(first, second, _SIDES),
        remarks=list(remarks(first, second, _SIDES)),
        statistics=[value for span, value in values if span == "last"],
        shifts=[value for span, value in values if span == "first-to-last"],
        findings=list(_findings(a.findings, b.findings)),
        suggestions=list(_suggestions(a.suggestions, b.suggestions)),
        only_a=_only(first, second),
        only_b=_only(second, first),
    )


def _facts(report: Report, source: str) -> ReportFacts:
    return ReportFacts(
        source=source,
        model=report.model.description,
        engine=report.model.engine,
        checkpoints=len(report.checkpoints),
        first=report.checkpoints[0].id if report.checkpoints else None,
        last=report.checkpoints[-1].id if report.checkpoints else None,
        samples=report.data.samples,
    )


def _values(a: Baseline, b: Baseline) -> Iterator[tuple[str, ValueDifference]]:
    """Span and values at the sites that both have; steps are left out, since series are cut in many ways."""
    first, second = ({value.key: value for value in each.values if value.span != "step-to-step"} for each in (a, b))
    shared = {site.key for site in a.sites} & {site.key for site in b.sites}
    compared = len(first.keys() & second.keys())
    for key in dict.fromkeys((*first, *second)):
        if key[1:3] in shared:
            yield key[0], _value(key, first.get(key), second.get(key), compared)


def _value(key: ValueKey, a: KnownValue | None, b: KnownValue | None, compared: int) -> ValueDifference:
    borne = differs = None
    if a is not None and b is not None:
        borne = tolerance(a, b, Tolerances(), compared)
        if a.value == b.value:
            differs = False
        elif borne is not None:
            differs = apart(a.value, b.value, borne)
    return ValueDifference(
        site=key[1],
        position=key[2],
        subject=key[3],
        a=None if a is None else a.value,
        b=None if b is None else b.value,
        tolerance=borne,
        differs=differs,
    )


def _findings(a: Iterable[Finding], b: Iterable[Finding]) -> Iterator[FindingDifference]:
    first, second = _grouped(a), _grouped(b)
    for key in sorted(first.keys() | second.keys(), key=lambda key: (key[0], key[1] or "")):
        before, after = first.get(key, []), second.get(key, [])
        if len(before) != len(after):
            shown = max(before, after, key=len)[0]
            yield FindingDifference(
                code=shown.code,
                name=shown.name,
                severity=shown.severity,
                site=shown.site,
                a=len(before),
                b=len(after),
                message=shown.message,
            )


def _grouped(findings: Iterable[Finding]) -> dict[tuple[str, str | None, str], list[Finding]]:
    groups: dict[tuple[str, str | None, str], list[Finding]] = {}
    for finding in findings:
        if not finding.code.startswith(_GATE_CODES):
            groups.setdefault((finding.code, finding.site, finding.severity), []).append(finding)
    return groups


def _suggestions(a: Iterable[Suggestion], b: Iterable[Suggestion]) -> Iterator[SuggestionDifference]:
    first = {(each.site, each.position, each.norm): each for each in a}
    second = {(each.site, each.position, each.norm): each for each in b}
    for key in dict.fromkeys((*first, *second)):
        before, after = first.get(key), second.get(key)
        if before is None or after is None or (before.rank, before.verdict) != (after.rank, after.verdict):
            yield SuggestionDifference(
                site=key[0],
                position=key[1],
                norm=key[2],
                rank_a=None if before is None else before.rank,
                rank_b=None if after is None else after.rank,
                score_a=None if before is None else before.score,
                score_b=None if after is None else after.score,
                verdict_a=None if before is None else before.verdict,
                verdict_b=None if after is None else after.verdict,
            )


def _only(one: Baseline, other: Baseline) -> list[str]:
    there = {site.key for site in other.sites}
    return [named(site) for site in one.sites if site.key not in there]
