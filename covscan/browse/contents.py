"""What the pages of the browser say: sections of the report's own renderings, cut to one thing each."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from msgspec import structs
from rich.text import Text

from covscan.catalog.pages import ALL, page
from covscan.explain import Request, explain
from covscan.render.as_page import page_rows
from covscan.render.as_text import console_for, rows
from covscan.render.blocks import Code, Column, Items, Line, Prose, Section, Span, Table, line
from covscan.render.content import (
    bands,
    coverage,
    explanation,
    explanation_values,
    findings,
    gate,
    headline,
    next_steps,
    shifts,
    suggestions,
)
from covscan.render.look import Look
from covscan.render.names import printable
from covscan.report.encode import to_json
from covscan.report.types import Finding, Report, Site, Suggestion

Draw = Callable[[Look], list[Text]]


@dataclass(frozen=True, slots=True)
class Contents:
    """A page: its title, how it is drawn at some width, code that can be copied from it, and pages behind digits."""

    title: str
    draw: Draw
    patch: str = ""
    links: tuple["Link", ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """A page that another leads to; it is made once somebody goes there."""

    name: str
    make: Callable[[], Contents]


def drawn(sections: Iterable[Section], look: Look) -> list[Text]:
    """Sections as rows of text; nothing in them is read as markup."""
    return list(rows(sections, console_for(io.StringIO(), look), look))


def overview(report: Report, look: Look) -> list[Text]:
    """What it is, the verdict, what moved, what to do first, what was not measured."""
    return drawn(_overview(report, look), look)


def _overview(report: Report, look: Look) -> Iterator[Section]:
    yield headline.section(report, look)
    if report.gate is not None:
        yield gate.section(report.gate, look)
    if len(report.checkpoints) > 1:
        moved = shifts.section(report, replace(look, verbose=False, terminal=True))
        yield Section(moved.title, tuple(block for block in moved.blocks if isinstance(block, Items)))
    yield _counted(report)
    yield suggestions.section(report, look)
    yield next_steps.section(report, look)
    yield coverage.section(report, look)
    if report.notes:
        yield coverage.notes(report)


def _counted(report: Report) -> Section:
    """How many findings there are, and the first to read."""
    first = findings.top(report.findings)
    title = findings.section(report, Look()).title
    if first is None:
        return Section(title, (Prose(line(Span("No rule fired.", "good"))),))
    said: Line = (Span(f"{first.code} ", "strong"), Span(printable(first.message)))
    return Section(title, (Items((said,)),))


def layer(report: Report, site: Site) -> Contents:
    """Everything about one tensor: bands, values with noise and intervals, findings, suggestions."""
    found = explain(report, Request(site.site, site.position), "the report")
    about = [each for each in report.findings if each.site == site.site and each.position in {None, site.position}]
    tried = [each for each in report.suggestions if each.site == site.site]

    def sections(look: Look) -> Iterator[Section]:
        yield _head(site)
        yield bands.section(report, site, look)
        if about:
            yield Section("Findings (press the digit for its page)", (Items(tuple(_numbered(about))),))
        if tried:
            yield suggestions.section(_with(report, tried), look)
        yield from explanation_values.sections(found, look)
        yield Section("How these numbers came about", (Prose(line("Press e.")),))

    links = [Link(str(number), partial(finding, report, each)) for number, each in enumerate(about[:9], 1)]
    links.append(Link("e", lambda: Contents(
        f"How the numbers of {site.site} came about",
        lambda look: drawn(explanation.document(found, look), look),
    )))  # fmt: skip
    patch = tried[0].patch if tried else ""
    return Contents(f"{site.site} ({site.position})", lambda look: drawn(sections(look), look), patch, tuple(links))


def _head(site: Site) -> Section:
    text: Line = (Span(printable(site.site), "name"), Span(f" {site.position}, {printable(site.type)}, "))
    size = " x ".join(printable(str(each)) for each in site.shape)
    text += (Span(f"{size}, channels on axis {site.channel_axis}"),)
    if site.normalized_by is not None:
        text += (Span(f", normalized by {printable(site.normalized_by)}"),)
    if site.source is not None:
        text += (Span(f", made in {printable(site.source.file)}:{site.source.line}", "faint"),)
    return Section("", (Prose(text),))


def _numbered(about: Sequence[Finding]) -> Iterator[Line]:
    for number, each in enumerate(about, 1):
        head = Span(f"{number if number < 10 else ' '} {each.severity} {each.code} ", each.severity)
        yield (head, Span(printable(each.message)))


def _with(report: Report, tried: Sequence[Suggestion]) -> Report:
    return structs.replace(report, suggestions=list(tried))


def finding(report: Report, found: Finding) -> Contents:
    """A finding with its evidence and the page of its rule."""
    site = _site_of(report, found)

    def draw(look: Look) -> list[Text]:
        sheet = console_for(io.StringIO(), look)
        head: Line = (Span(f"{found.severity} {found.code} ", found.severity), Span(printable(found.message)))
        blocks = [Prose(head)]
        if found.suppressed is not None:
            blocks.append(Prose(line(Span(f"Not counted: {printable(found.suppressed)}", "faint"))))
        if site is not None:
            blocks.append(Prose(line("Press l for the page of ", Span(printable(site.site), "name"), ".")))
        evidence = Section("Evidence", (Code(printable_rows(to_json(found.evidence)), language="text"),))
        above = list(rows([Section("", tuple(blocks)), evidence], sheet, look))
        if found.code not in ALL:
            return above
        rule = page(found.code)
        text = f"# {rule.code} {rule.name}\n\n{rule.summary}\n\n{rule.body.strip()}\n"
        return [*above, Text(), *page_rows(text, sheet)]

    links = () if site is None else (Link("l", lambda: layer(report, site)),)
    return Contents(f"{found.code} {found.name}", draw, links=links)


def printable_rows(text: str) -> str:
    """Text of several rows, each made safe to show."""
    return "\n".join(printable(row) for row in text.splitlines())


def _site_of(report: Report, found: Finding) -> Site | None:
    here = [site for site in report.sites if site.site == found.site]
    exact = [site for site in here if site.position == found.position]
    return next(iter(exact or here), None)


def suggestion(report: Report, found: Suggestion) -> Contents:
    """A suggestion with its patch and what it rests on."""

    def sections(look: Look) -> Iterator[Section]:
        yield suggestions.section(_with(report, [found]), look)
        yield Section("Evidence", (Code(printable_rows(to_json(found.evidence)), language="text"),))

    title = f"{found.rank}. {found.norm} {found.position} {found.site}"
    return Contents(title, lambda look: drawn(sections(look), look), found.patch)


KEYS = (
    ("1 2 3 4", "overview, layers, findings, suggestions"),
    ("up down pgup pgdn home end", "move"),
    ("enter", "open what is under the cursor; unfold a module"),
    ("escape", "back; clear a search"),
    ("/", "search layers: a part of the name, or a glob"),
    ("f", "only layers with findings, or all"),
    ("a", "also the layers that see another's tensor"),
    ("s", "sort by network order, shift, excess, findings, name"),
    ("left right", "fold the module that a layer lies in, unfold it"),
    ("c", "fold all modules, or unfold them"),
    ("y", "copy the patch of a suggestion"),
    ("e", "on a layer's page: how its numbers came about"),
    ("t", "dark, light, the terminal's own colours"),
    ("q", "quit"),
)


def help_page() -> Contents:
    """The keys."""
    table = Table(
        (Column("key"), Column("what it does", wraps=True)),
        tuple((line(Span(key, "code")), line(text)) for key, text in KEYS),
    )
    return Contents("Keys", lambda look: drawn([Section("Keys", (table,))], look))
