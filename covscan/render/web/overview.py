"""The top of the page: the verdict, what moved, what was seen, and what to do first."""

from collections.abc import Iterator

from covscan.catalog import GATE_RULES
from covscan.render.content import coverage, headline, next_steps, shifts, suggestions
from covscan.render.content.findings import RANK, count
from covscan.render.content.gains import change
from covscan.render.content.gate import VERDICTS
from covscan.render.look import Look
from covscan.render.web.markup import Writer, escape
from covscan.report.types import Report

SHOWN_REASONS = 2
Card = tuple[str, str, str, str]
"""Heading, tone, what it says in a word or two, and in a sentence."""


def overview(report: Report, writer: Writer) -> str:
    """Four cards and a list of steps."""
    cards = "\n".join(_card(*card) for card in _cards(report, writer))
    steps = "".join(f"<li>{step}</li>" for step in _steps(report, writer))
    return (
        '<section id="overview" aria-labelledby="overview-title">\n<h2 id="overview-title">Overview</h2>\n'
        f'<div class="cards">\n{cards}\n</div>\n<h3>What to do first</h3>\n<ol class="steps">{steps}</ol>\n</section>'
    )


def title(report: Report, look: Look) -> str:
    """What was opened, in plain text."""
    return headline.models(report, look)


def facts(report: Report, look: Look) -> str:
    """How it was run, the series and the samples."""
    return "".join(f"<li>{escape(part)}</li>" for part in headline.parts(report, look))


def _card(heading: str, tone: str, word: str, said: str) -> str:
    return f'<div class="card"><h3>{heading}</h3><p class="word {tone}">{word}</p><p>{said}</p></div>'


def _cards(report: Report, writer: Writer) -> Iterator[Card]:
    yield _verdict(report)
    yield _moved(report, writer)
    yield _advice(report, writer)
    seen = report.coverage
    gaps = len(seen.skipped) + len(seen.never_fired) + len(seen.non_finite)
    tone = "warning" if seen.non_finite or not seen.measured else "good" if not gaps else "plain"
    yield "Coverage", tone, f"{seen.measured:,} measured", escape(coverage.summary(seen)) + "."


def _verdict(report: Report) -> Card:
    found = [each for each in report.findings if each.code not in GATE_RULES]
    if report.gate is not None:
        gate = report.gate
        said = " ".join(escape(_sentence(reason)) for reason in gate.reasons[:SHOWN_REASONS])
        more = len(gate.reasons) - SHOWN_REASONS
        said += f' And <a href="#gate">{more} more</a>.' if more > 0 else ""
        return "Verdict", VERDICTS[gate.verdict], f"Gate {gate.verdict}", said
    said = "No gate was asked for: covscan check gives a verdict."
    counting = [each for each in found if each.suppressed is None]
    if not counting:
        return "Verdict", "good", "No finding", said
    gravest = min((each.severity for each in counting), key=RANK.__getitem__)
    return "Verdict", gravest, count(found), said


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _moved(report: Report, writer: Writer) -> Card:
    if len(report.checkpoints) < 2:
        return "Shift", "faint", "Not measured", "One checkpoint shows no shift: give two or more."
    said = shifts.remarks(report)
    moved = shifts.moved(report)
    text = " ".join(writer.line(each) for each in said[:1]) if said else "See the table of shifts."
    if moved is None:
        return "Shift", "faint", "Not measured", text
    some, all_ = moved
    tone = "good" if not some else "plain"
    return "Shift", tone, f"{some:,} of {all_:,} sites moved", text


def _advice(report: Report, writer: Writer) -> Card:
    if not report.suggestions:
        none = suggestions.none(report)
        return "Advice", "plain", "No suggestion", escape(none.removeprefix("None: ").capitalize())
    first = min(report.suggestions, key=lambda each: each.rank)
    said = f"{change(first.gain)} of the loss area in a short trial. " if first.gain is not None else ""
    basis = writer.line(suggestions.sentences(first)[1])
    return "Advice", "info", writer.line(suggestions.head(first)[1:]), said + basis


def _steps(report: Report, writer: Writer) -> Iterator[str]:
    if report.gate is not None and report.gate.verdict != "passed":
        why = "failed" if report.gate.verdict == "failed" else "cannot tell"
        yield f'See <a href="#gate">why the gate {why}</a>.'
    if report.suggestions:
        yield 'Try the first <a href="#suggestions">suggestion</a>; its patch is ready to paste.'
    for step in next_steps.lines(report):
        yield writer.line(step)
