"""What a report concludes from the numbers of one site: findings, candidates, suggestions, budgets."""

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from statistics import fmean
from typing import Any

from covscan.catalog import page
from covscan.catalog.pages import ALL
from covscan.explain.arithmetic import ROUNDING, computed, exact
from covscan.explain.tensors import Key, names, tensors
from covscan.report.explanation import Check, Citation, Value
from covscan.report.training import Gain
from covscan.report.types import Candidate, Finding, Report, Site, Suggestion

MATERIAL_GAIN = 0.02
"""From which gain on a place is worth a suggestion; a test compares it with what the trainings use."""
SCORING = (
    "Half the rank of its depth and half the mean of the other ranks, each the share of the network's places that "
    "are lower. scale is |ln channel_scale| and distribution shift the jensen_shannon from the first to the last "
    "checkpoint, both of the tensor itself; the others are statistics of what the next layer reads. Values are those "
    "of the first checkpoint where that is before training, else ranks at the first and the last are averaged."
)
TRIED = (
    "Recommended: even the lower end of the 90 % interval of the gain is above {least}, and constants do not give it. "
    "Worth testing: the gain is above {least}. Would likely harm: even the upper end is a loss of more than {least}. "
    "The score is one half and half of the measured gain, moved a little by what cheaper evidence expected."
).format(least=f"{MATERIAL_GAIN:.0%}")
_WHERE = {"after": "output", "before": "input"}
_ENDS = ("value", "noise", "low", "high")
_SECTION = re.compile(r"## What it measures\n(.*?)(?=\n## |\Z)", re.DOTALL)
_SEVERITY = re.compile(r"^Severity: .*?(?=\n\n|\Z)", re.DOTALL | re.MULTILINE)


def citations(report: Report, site: Site, values: Sequence[Value]) -> list[Citation]:
    """Everything in the report that is about this tensor, with the numbers of it that are cited."""
    measured = tensors(report)
    own = names(measured, (site.site, site.position))
    return [
        *(made for finding in report.findings for made in _finding(finding, own, values)),
        *(_candidate(report, candidate, rank, values) for rank, candidate in _candidates(report, measured, own)),
        *(_suggestion(each, values) for each in report.suggestions if _place(measured, each) & own),
        *_gate(report, own),
    ]


def cited_by(value: Value, made: Sequence[Citation]) -> list[str]:
    """What rests on one number."""
    named = f"{_named(value)} "
    return list(dict.fromkeys(each.what for each in made if any(text.startswith(named) for text in each.rests_on)))


def _named(value: Value) -> str:
    since = f"{value.from_checkpoint} to " if value.from_checkpoint is not None else ""
    return f"{value.name} [{since}{value.checkpoint}]"


def _finding(finding: Finding, own: Set[Key], values: Sequence[Value]) -> Iterator[Citation]:
    here = finding.site is not None and any(
        finding.site == site and finding.position in {None, position} for site, position in own
    )
    numbers = list(_numbers(finding.evidence, own, here=here))
    if not here and not numbers:
        return
    rule = ""
    if finding.code in ALL:
        body = page(finding.code).body
        parts = [found.group(0) for found in (_SEVERITY.search(body),) if found]
        parts += [found.group(1) for found in (_SECTION.search(body),) if found]
        rule = " ".join(" ".join(parts).split())
    where = "" if here else f", mostly about {finding.site}" if finding.site else ""
    yield Citation(
        what=f"{finding.code} {finding.name}{where}",
        message=finding.message,
        rests_on=_matched(numbers, values, finding.checkpoint, finding.evidence.get("measure")),
        rule=rule,
    )


def _numbers(evidence: Any, own: Set[Key], *, here: bool, path: str = "") -> Iterator[tuple[str, float]]:
    """Numbers of a finding's evidence with the names they have there; of a table by site this tensor's alone."""
    if isinstance(evidence, Mapping):
        mine = {text for site, position in own for text in (f"{site} ({position})", site)}
        by_site = path != "" and bool(evidence.keys() & mine)
        for name, each in evidence.items():
            if by_site and name in mine:
                yield from _numbers(each, own, here=True, path=path)
            elif not path or here:
                yield from _numbers(each, own, here=here and not _is_table(each, path), path=str(name))
    elif here and isinstance(evidence, int | float) and not isinstance(evidence, bool):
        yield path, float(evidence)


def _is_table(each: Any, path: str) -> bool:
    """Whether something at the top of the evidence is a table by site or layer, of which only some rows are meant."""
    return not path and isinstance(each, Mapping)


def _matched(
    numbers: Sequence[tuple[str, float]], values: Sequence[Value], checkpoint: str | None, measure: Any
) -> list[str]:
    """The numbers of the site that the evidence repeats, as ``name [checkpoint] = value``."""
    found: dict[str, None] = {}
    for key, number in numbers:
        same = [
            (value, end)
            for value in values
            if checkpoint in {None, value.checkpoint} and measure in {None, value.name}
            for end in _ENDS
            if _equal(getattr(value, end), number) and (_is_telling(number) or key in {value.name, end})
        ]
        for value, end in same[:1]:
            found[f"{_named(value)} {'' if end == 'value' else end + ' '}= {exact(number)}"] = None
    return list(found)


def _equal(mine: float | None, other: float) -> bool:
    return mine is not None and abs(mine - other) <= 2 * ROUNDING * abs(other)


def _is_telling(number: float) -> bool:
    """Whether two equal numbers are hardly equal by chance: counts and shares of nothing or all may be."""
    return number != round(number) and len(f"{abs(number):.6g}".strip("0.").replace(".", "")) > 2


def _place(measured: Mapping[Key, Key], each: Candidate | Suggestion) -> set[Key]:
    """The tensor that would be normalized, under the name that it was measured by, and an attention's logits."""
    key = (each.site, _WHERE[each.position])
    return {measured.get(key, key), (each.site, "logits" if each.norm == "QKNorm" else "")}


def _candidates(report: Report, measured: Mapping[Key, Key], own: Set[Key]) -> list[tuple[int, Candidate]]:
    best = sorted(report.candidates, key=lambda candidate: -candidate.score)
    return [(rank, each) for rank, each in enumerate(best, 1) if _place(measured, each) & own]


def _candidate(report: Report, candidate: Candidate, rank: int, values: Sequence[Value]) -> Citation:
    said = [f"score {exact(candidate.score)}, from {candidate.tier} evidence"]
    said += [f"verdict {candidate.verdict}"] if candidate.verdict else []
    gains = (("gain", candidate.gain), ("at your rate", candidate.gain_at_rate), ("after one step", candidate.one_step))
    said += [f"{name} {_gain(gain)}" for name, gain in gains if gain is not None]
    ranks = [f"rank of {name} = {exact(value)}" for name, value in candidate.evidence.items() if value is not None]
    return Citation(
        what=f"candidate {rank} of {len(report.candidates)}: {candidate.norm} {candidate.position} {candidate.site}",
        message="; ".join(said),
        rests_on=[*ranks, *_signals(report, values)],
        rule=SCORING if candidate.tier == "forward" else f"{TRIED} {SCORING}",
        checks=list(_score(candidate)),
    )


def _signals(report: Report, values: Sequence[Value]) -> Iterator[str]:
    """Numbers of the tensor itself that ranks are made of, at the ends of the series."""
    ends = {report.checkpoints[0].id, report.checkpoints[-1].id}
    for value in values:
        if value.value is None or value.checkpoint not in ends:
            continue
        if value.kind == "statistic" and value.name == "channel_scale":
            yield f"{_named(value)} = {exact(value.value)}"
        if value.name == "jensen_shannon" and value.from_checkpoint in ends:
            yield f"{_named(value)} = {exact(value.value)}"


def _score(candidate: Candidate) -> Iterator[Check]:
    """The score of forward evidence from its ranks."""
    ranks = {name: rank for name, rank in candidate.evidence.items() if rank is not None}
    if candidate.tier != "forward" or "depth" not in ranks or len(ranks) < 2 or candidate.score == 0:
        return
    others = [rank for name, rank in ranks.items() if name != "depth"]
    parts = {"depth": ranks["depth"], "others": fmean(others)}
    formula = "(rank of depth + mean of the other ranks) / 2"
    numbers = "({depth} + {others}) / 2"
    yield computed(formula, numbers, lambda depth, others: (depth + others) / 2, parts, candidate.score)


def _suggestion(suggestion: Suggestion, values: Sequence[Value]) -> Citation:
    said = [suggestion.reason, f"Confidence {suggestion.confidence}."]
    gains = {
        "gain": suggestion.gain,
        "at your rate": suggestion.gain_at_rate,
        "constants": suggestion.gain_of_fixed_affine,
    }
    return Citation(
        what=f"suggestion {suggestion.rank}: {suggestion.norm} {suggestion.position} {suggestion.site}",
        message=" ".join(said),
        rests_on=[f"{name} {_gain(gain)}" for name, gain in gains.items() if gain is not None],
        rule=TRIED
        if suggestion.verdict
        else "Candidates within 0.1 of the best, in a network where a sign says that "
        "something is wrong; forward evidence alone is never more than low confidence.",
    )


def _gain(gain: Gain) -> str:
    """A share of the loss that is gained, with its interval."""
    interval = "" if gain.low is None or gain.high is None else f" [{exact(gain.low)}, {exact(gain.high)}]"
    return f"= {exact(gain.value)}{interval}"


def _gate(report: Report, own: Set[Key]) -> Iterator[Citation]:
    """Budgets that this site decided, and values that grew beyond the baseline."""
    if report.gate is None:
        return
    for budget in report.gate.budgets:
        if budget.value is not None and (budget.site or "", budget.position or "") in own:
            limits = [f"at most {exact(budget.max)}"] if budget.max is not None else []
            limits += [f"at least {exact(budget.min)}"] if budget.min is not None else []
            since = f"{budget.from_checkpoint} to " if budget.from_checkpoint else ""
            yield Citation(
                what=f"budget {budget.budget}",
                message=budget.message,
                rests_on=[f"{budget.subject} [{since}{budget.checkpoint}] = {exact(budget.value)}"],
                rule=f"{budget.over} of {budget.sites} sites, {' and '.join(limits)}; {budget.outcome}",
            )
    for grown in report.gate.baseline.regressions if report.gate.baseline is not None else ():
        if (grown.site or "", grown.position or "") in own:
            yield Citation(
                what=f"regression of {grown.subject}, {grown.span}",
                message=f"{exact(grown.value)} now, {exact(grown.baseline)} in the baseline",
                rests_on=[f"{grown.subject} = {exact(grown.value)}"],
                rule=f"more than the baseline by over {exact(grown.tolerance)}",
            )
