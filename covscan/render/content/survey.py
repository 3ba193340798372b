"""What can be tapped in a model, before anything is measured."""

from collections.abc import Iterator, Sequence

from covscan.render.blocks import Block, Column, Items, Line, Prose, Section, Span, Table, line
from covscan.render.content import coverage, places
from covscan.render.look import Look
from covscan.render.names import printable
from covscan.report.types import Coverage, Model, Site

NAMES = 0.28


def document(
    model: Model, sites: Sequence[Site], seen: Coverage, notes: Sequence[str], look: Look
) -> Iterator[Section]:
    """The model in a line, a table of its sites, and what cannot be tapped."""
    parameters = "" if model.parameters is None else f", {model.parameters:,} parameters"
    head = line(Span(printable(model.description), "name"), f" ({model.engine}{parameters})")
    yield Section("", (Prose(head),))
    ordered = sorted(sites, key=lambda site: site.depth)
    named = places.fitted([site.site for site in ordered], look, NAMES)
    rows = tuple(_row(site, named[site.site], look) for site in ordered)
    block: Block = Table(_columns(), rows) if rows else Prose(line("Nothing can be tapped."))
    yield Section(f"Sites: {len(ordered)}", (block,))
    remarks = (*coverage.lines(seen, look), *(line(printable(note)) for note in notes))
    yield Section(f"Coverage: {coverage.summary(seen)}", (Items(remarks),))


def _columns() -> tuple[Column, ...]:
    return (
        Column("site"),
        Column("at"),
        Column("type"),
        Column("shape"),
        Column("axis", "right"),
        Column("ch", "right"),
        Column("remarks", wraps=True),
    )


def _row(site: Site, named: Span, look: Look) -> tuple[Line, ...]:
    times = "x" if not look.unicode else "×"
    return (
        line(named),
        line(places.side(site.position)),
        line(printable(site.type)),
        line(times.join(printable(str(size)) for size in site.shape)),
        line(str(site.channel_axis)),
        line(str(site.channels)),
        _remarks(site),
    )


def _remarks(site: Site) -> Line:
    """Whose tensor it is; what normalizes that tensor stands at the site it is shared with."""
    if site.same_as is not None:
        return (Span("same as "), *places.place(site.same_as.site, site.same_as.position))
    if site.normalized_by is not None:
        return (Span("normalized by "), Span(printable(site.normalized_by), "name"))
    return ()
