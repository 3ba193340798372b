"""The values of an explanation as tables, and what was computed again of them."""

from collections.abc import Iterator, Sequence

from covscan.render.blocks import Block, Column, Items, Line, Section, Span, Table, line
from covscan.render.figures import evenly
from covscan.render.look import Look
from covscan.render.names import printable, shorten
from covscan.report.explanation import Check, Explanation, Value

NAME, CELL, HEADING = 24, 11, 14
Pair = tuple[str, str]


def sections(found: Explanation, look: Look) -> Iterator[Section]:
    """The statistics by checkpoint, the measures pair by pair, the gradients."""
    statistics = [value for value in found.values if value.kind == "statistic"]
    if statistics:
        yield _statistics(statistics, look)
    pairs = _pairs(found)
    shown = _kept(pairs, look)
    for pair in shown:
        yield _measures(found, pair, pair == shown[-1], len(pairs) - len(shown))
    gradients = [value for value in found.values if value.kind == "gradient"]
    if gradients:
        yield _gradients(gradients)


def _statistics(values: Sequence[Value], look: Look) -> Section:
    checkpoints = list(dict.fromkeys(value.checkpoint for value in values))
    room = len(checkpoints) if look.width is None or not look.terminal else max((look.width - NAME) // HEADING, 1)
    kept = [checkpoints[number] for number in evenly(len(checkpoints), room)]
    by_name: dict[str, dict[str, Value]] = {}
    for value in values:
        by_name.setdefault(value.name, {})[value.checkpoint] = value
    heads = [
        shorten(printable(each), HEADING - 2, look.glyphs.ellipsis) if look.terminal else printable(each)
        for each in kept
    ]
    table = Table(
        (Column("statistic"), *(Column(head, "right") for head in heads)),
        tuple((line(Span(name, "name")), *(_number(row.get(each)) for each in kept)) for name, row in by_name.items()),
    )
    remarks = _reasons(values)
    left_out = len(checkpoints) - len(kept)
    if left_out:
        remarks.append(line(f"{left_out} more checkpoints are too many for this width (--checkpoint ID, or -f json)."))
    blocks: list[Block] = [table, Items(tuple(remarks))]
    return Section("Statistics", tuple(blocks))


def _number(value: Value | None) -> Line:
    if value is None or value.value is None:
        return line(Span("n/a", "faint"))
    return line(_exact(value.value))


def _exact(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def _reasons(values: Sequence[Value]) -> list[Line]:
    """Why values are missing, each reason with the names and the number of checkpoints."""
    reasons: dict[str, dict[str, None]] = {}
    for value in values:
        if value.value is None:
            reasons.setdefault(printable(value.status or "no reason is given"), {})[value.name] = None
    return [line(f"n/a for {', '.join(names)}: {reason}.") for reason, names in reasons.items()]


def _pairs(found: Explanation) -> list[Pair]:
    measures = [value for value in found.values if value.kind == "measure"]
    return list(dict.fromkeys((value.from_checkpoint or "", value.checkpoint) for value in measures))


def _kept(pairs: Sequence[Pair], look: Look) -> list[Pair]:
    """All pairs; on a terminal from the first checkpoint to the last that was asked for alone."""
    if not look.brief or len(pairs) < 2:
        return list(pairs)
    longest = [pair for pair in pairs if pair[0] == pairs[0][0]]
    return longest[-1:]


def _measures(found: Explanation, pair: Pair, last: bool, hidden: int) -> Section:
    values = [v for v in found.values if v.kind == "measure" and (v.from_checkpoint or "", v.checkpoint) == pair]
    shown = [value for value in values if value.value is not None]
    table = Table(
        (Column("measure"), Column("value", "right"), Column("95 % interval", "right"), Column("noise", "right"),
         Column("counts", wraps=True)),
        tuple(_measure(value) for value in shown),
    )  # fmt: skip
    remarks = _reasons(values)
    if last and hidden:
        remarks.append(
            line(f"{hidden} more pairs of checkpoints (--checkpoint ID takes those that end there, --verbose all).")
        )
    title = f"Shift from {printable(pair[0])} to {printable(pair[1])}"
    return Section(title, (table, Items(tuple(remarks))))


def _measure(value: Value) -> tuple[Line, ...]:
    interval = "" if value.low is None or value.high is None else f"{_exact(value.low)} to {_exact(value.high)}"
    noise = "" if value.noise is None else _exact(value.noise)
    tone = "strong" if value.significant else "plain"
    return (
        line(Span(printable(value.name), "name")),
        line(Span(_exact(value.value or 0.0), "strong" if tone == "strong" else "plain")),
        line(interval),
        line(noise),
        line(Span(printable(value.why), "plain" if value.significant else "faint")),
    )


def _gradients(values: Sequence[Value]) -> Section:
    columns_ = (Column("gradient"), Column("at"), Column("value", "right"), Column("counts", wraps=True))
    rows = tuple(
        (
            line(Span(value.name, "name")),
            line(_at(value)),
            _number(value),
            line(Span(printable(value.why or value.status or ""), "faint")),
        )
        for value in values
    )
    return Section("Gradients", (Table(columns_, rows),))


def _at(value: Value) -> str:
    since = f"{printable(value.from_checkpoint)} to " if value.from_checkpoint is not None else ""
    return since + printable(value.checkpoint)


def computed_again(found: Explanation, look: Look) -> Section | None:
    """Each number that others of the report give, with these put in; on a terminal of one checkpoint and pair."""
    pairs = _kept(_pairs(found), look)
    checked_values = [value for value in found.values if value.checks]
    last = checked_values[-1].checkpoint if checked_values else ""
    shown = [value for value in checked_values if not look.brief or _is_shown(value, pairs, last)]
    rows = [_row(value, check) for value in shown for check in value.checks]
    if not rows:
        return None
    hidden = sum(len(value.checks) for value in checked_values) - len(rows)
    table = Table((Column("number"), Column("at"), Column("computed again", wraps=True), Column("")), tuple(rows))
    said = [line(Span(f"{hidden} more at other checkpoints (--verbose shows them).", "faint"))] if hidden else []
    return Section("Computed again", (table, Items(tuple(said))))


def _is_shown(value: Value, pairs: Sequence[Pair], last: str) -> bool:
    if not all(check.agrees for check in value.checks):
        return True
    pair = (value.from_checkpoint or "", value.checkpoint)
    return pair in pairs if value.kind == "measure" else value.checkpoint == (pairs[0][1] if pairs else last)


def _row(value: Value, check: Check) -> tuple[Line, ...]:
    return (line(Span(printable(value.name), "name")), line(_at(value)), _formula(check), line(_agreement(check)))


def _formula(check: Check) -> Line:
    return (
        Span(f"{check.formula}: "),
        Span(printable(check.numbers), "strong"),
        Span(f"; the report says {check.stated}"),
    )


def _agreement(check: Check) -> Span:
    return Span("agrees", "good") if check.agrees else Span("does not agree", "error")


def checked(check: Check) -> Line:
    """A check as a sentence."""
    return (*_formula(check), Span(", which "), _agreement(check))
