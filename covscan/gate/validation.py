"""From the tables of a configuration to budgets that can be judged, every mistake said at once."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, get_args, get_type_hints

import msgspec

from covscan.catalog import GATE_RULES, RULES, name_of
from covscan.catalog.measures import MEASURES, STATISTICS
from covscan.config.policy import Budget
from covscan.errors import CovscanError, UsageError
from covscan.gate.names import matches, nearest

SUBJECTS = ("measure", "statistic", "findings")
KEYS = tuple(field.encode_name for field in msgspec.structs.fields(Budget))
ONLY_FOR = {
    "span": "measure",
    "checkpoint": "statistic",
    "severity": "findings",
}
"""Keys that mean something for one kind of budget alone."""


class Read(NamedTuple):
    """The budgets that are as they should be, and what is wrong with the others."""

    budgets: tuple[tuple[str, Budget], ...]
    errors: list[CovscanError]


def read_budgets(tables: Mapping[str, Mapping[str, Any]], known: Iterable[str] = ()) -> Read:
    """Budgets by name from their tables; ``known`` are names that a preset has, for who misspelt one."""
    budgets: list[tuple[str, Budget]] = []
    errors: list[CovscanError] = []
    for name, table in tables.items():
        wrong = list(_unknown_keys(name, table))
        if not wrong:
            try:
                budget = msgspec.convert(dict(table), Budget)
            except msgspec.ValidationError as error:
                wrong = [_misfit(name, table, str(error))]
            else:
                wrong = list(_mistakes(name, budget, table, known))
                budgets.append((name, budget))
        errors += wrong
    return Read(tuple(budgets), errors)


def _unknown_keys(name: str, table: Mapping[str, Any]) -> Iterator[UsageError]:
    for key in table:
        if key not in KEYS:
            yield _error(name, key, "is not known", _hint(key, KEYS))


def _misfit(name: str, table: Mapping[str, Any], problem: str) -> UsageError:
    """A value of the wrong type; msgspec says the place as ``$.key``."""
    message, _, place = problem.partition(" - at `$")
    key = re.split(r"[.\[`]", place.strip("."), maxsplit=1)[0]
    options = _options(key)
    given = table[key]
    hint = _hint(given, options) if options and isinstance(given, str) else "correct the value"
    return _error(
        name, key, "has a value that does not fit", hint, found=f"{given!r}; {message[:1].lower()}{message[1:]}"
    )


def _options(key: str) -> list[str]:
    """The words that a key may have; none where it takes other values."""
    hint = get_type_hints(Budget)[key.replace("-", "_")]
    return [word for part in (hint, *get_args(hint)) for word in get_args(part) if isinstance(word, str)]


def _mistakes(name: str, budget: Budget, table: Mapping[str, Any], known: Iterable[str]) -> Iterator[UsageError]:
    kinds = [kind for kind in SUBJECTS if getattr(budget, kind) is not None]
    if len(kinds) != 1:
        yield _subject_error(name, kinds, known)
        return
    yield from _subject_mistakes(name, budget)
    yield from _over_mistakes(name, budget, kinds[0])
    yield from _limit_mistakes(name, budget)
    for key, kind in ONLY_FOR.items():
        if key in table and kind != kinds[0]:
            yield _error(name, key, f"belongs to a budget with '{kind}'", f"leave it out: this one has '{kinds[0]}'")


def _subject_error(name: str, kinds: Sequence[str], known: Iterable[str]) -> UsageError:
    if kinds:
        return _error(
            name, kinds[-1], "is one subject too many", "one budget limits one thing", found=" and ".join(kinds)
        )
    near = nearest(name, known)
    hint = f"add one of {', '.join(SUBJECTS)}" + (f"; or did you mean the preset's '{near}'?" if near else "")
    return UsageError("bad-budget", f"[budgets.{name}] does not say what it limits", hint=hint)


def _subject_mistakes(name: str, budget: Budget) -> Iterator[UsageError]:
    for key, given, names in (
        ("measure", budget.measure, tuple(MEASURES)),
        ("statistic", budget.statistic, STATISTICS),
    ):
        if given is not None and given not in names:
            yield _error(name, key, f"'{given}' is none that a report has", _hint(given, names))
    if budget.findings is not None:
        if not budget.findings:
            yield _error(name, "findings", "is empty", "name codes or globs of codes, for example COV4*")
        yield from code_errors(budget.findings, f"[budgets.{name}] findings")
    if not budget.sites:
        yield _error(name, "sites", "is empty", "leave it out for all sites")


def _over_mistakes(name: str, budget: Budget, kind: str) -> Iterator[UsageError]:
    if (budget.over == "count") != (kind == "findings") and budget.over is not None:
        allowed = "count" if kind == "findings" else "worst, median or share"
        yield _error(name, "over", f"'{budget.over}' does not fit {kind}", f"for {kind} it may be {allowed}")
    if budget.over == "share" and budget.beyond is None:
        yield _error(name, "beyond", "is missing", "a share of sites needs the value from which on a site counts")
    if budget.over != "share" and budget.beyond is not None:
        yield _error(name, "beyond", "means nothing here", "it belongs to over = 'share'")


def _limit_mistakes(name: str, budget: Budget) -> Iterator[UsageError]:
    if budget.max is None and budget.min is None:
        yield _error(name, "max", "is missing, and so is min", "give one limit or both")
    given = {key: value for key in ("max", "min", "beyond") if (value := getattr(budget, key)) is not None}
    for key, value in given.items():
        if not math.isfinite(value):
            yield _error(name, key, f"is {value}", "a limit is a finite number")
        elif value < 0 and (budget.statistic is None or (budget.over == "share" and key != "beyond")):
            yield _error(name, key, f"is {value:g}, below 0", "sizes, shares and numbers are never negative")
        elif budget.over == "share" and key != "beyond" and value > 1:
            yield _error(name, key, f"is {value:g}, above 1", "a share of sites lies between 0 and 1")
    if budget.max is not None and budget.min is not None and budget.min > budget.max:
        yield _error(name, "min", f"is {budget.min:g}, above max = {budget.max:g}", "nothing could keep both")


def code_errors(globs: Sequence[str], where: str) -> Iterator[UsageError]:
    """What is wrong with globs of codes: each must match a rule, and one that is not the gate's own."""
    for glob in globs:
        if any(matches([glob], code) for code in RULES):
            continue
        if any(matches([glob], code) for code in GATE_RULES):
            hint = "COV9xx say what the gate made of a report; they decide nothing themselves"
            yield UsageError("unknown-code", f"{where}: '{glob}' is the gate's own and never counts", hint=hint)
            continue
        yield UsageError("unknown-code", f"{where}: no rule matches '{glob}'", hint=_code_hint(glob))


def _code_hint(glob: str) -> str:
    by_name = {name_of(code): code for code in RULES}
    if any(code.startswith(glob.upper()) for code in RULES):
        return f"did you mean '{glob.upper() if glob.upper() in RULES else glob.upper() + '*'}'?"
    near = nearest(glob, [*RULES, *by_name])
    return f"did you mean '{by_name.get(near, near)}'?" if near else "covscan rule lists them"


def _hint(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = nearest(name, names)
    return f"did you mean '{near}'?" if near else f"choose one of {', '.join(names)}"


def _error(name: str, key: str, problem: str, hint: str, found: str = "") -> UsageError:
    where = f"[budgets.{name}]" + (f" {key}" if key else "")
    return UsageError("bad-budget", f"{where} {problem}", found=found, hint=hint)
