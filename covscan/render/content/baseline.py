"""A report against a baseline: what got worse, better, new or gone."""

from collections.abc import Iterator, Sequence

from covscan.render.blocks import Column, Items, Line, Prose, Section, Span, Table, Tone, line, names
from covscan.render.content import places
from covscan.render.figures import compact, counted
from covscan.render.look import Look
from covscan.render.names import printable
from covscan.report.baseline import BaselineChange, BaselineDiff, Change

SPANS = {"first-to-last": "whole", "step-to-step": "step", "last": "end", "findings": "count"}
TITLES: dict[Change, tuple[str, Tone]] = {
    "worse": ("Worse", "large"),
    "unmeasured": ("Not comparable", "warning"),
    "better": ("Better", "good"),
    "new": ("New at known sites", "plain"),
}
REASONS = {"absent": "No baseline", "incompatible": "Not compared, or not fully", "compared": "Remarks"}
_LEGEND = Prose(
    line(
        Span(
            "whole: first checkpoint to last. step: the largest step between neighbours. end: a statistic at the "
            "last checkpoint. count: findings.",
            "faint",
        )
    )
)
MOST_ROWS = 20
"""What a terminal shows of one kind of change."""
NAMES = 0.27


def sections(diff: BaselineDiff, look: Look) -> Iterator[Section]:
    """The outcome in a line, its reasons, and a table for each kind of change."""
    result = diff.result
    yield Section("", (Prose(_headline(diff, look)),))
    if result.reasons:
        said = tuple(line(printable(reason)) for reason in result.reasons)
        yield Section(REASONS[result.status], (Items(said),))
    yield from _tables(diff.changes, look)
    for title, sites in (("New sites", result.added), ("Sites that are gone", result.missing)):
        if sites:
            shown = names([printable(site) for site in sites], MOST_ROWS if look.brief else None)
            yield Section(title, (Prose(shown),))
    if result.status == "compared" and not diff.changes:
        yield Section("Changes", (Prose(line(Span("None: no value is beyond its tolerance.", "good"))),))


def update_sections(
    path: str, done: Sequence[str], refused: Sequence[BaselineChange], unknown: Sequence[str], look: Look
) -> Iterator[Section]:
    """What became of the file, and what was not taken."""
    said = "; ".join(done) if done else "nothing to lower or to drop"
    yield Section("", (Prose(line(Span(printable(path), "name"), f": {printable(said)}.")),))
    if unknown:
        shown = names([printable(site) for site in unknown], MOST_ROWS if look.brief else None)
        yield Section("New sites, not taken without --accept", (Prose(shown),))
    if refused:
        yield Section("Worse, new or not measured, not taken without --accept", (_table(refused, look), _LEGEND))


def _headline(diff: BaselineDiff, look: Look) -> Line:
    result = diff.result
    gap = Span(f" {look.glyphs.dot} ", "faint")
    head = line(Span("covscan baseline diff", "strong"), " ", Span(printable(result.source), "name"), gap)
    worse = len(result.regressions)
    return (
        *head,
        Span(f"{counted(result.compared, 'value')} compared"),
        gap,
        Span(f"{worse} worse", "large" if worse else "plain"),
        gap,
        Span(f"{result.improved} better"),
    )


def _tables(changes: Sequence[BaselineChange], look: Look) -> Iterator[Section]:
    by_kind = {kind: [each for each in changes if each.change == kind] for kind in TITLES}
    there = [kind for kind, found in by_kind.items() if found]
    for kind in there:
        legend = (_LEGEND,) if kind == there[-1] else ()
        found = by_kind[kind]
        yield Section(f"{TITLES[kind][0]}: {len(found)}", (_table(found, look), *legend))


def _table(changes: Sequence[BaselineChange], look: Look) -> Table:
    shown = changes[:MOST_ROWS] if look.brief and len(changes) > MOST_ROWS + 1 else changes
    named = places.fitted([each.site for each in shown if each.site], look, NAMES)
    columns = (
        Column("site"),
        Column("at"),
        Column("what", wraps=True),
        Column("span"),
        Column("baseline", "right"),
        Column("now", "right"),
        Column("tolerance", "right"),
    )
    rows: list[tuple[Line, ...]] = [_row(each, named) for each in shown]
    if len(shown) < len(changes):
        left = len(changes) - len(shown)
        rows.append((line(Span(f"{look.glyphs.ellipsis} and {left} more (--verbose shows them)", "faint")),))
    return Table(columns, tuple(rows))


def _row(change: BaselineChange, named: dict[str, Span]) -> tuple[Line, ...]:
    return (
        line(named[change.site] if change.site else Span("whole run", "faint")),
        line(places.side(change.position) if change.position else ""),
        line(printable(change.subject.replace("_", " "))),
        line(Span(SPANS[change.span], "faint")),
        line(_number(change, change.baseline)),
        line(Span(_number(change, change.value), TITLES[change.change][1])),
        line(Span(_number(change, change.tolerance), "faint")),
    )


def _number(change: BaselineChange, value: float | None) -> str:
    if value is None:
        return "n/a"
    return f"{value:.0f}" if change.span == "findings" else compact(value)
