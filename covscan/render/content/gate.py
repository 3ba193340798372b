"""The verdict of a gate: why, by which limits, against which baseline, and what was left out of it."""

from covscan.render.blocks import Block, Column, Items, Line, Prose, Section, Span, Table, Tone, line
from covscan.render.content import places
from covscan.render.content.narrow import narrowed
from covscan.render.figures import compact, counted, percent
from covscan.render.look import Look
from covscan.render.names import printable
from covscan.report.gate import BaselineResult, BudgetResult, Gate, Outcome, SuppressionResult

VERDICTS: dict[str, Tone] = {"passed": "good", "failed": "error", "inconclusive": "warning"}
OUTCOMES: dict[Outcome, tuple[int | None, Tone]] = {
    "exceeded": (0, "error"),
    "warned": (1, "warning"),
    "inconclusive": (1, "warning"),
    "met": (None, "good"),
    "off": (None, "faint"),
}
"""Which of the signs of severities an outcome has, and its tone."""
DISPENSABLE = ("n", "sites", "where", "what")
"""What a narrow terminal does without; the sentences above the table name the sites that decided."""
NAMES = 0.25


def section(gate: Gate, look: Look) -> Section:
    """The reasons first, then every budget, the baseline, the suppressions, and by what was judged."""
    tone = VERDICTS[gate.verdict]
    reasons = [line(Span(printable(gate.reasons[0]), tone)), *(line(printable(each)) for each in gate.reasons[1:])]
    blocks: list[Block] = [Items(tuple(reasons))]
    if gate.budgets:
        blocks += [Prose(line(_counts(gate.budgets))), *narrowed(_budgets(gate.budgets, look), look, DISPENSABLE)]
    remarks = [*_baseline(gate.baseline), *map(_suppression, gate.suppressions), *_ignored(gate), _policy(gate)]
    return Section(f"Gate: {gate.verdict}", (*blocks, Items(tuple(remarks))))


def _counts(budgets: list[BudgetResult]) -> str:
    outcomes = [budget.outcome for budget in budgets]
    counts = [f"{outcomes.count(outcome)} {outcome}" for outcome in OUTCOMES if outcome in outcomes]
    return f"Budgets: {', '.join(counts)}"


def _budgets(budgets: list[BudgetResult], look: Look) -> Table:
    columns = (
        Column("outcome"),
        Column("budget"),
        Column("what", wraps=True),
        Column("limit", "right"),
        Column("value"),
        Column("sites", "right"),
        Column("n", "right"),
        Column("where"),
    )
    named = places.fitted([each.site for each in budgets if each.site], look, NAMES)
    gravest_first = sorted(budgets, key=lambda each: list(OUTCOMES).index(each.outcome))
    rows = tuple(_row(each, named, look) for each in gravest_first)
    return Table(columns, rows) if named else Table(columns[:-1], tuple(row[:-1] for row in rows))


def _row(result: BudgetResult, named: dict[str, Span], look: Look) -> tuple[Line, ...]:
    sign, tone = OUTCOMES[result.outcome]
    shown = f"{look.glyphs.severities[sign]} " if sign is not None else "  "
    where: Line = ()
    if result.site is not None and result.position is not None:
        where = line(named[result.site], " ", places.side(result.position))
    judged = result.value is not None
    return (
        line(Span(f"{shown}{result.outcome}", tone)),
        line(Span(printable(result.budget), "strong")),
        line(_what(result)),
        line(_limit(result, look)),
        _value(result),
        line(str(result.sites) if judged else ""),
        line(f"{result.samples:,}" if judged else ""),
        where,
    )


def _what(result: BudgetResult) -> str:
    subject = printable(result.subject)
    match result.over:
        case "share":
            return f"share with {subject} above {result.beyond:g}"
        case "median":
            return f"median {subject}"
        case "worst":
            return f"worst {subject}"
        case _:
            return subject


def _limit(result: BudgetResult, look: Look) -> str:
    if result.max is None:
        return "" if result.min is None else f"{'≥' if look.unicode else '>='} {_bound(result, result.min)}"
    if result.min is None:
        return f"{'≤' if look.unicode else '<='} {_bound(result, result.max)}"
    return f"{_bound(result, result.min)} to {_bound(result, result.max)}"


def _bound(result: BudgetResult, bound: float) -> str:
    """A limit as it was written."""
    return percent(bound) if result.over == "share" else f"{bound:g}"


def _value(result: BudgetResult) -> Line:
    if result.value is None:
        return line(Span("" if result.outcome == "off" else "not judged", "faint"))
    text = _number(result, result.value)
    if result.low is not None and result.low != result.high:
        high = "unknown" if result.high is None else _number(result, result.high)
        return line(text, Span(f" [{_number(result, result.low)}, {high}]", "faint"))
    return line(text)


def _number(result: BudgetResult, value: float) -> str:
    return percent(value) if result.over == "share" else compact(value)


def _baseline(found: BaselineResult | None) -> list[Line]:
    if found is None:
        return []
    source = Span(printable(found.source), "name")
    why = "; ".join(printable(reason) for reason in found.reasons)
    if found.status != "compared":
        return [line("Baseline ", source, f": {found.status}{': ' if why else ''}{why}.")]
    counts = f": {counted(found.compared, 'value')} compared, {counted(len(found.regressions), 'regression')}, "
    counts += f"{found.improved} improved, {len(found.added)} new, {len(found.missing)} missing"
    return [line("Baseline ", source, counts + (f"; {why}." if why else "."))]


def _suppression(found: SuppressionResult) -> Line:
    codes = Span(", ".join(printable(code) for code in found.codes), "strong")
    where = "" if found.sites == ["*"] else f" at {', '.join(printable(site) for site in found.sites)}"
    reason = f": {printable(found.reason)}"
    if found.status == "used":
        until = f", until {found.expires}" if found.expires else ""
        return line(f"{counted(found.suppressed, 'finding')} suppressed, ", codes, f"{where}{until}{reason}")
    said = "Unused suppression" if found.status == "unused" else f"Suppression expired on {found.expires}"
    return line(Span(said, "warning"), ", ", codes, where + reason)


def _ignored(gate: Gate) -> list[Line]:
    if not gate.ignored:
        return []
    return [
        line(f"{counted(gate.ignored, 'finding')} left out of the verdict by select and ignore; listed all the same.")
    ]


def _policy(gate: Gate) -> Line:
    fails = "Findings don't fail" if gate.fail_on == "never" else f"Findings fail from {gate.fail_on} on"
    by = [f"preset {printable(gate.preset)}"] if gate.preset is not None else []
    by += [printable(gate.config)] if gate.config is not None else []
    return line(Span(f"{fails}{'; budgets of ' if by else ''}{' and '.join(by)}.", "faint"))
