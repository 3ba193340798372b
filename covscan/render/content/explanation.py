"""An explanation of one site's numbers as sections: origin, values, how they are made, what was computed again."""

from collections.abc import Iterator, Sequence

from covscan.render.blocks import Block, Column, Items, Line, Prose, Section, Span, Table, line
from covscan.render.content import explanation_values as values
from covscan.render.content import places
from covscan.render.figures import compact, counted
from covscan.render.look import Look
from covscan.render.names import printable
from covscan.report.explanation import Citation, Definition, Explanation
from covscan.report.explanation import Column as Measured

SHORT_HASH = 12


def document(found: Explanation, look: Look) -> Iterator[Section]:
    """Everything there is to say, the verdict on the numbers first."""
    yield _head(found, look)
    yield _origin(found)
    yield _checkpoints(found, look)
    yield from values.sections(found, look)
    yield from _definitions(found, "statistic", "How the statistics are made")
    yield from _definitions(found, "measure", "How the measures are made")
    yield from _definitions(found, "gradient", "How the gradients are made")
    checked = values.computed_again(found, look)
    if checked is not None:
        yield checked
    yield _citations(found)
    yield Section("What noise and intervals mean", (Items(tuple(line(text) for text in found.certainty)),), detail=True)


def _head(found: Explanation, look: Look) -> Section:
    gap = Span(f" {look.glyphs.dot} ", "faint")
    named = (Span("covscan explain", "strong"), Span(" "), *places.place(found.site, found.position))
    kind = f"{printable(found.type)}, {counted(found.channels, 'channel')}"
    head = (*named, gap, Span(kind), gap, Span(printable(found.report)))
    return Section("", (Prose(head), *_verdict(found)))


def _verdict(found: Explanation) -> Iterator[Block]:
    """Whether what was computed again came out as the report says."""
    if found.disagreeing:
        count = counted(len(found.disagreeing), "number does", "numbers do")
        said = f"{count} not follow from the others: the report was changed, or covscan has a bug."
        yield Prose(line(Span(said, "error")))
        yield Items(tuple(line(Span(printable(text), "error")) for text in found.disagreeing))
    elif found.checked:
        count = counted(found.checked, "number was", "numbers were")
        said = f"{count} computed again from others of the report: all agree."
        yield Prose(line(Span(said, "good")))
    else:
        yield Prose(line("The report holds nothing that these numbers could be computed again from."))


def _origin(found: Explanation) -> Section:
    rows: list[tuple[str, Line]] = [
        ("tensor", _tensor(found)),
        *(("", line(text)) for text in found.reading),
        ("measured by", line(f"covscan {printable(found.version)}: {printable(found.command)}")),
    ]
    seen: list[tuple[str, str]] = []
    for column in found.columns:
        for pair in _run(column):
            if pair not in seen:
                seen.append(pair)
    rows += [(name, line(text)) for name, text in seen]
    table = Table((Column("what"), Column("found", wraps=True)), tuple((line(name), text) for name, text in rows))
    return Section("Where it comes from", (table,))


def _tensor(found: Explanation) -> Line:
    size = " x ".join(str(each) for each in found.shape)
    text: Line = (Span(f"what {printable(found.type)} "), Span(printable(found.site), "name"))
    verb = {"input": "reads", "output": "gives", "logits": "scores its keys by"}[found.position]
    text += (Span(f" {verb}: {size}, channels on axis {found.channel_axis}"),)
    if found.same_as is not None:
        text += (Span("; the same tensor as "), *places.place(found.same_as.site, found.same_as.position))
    if found.normalized_by is not None:
        text += (Span("; normalized by "), Span(printable(found.normalized_by), "name"))
    if found.source is not None:
        text += (Span(f"; made in {printable(found.source.file)}:{found.source.line}"),)
    if found.others:
        text += (Span(f"; it has an {' and an '.join(found.others)} too (--position)"),)
    return text


def _run(column: Measured) -> Iterator[tuple[str, str]]:
    model, data = column.model, column.data
    yield "model", f"{printable(model.description)} ({model.engine} on {printable(model.device)})"
    of = f" of {data.available:,}" if data.available is not None else ""
    masked = ", padding left out" if data.masked else ""
    yield "data", f"{printable(data.description)}; {data.samples:,} samples{of} chosen by seed {data.seed}{masked}"
    yield "fingerprint", f"SHA-256 {printable(data.fingerprint)} of the samples read, in order"


def _checkpoints(found: Explanation, look: Look) -> Section:
    columns = (
        Column("checkpoint"),
        Column("step", "right"),
        Column("file", wraps=True),
        Column("sha256"),
        Column("rows", "right"),
        Column("kept", "right"),
    )
    rows = tuple(_checkpoint(column, look) for column in found.columns)
    legend = "rows: rows of channels that were read. kept: those that percentiles and directions come from."
    return Section("Checkpoints", (Table(columns, rows), Items((line(Span(legend, "faint")),))))


def _checkpoint(column: Measured, look: Look) -> tuple[Line, ...]:
    point = column.checkpoint
    hashed = printable(point.sha256)
    return (
        line(Span(printable(point.id), "name")),
        line("" if point.step is None else str(point.step)),
        line(printable(point.path)),
        line(hashed[:SHORT_HASH] + look.glyphs.ellipsis if look.brief else hashed),
        line("n/a" if column.rows is None else f"{round(column.rows):,}"),
        line("n/a" if column.kept is None else f"{column.kept:,}"),
    )


def _definitions(found: Explanation, kind: str, title: str) -> Iterator[Section]:
    known = [each for each in found.definitions if each.kind == kind]
    grouped: dict[tuple[str, str, str], list[Definition]] = {}
    for each in known:
        grouped.setdefault((each.formula, each.basis, "" if _alike(each) else each.meaning), []).append(each)
    if known:
        yield Section(title, (Items(tuple(_definition(each) for each in grouped.values())),), detail=True)


def _alike(each: Definition) -> bool:
    """Whether what a number means differs from its neighbours' in its name alone."""
    return each.name[1:].isdecimal()


def _definition(same: Sequence[Definition]) -> Line:
    first = same[0]
    meaning = first.meaning if len(same) == 1 else ""
    text: Line = (Span(", ".join(printable(each.name) for each in same), "name"), Span(":"))
    text += (Span(f" {meaning.rstrip('.')}."),) if meaning else ()
    text += (Span(f" Computed as: {first.formula.rstrip('.')}."),) if first.formula else ()
    text += (Span(f" Rests on: {first.basis}."),) if first.basis else ()
    text += (Span(f" Matters from {compact(first.material)} on."),) if first.material else ()
    return (*text, Span(f" Source: {first.source}.")) if first.source else text


def _citations(found: Explanation) -> Section:
    if not found.citations:
        return Section(
            "What rests on it", (Prose(line("No finding, candidate, suggestion or budget is about these numbers.")),)
        )
    blocks = [block for citation in found.citations for block in _citation(citation)]
    return Section("What rests on it", tuple(blocks))


def _citation(citation: Citation) -> tuple[Block, ...]:
    lines = [line(printable(citation.message))] if citation.message else []
    if citation.rests_on:
        lines.append((Span("rests on: ", "faint"), Span("; ".join(printable(text) for text in citation.rests_on))))
    lines += [values.checked(check) for check in citation.checks]
    if citation.rule:
        lines.append((Span("speaks when: ", "faint"), Span(printable(citation.rule))))
    return Prose(line(Span(printable(citation.what), "strong"))), Items(tuple(lines))
