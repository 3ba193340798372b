"""Findings and suggestions, each with its evidence and with the site that it is about."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from covscan.catalog import GATE_RULES
from covscan.render.content import suggestions
from covscan.render.content.findings import RANK, count, ordered
from covscan.render.content.gains import change
from covscan.render.figures import compact
from covscan.render.look import Look
from covscan.render.web.anchors import anchor
from covscan.render.web.markup import LONG_TABLE, Writer, code, escape, framed, heading
from covscan.report.types import Finding, Report, Suggestion

DEEPEST = 2
GAINS = {
    "gain": "Loss area, each arm at its best rate",
    "gain_at_rate": "Loss area at your rate",
    "gain_of_fixed_affine": "Loss area with constants alone",
}


def findings(report: Report, look: Look, links: Mapping[tuple[str, str], str]) -> str:
    """A row for each finding, the gravest first; its evidence unfolds."""
    found = ordered([each for each in report.findings if each.code not in GATE_RULES])
    if not found:
        return framed("findings", "Findings", '<p class="good">None: no rule fired.</p>')
    head = "".join(map(heading, ("severity", "code", "site", "finding")))
    body = "\n".join(_finding(each, look, links) for each in found)
    table = f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
    if len(found) > LONG_TABLE:
        table = f"<details open><summary>{len(found):,} findings</summary>\n{table}\n</details>"
    title = f"Findings: {count(found)}"
    return framed(
        "findings", title, f'<div class="scroll" tabindex="0" role="group" aria-label="Findings">{table}</div>'
    )


def _finding(finding: Finding, look: Look, links: Mapping[tuple[str, str], str]) -> str:
    sign = look.glyphs.severities[RANK[finding.severity]]
    where = "whole run"
    target = links.get((finding.site or "", finding.position or "output")) or links.get((finding.site or "", ""))
    if finding.site is not None:
        name = f"<code>{escape(finding.site)}</code>"
        where = f'<a href="#{escape(target)}">{name}</a>' if target else name
    said = escape(finding.message)
    if finding.suppressed is not None:
        said = f"not counted ({escape(finding.suppressed)}): {said}"
    about = f' data-layer="{escape(target)}"' if target else ""
    kind = "faint" if finding.suppressed is not None else finding.severity
    return (
        f'<tr class="finding"{about}><td class="{kind}">{sign} {finding.severity}</td>'
        f"<td><strong>{escape(finding.code)}</strong> <span class=faint>{escape(finding.name)}</span></td>"
        f"<td>{where}</td><td>{said}{_evidence(finding.evidence)}</td></tr>"
    )


def _evidence(evidence: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{_value(value)}</dd>" for name, value in evidence.items()
    )
    return f"<details><summary>Evidence</summary><dl>{rows}</dl></details>" if rows else ""


def _value(value: Any, depth: int = 0) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "n/a"}[value]
    if isinstance(value, float):
        return compact(value)
    if isinstance(value, Mapping):
        parts = [f"{escape(str(name))}: {_value(each, depth + 1)}" for name, each in value.items()]
        return ("; " if depth < DEEPEST else ", ").join(parts)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_value(each, depth + 1) for each in value)
    return escape(str(value))


def advice(report: Report, writer: Writer, links: Mapping[tuple[str, str], str]) -> str:
    """Each suggestion with its reason, what it rests on, the intervals of what was tried, and the patch."""
    if not report.suggestions:
        return framed("suggestions", "Suggestions", f'<p class="good">{escape(suggestions.none(report))}</p>')
    ranked = sorted(report.suggestions, key=lambda each: each.rank)
    drawn = "\n".join(_suggestion(each, writer, links) for each in ranked)
    return framed("suggestions", "Suggestions", drawn)


def _suggestion(each: Suggestion, writer: Writer, links: Mapping[tuple[str, str], str]) -> str:
    target = links.get((each.site, ""))
    about = f' data-layer="{escape(target)}"' if target else ""
    points = "".join(f"<li>{writer.line(line)}</li>" for line in suggestions.sentences(each))
    patch = code(each.patch) if each.patch.strip() else ""
    return (
        f'<article class="suggestion"{about}><h3>{writer.line(suggestions.head(each))}</h3>\n<ul>{points}</ul>\n'
        f"{''.join(_tried(each))}{_evidence(each.evidence)}\n{patch}</article>"
    )


def _tried(each: Suggestion) -> Iterator[str]:
    """What a trial gave, with its intervals."""
    known = [(title, getattr(each, name)) for name, title in GAINS.items() if getattr(each, name) is not None]
    if known:
        rows = "".join(f"<dt>{title}</dt><dd>{change(gain)}</dd>" for title, gain in known)
        said = "Changes of the loss with 90 % intervals: less is better."
        yield f'<dl class="gains">{rows}</dl><p class="faint">{said}</p>'
    if each.exchangeable_with:
        others = ", ".join(f"<code>{escape(name)}</code>" for name in each.exchangeable_with)
        yield f"<p>Cannot be told apart from: {others}</p>"


def links_of(report: Report) -> dict[tuple[str, str], str]:
    """The fragment of each site by name and position, and by name alone (``""``) that of its output, else of any."""
    found: dict[tuple[str, str], str] = {}
    for site in sorted(report.sites, key=lambda each: each.position != "output"):
        shown = site if site.same_as is None else site.same_as
        target = anchor(shown.site, shown.position)
        found[site.site, site.position] = target
        found.setdefault((site.site, ""), target)
    return found
