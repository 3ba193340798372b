"""Where a normalization is worth trying, and where one could go at all."""

from covscan.render.blocks import Block, Code, Column, Items, Line, Prose, Section, Span, Table, Tone, line
from covscan.render.content import places
from covscan.render.content.columns import kind
from covscan.render.content.gains import change
from covscan.render.content.narrow import narrowed
from covscan.render.figures import compact, percent
from covscan.render.look import Look
from covscan.render.names import printable
from covscan.report.types import Candidate, Report, Suggestion

TIERS = {
    "forward": "forward passes alone",
    "gradient": "gradients",
    "probe": "a one-step probe",
    "trial": "a short training trial",
}
TRAINED = "Changes of the loss with 90 % intervals: less is better. Each arm is taken at its best learning rate."
ELSEWHERE = "the best ones lie too far from it."
VERDICTS: dict[str, Tone] = {"recommended": "good", "would likely harm": "error", "worth testing": "info"}
DISPENSABLE = ("after one step", "at your rate", "normalization")
"""What a narrow terminal does without."""
SHOWN_CANDIDATES = 5
SHOWN_SUGGESTIONS = 5
NAMES = 0.27
CAUTION = "Signals are ranks in the network, 1 the strongest. It is worth an experiment, not a promise."


def section(report: Report, look: Look) -> Section:
    """Each suggestion with its reason, and the patch of the first; a sentence where there is none."""
    if not report.suggestions:
        return Section("Suggestions", (Prose(line(Span(none(report), "good"))),))
    ranked = sorted(report.suggestions, key=lambda suggestion: suggestion.rank)
    shown = ranked[:SHOWN_SUGGESTIONS] if look.brief else ranked
    blocks: list[Block] = [block for suggestion in shown for block in _blocks(suggestion)]
    if len(shown) < len(ranked):
        more = f"{look.glyphs.ellipsis} and {len(ranked) - len(shown)} more (--verbose shows them)"
        blocks.append(Prose(line(Span(more, "faint"))))
    first = ranked[0]
    if first.patch.strip():
        blocks += [Prose(line("To try the first:")), Code(first.patch)]
    return Section("Suggestions", tuple(blocks))


def none(report: Report) -> str:
    """Why there is no suggestion."""
    if report.coverage.measured == 0:
        return "None: nothing was measured."
    if report.trials is not None:
        how = "short trainings" if report.trials.tier == "trial" else "one-step probes"
        return f"None: in {how} no place for a normalization gained more than 2 % for sure. {_rest(report)}"
    if kind(report) != "checkpoints":
        return "None: advice is about training, of which this comparison shows nothing."
    if len(report.checkpoints) < 2:
        return "None: one checkpoint alone gives no reason to add a normalization."
    return "None: nothing measured here says that adding a normalization would help."


def _rest(report: Report) -> str:
    """What that means: nothing to gain, or not enough trainings to tell."""
    open_ = [candidate for candidate in report.candidates if candidate.verdict == "worth testing"]
    if not open_:
        return "This network needs none."
    best = open_[0]
    found = change(best.gain or best.one_step)
    return f"Not decided: {found} {best.position} {printable(best.site)}; --trial-steps N with a larger N tells more."


def _blocks(suggestion: Suggestion) -> tuple[Block, ...]:
    return (Prose(head(suggestion)), Items(sentences(suggestion)))


def head(suggestion: Suggestion) -> Line:
    """Its rank, what, and where."""
    return line(
        Span(f"{suggestion.rank}. ", "strong"),
        Span(printable(suggestion.norm), "strong"),
        f" {suggestion.position} ",
        Span(printable(suggestion.site), "name"),
    )


def sentences(suggestion: Suggestion) -> tuple[Line, ...]:
    """Why, and how sure."""
    sure = f"Confidence {suggestion.confidence}, resting on {TIERS[suggestion.tier]}"
    rival = f", next best here {printable(suggestion.runner_up)}" if suggestion.runner_up else ""
    if suggestion.stays_first:
        rival = f", first in {percent(suggestion.stays_first)} of redraws of the seeds{rival}"
    judged = f"{suggestion.verdict.capitalize()}. " if suggestion.verdict else ""
    basis = f"{judged}{sure}; score {compact(suggestion.score)}{rival}."
    return line(printable(suggestion.reason)), line(basis)


def candidates(report: Report, look: Look) -> Section:
    """The best places, suggested or not, with the signals that speak loudest for them."""
    best = sorted(report.candidates, key=lambda candidate: candidate.score, reverse=True)
    shown = best if look.verbose else best[:SHOWN_CANDIDATES]
    names = places.fitted([candidate.site for candidate in shown], look, NAMES)
    if report.trials is not None:
        return _tried(report, shown, best, names, look)
    columns = (
        Column("", "right"),
        Column("site"),
        Column("where"),
        Column("normalization"),
        Column("score", "right"),
        Column("strongest signals", wraps=True),
    )
    rows = tuple(_row(place, candidate, names) for place, candidate in enumerate(shown, 1))
    title = f"Candidates: best {len(shown)} of {len(best)}" if len(shown) < len(best) else "Candidates"
    caution = line(
        Span(
            CAUTION,
            "faint",
        )
    )
    return Section(title, (Table(columns, rows), Items((caution,))))


def _tried(
    report: Report, shown: list[Candidate], best: list[Candidate], names: dict[str, Span], look: Look
) -> Section:
    """The best places with what training there gave."""
    assert report.trials is not None
    trained, rate = report.trials.tier == "trial", report.trials.rate
    known = rate is not None and any(candidate.gain_at_rate is not None for candidate in best)
    columns = [Column("", "right"), Column("site"), Column("where"), Column("normalization"), Column("verdict")]
    columns += [Column("loss area", "right")] if trained else []
    columns += [Column("at your rate", "right")] if trained and known else []
    columns += [Column("after one step", "right")]
    rows = []
    for place, candidate in enumerate(shown, 1):
        cells = [
            line(str(place)),
            line(names[candidate.site]),
            line(candidate.position),
            line(printable(candidate.norm)),
            line(Span(candidate.verdict or "not tried", VERDICTS.get(candidate.verdict or "", "faint"))),
        ]
        cells += [line(change(candidate.gain))] if trained else []
        cells += [line(change(candidate.gain_at_rate))] if trained and known else []
        rows.append((*cells, line(change(candidate.one_step))))
    title = f"Candidates: best {len(shown)} of {len(best)}" if len(shown) < len(best) else "Candidates"
    table = narrowed(Table(tuple(columns), tuple(rows)), look, DISPENSABLE)
    said = [line(Span(TRAINED, "faint"))]
    if trained and rate is not None and not known:
        said.append(line(Span(f"No place was trained at your rate {rate:g}: {ELSEWHERE}", "faint")))
    return Section(title, (*table, Items(tuple(said))))


def _row(place: int, candidate: Candidate, names: dict[str, Span]) -> tuple[Line, ...]:
    known = [(name, rank) for name, rank in candidate.evidence.items() if rank is not None]
    loudest = sorted(known, key=lambda signal: signal[1], reverse=True)[:2]
    signals = ", ".join(f"{printable(name).replace('_', ' ')} {compact(rank)}" for name, rank in loudest)
    return (
        line(str(place)),
        line(names[candidate.site]),
        line(candidate.position),
        line(printable(candidate.norm)),
        line(Span(compact(candidate.score), "strong")),
        line(Span(signals, "faint")),
    )
