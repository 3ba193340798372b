"""Two reports side by side: what differs beyond noise, and what only one of them has."""

from collections.abc import Iterator, Mapping, Sequence

from covscan.render.blocks import Block, Column, Items, Line, Prose, Section, Span, Table, line, names
from covscan.render.content import places
from covscan.render.content.narrow import narrowed
from covscan.render.figures import compact, counted, percent
from covscan.render.look import Look
from covscan.render.names import printable
from covscan.report.difference import (
    FindingDifference,
    ReportDiff,
    ReportFacts,
    SuggestionDifference,
    ValueDifference,
)

STATISTICS = {
    "mean": "mean",
    "std": "std",
    "zero_share": "zero",
    "saturated_share": "saturated",
    "dead_channels": "dead",
    "nonfinite_share": "nan/inf",
}
MEASURES = {
    "gaussian_w2": "W2",
    "standardized_mean_difference": "mean",
    "absolute_log_variance_ratio": "variance",
    "excess_shift": "excess",
}
"""What the tables show of each, with its heading; JSON has all."""
SHARES = frozenset({"zero_share", "saturated_share", "dead_channels", "nonfinite_share"})
NAMES = 0.27
MOST_NAMES = 12


def sections(diff: ReportDiff, look: Look) -> Iterator[Section]:
    """The two reports, whether they were measured alike, and what differs."""
    yield Section("", (Prose(_headline(look)), Items((_facts("a", diff.a, look), _facts("b", diff.b, look)))))
    yield Section("Measured alike", tuple(_alike(diff)))
    for title, values, subjects in (
        ("Statistics at the last checkpoint", diff.statistics, STATISTICS),
        ("Shift from the first to the last checkpoint", diff.shifts, MEASURES),
    ):
        if values:
            yield Section(f"{title}: {_summary(values)}", tuple(_values(values, subjects, look)))
    if not diff.statistics and not diff.shifts:
        yield Section("Values", (Prose(line(Span("No site is in both reports.", "warning"))),))
    yield Section(f"Findings: {_count(len(diff.findings))}", tuple(_findings(diff.findings, look)))
    yield Section(f"Suggestions: {_count(len(diff.suggestions))}", tuple(_suggestions(diff.suggestions, look)))
    for name, sites in (("a", diff.only_a), ("b", diff.only_b)):
        if sites:
            shown = names([printable(site) for site in sites], MOST_NAMES if look.brief else None)
            yield Section(f"Only in {name}: {counted(len(sites), 'site')}", (Prose(shown),))


def _headline(look: Look) -> Line:
    return line(Span("covscan diff", "strong"), f" a {look.glyphs.arrow} b")


def _facts(name: str, facts: ReportFacts, look: Look) -> Line:
    gap = Span(f" {look.glyphs.dot} ", "faint")
    series = facts.last or "no checkpoint"
    if facts.checkpoints > 1:
        series = f"{facts.checkpoints} checkpoints, {facts.first} {look.glyphs.arrow} {facts.last}"
    return (
        *line(Span(name, "strong"), " ", Span(printable(facts.source), "name"), gap, printable(facts.model), gap),
        *line(printable(series), gap, counted(facts.samples, "sample")),
    )


def _alike(diff: ReportDiff) -> Iterator[Block]:
    if not diff.reasons:
        same = "Yes: the same engine, data and sampling, and every site that both have is the same tensor."
        yield Prose(line(Span(same, "good")))
    if diff.reasons or diff.remarks:
        said = [line(Span(printable(reason), "warning")) for reason in diff.reasons]
        yield Items((*said, *(line(printable(remark)) for remark in diff.remarks)))


def _count(found: int) -> str:
    return f"{found} changed" if found else "no change"


def _summary(values: Sequence[ValueDifference]) -> str:
    differing = sum(value.differs is True for value in values)
    return f"{differing} of {counted(len(values), 'value')} differ beyond noise"


def _values(values: Sequence[ValueDifference], shown: Mapping[str, str], look: Look) -> Iterator[Block]:
    """A row for each site, on a terminal for those alone where a shown value differs, and what else differs."""
    by_site: dict[tuple[str, str], dict[str, ValueDifference]] = {}
    for value in values:
        by_site.setdefault((value.site, value.position), {})[value.subject] = value
    rows = {
        site: found
        for site, found in by_site.items()
        if not look.brief or any(name in found and found[name].differs is not False for name in shown)
    }
    subjects = [name for name in shown if any(_is_told(found.get(name)) for found in rows.values())]
    if rows and subjects:
        yield from _table(rows, {name: shown[name] for name in subjects}, look)
    if len(rows) < len(by_site):
        alike = f"{counted(len(by_site) - len(rows), 'site')} without a difference (--verbose shows them)."
        yield Items((line(Span(alike, "faint")),))
    others = sorted({value.subject for value in values if value.differs and value.subject not in shown})
    if others:
        more = [name.replace("_", " ") for name in others]
        yield Items(((Span("Beyond noise as well (-f json has them): "), *names(more, None)),))


def _is_told(value: ValueDifference | None) -> bool:
    """Whether a column is worth its room: something in it is not 0 in both."""
    return value is not None and bool(value.a or value.b)


def _table(
    rows: Mapping[tuple[str, str], Mapping[str, ValueDifference]], shown: Mapping[str, str], look: Look
) -> Iterator[Block]:
    named = places.fitted([site for site, _ in rows], look, NAMES)
    columns = (Column("site"), Column("at"), *(Column(heading, "right") for heading in shown.values()))
    drawn = tuple(
        (line(named[site]), line(places.side(position)), *(_cell(found.get(name), look) for name in shown))
        for (site, position), found in rows.items()
    )
    yield from narrowed(Table(columns, drawn), look, tuple(shown.values())[:1:-1])
    legend = f"{look.glyphs.source}: further apart than another sample of the same data would be. One number: the same."
    if shown.keys() & MEASURES.keys():
        legend += " W2, mean and excess are in standard deviations of the site, variance is |ln| of the ratio."
    yield Prose(line(Span(legend, "faint")))


def _cell(value: ValueDifference | None, look: Look) -> Line:
    if value is None:
        return line()
    a, b = _written(value, value.a), _written(value, value.b)
    if a == b and not value.differs:
        return line(Span(a, "faint"), "  ")
    mark = f" {look.glyphs.source}" if value.differs else "  "
    return line(Span(f"{a} {look.glyphs.arrow} {b}{mark}", "large" if value.differs else "plain"))


def _written(value: ValueDifference, number: float | None) -> str:
    if number is None:
        return "n/a"
    return percent(number) if value.subject in SHARES else compact(number)


def _findings(found: Sequence[FindingDifference], look: Look) -> Iterator[Block]:
    if not found:
        return
    named = places.fitted([each.site for each in found if each.site], look, NAMES)
    columns = (Column("a"), Column("b"), Column(""), Column("code"), Column("site"), Column("finding", wraps=True))
    rows = tuple(
        (
            line(str(each.a)),
            line(str(each.b)),
            line(Span(each.severity, each.severity if each.b > each.a else "faint")),
            line(Span(each.code, "strong")),
            line(named[each.site] if each.site else Span("whole run", "faint")),
            line(printable(each.message)),
        )
        for each in found
    )
    yield Table(columns, rows)


def _suggestions(found: Sequence[SuggestionDifference], look: Look) -> Iterator[Block]:
    if not found:
        return
    named = places.fitted([each.site for each in found], look, NAMES)
    columns = (
        Column("site"),
        Column("where"),
        Column("normalization"),
        Column("rank"),
        Column("score"),
        Column("verdict", wraps=True),
    )
    rows = tuple(
        (
            line(named[each.site]),
            line(each.position),
            line(printable(each.norm)),
            line(_change(_rank(each.rank_a), _rank(each.rank_b), look)),
            line(_change(_score(each.score_a), _score(each.score_b), look)),
            line(_change(each.verdict_a or "none", each.verdict_b or "none", look)),
        )
        for each in found
    )
    yield Table(columns, rows)


def _rank(rank: int | None) -> str:
    return "none" if rank is None else str(rank)


def _score(score: float | None) -> str:
    return "none" if score is None else f"{score:.2f}"


def _change(a: str, b: str, look: Look) -> str:
    return a if a == b else f"{a} {look.glyphs.arrow} {b}"
