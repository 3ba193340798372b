"""``covscan config``: what is in force and where each value came from, or the schema of the file."""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any, Literal, NamedTuple

from msgspec import Struct, structs

from covscan.cli.settings import FIELDS, read_config, read_settings
from covscan.cli.streams import deliver, look_for
from covscan.cli.values import choice, read_wishes
from covscan.config.file import NAME, PROJECT, Config
from covscan.config.policy import Policy
from covscan.config.settings import Settings
from covscan.config.toml_lines import Key
from covscan.errors import ExitCode, UsageError
from covscan.gate.policy import build_tables
from covscan.gate.presets import DEFAULT
from covscan.render.blocks import Column, Line, Prose, Section, Span, Table, line
from covscan.render.names import printable

FLAGS = {setting: parameter for parameter, setting in FIELDS.items() if parameter != "checkpoint"}
"""Settings whose parameter has another name."""
WRITTEN: dict[str, Callable[[Any], Any]] = {"model_args": dict, "positions": lambda count: count or "all"}
"""Settings that a file spells otherwise than ``Settings`` holds them."""
TITLES = {
    "": "Measurement",
    "check": "Check",
    "budgets": "Budgets",
    "suppressions": "Suppressions",
    "baseline": "Baseline",
}


class Row(NamedTuple):
    """A key, what holds for it, and why."""

    key: Key
    value: Any
    source: Literal["flag", "file", "preset", "default"]
    where: str
    """The flag, or file and line, or the preset, or that it is a default."""


def run(words: Mapping[str, Any], said: Set[str]) -> int:
    """Run the command; ``words`` are its parameters, ``said`` those that were given. Returns the exit code."""
    wishes = read_wishes(words)
    form = choice("--format", words["form"], ("text", "json"))
    if words["schema"]:
        deliver(sys.stdout, _schema(words), encoding="utf-8")
        return ExitCode.OK
    config = read_config(words)
    settings = read_settings(words, said, config)
    rows = [*measured_by(settings, said, config), *judged_by(config)]
    if form == "json":
        deliver(sys.stdout, json.dumps(record(config, rows), indent=2, default=str) + "\n", encoding="utf-8")
    else:
        from covscan.render.as_text import draw

        look = look_for(sys.stdout, wishes)
        deliver(sys.stdout, draw(_sections(config, rows), look))
    return ExitCode.OK


def _schema(words: Mapping[str, Any]) -> str:
    from covscan.config.schema import schema

    if words["show"]:
        raise UsageError("bad-option", "--show and --schema exclude each other", hint="leave one out")
    return json.dumps(schema(), indent=2) + "\n"


def measured_by(settings: Settings, said: Set[str], config: Config) -> Iterator[Row]:
    """Every setting of a measurement."""
    for field in dataclasses.fields(Settings):
        key = (field.name.replace("_", "-"),)
        value = getattr(settings, field.name)
        if field.name in WRITTEN:
            value = WRITTEN[field.name](value)
        parameter = FLAGS.get(field.name, field.name)
        if parameter in said:
            yield Row(key, value, "flag", _said(parameter, key, config))
        else:
            yield _row(key, value, config)


def _said(parameter: str, key: Key, config: Config) -> str:
    """Where on the command line a setting stands."""
    if parameter == "checkpoints":
        return "argument CHECKPOINTS"
    over = f" over {config.places.place(key)}" if parameter == "model_arg" and config.gives(key) else ""
    return f"flag --{parameter.replace('_', '-')}{over}"


def judged_by(config: Config) -> Iterator[Row]:
    """What a verdict depends on besides the report."""
    usual = Policy()
    preset = config.check.preset or DEFAULT
    standing = {"preset": preset, "fail-on": usual.fail_on, "min-samples": usual.min_samples}
    yield from _record(("check",), config.check, config, standing)
    for name, table in build_tables(preset, config.budgets).items():
        for key, value in table.items():
            row = _row(("budgets", name, key), value, config)
            yield row if row.source == "file" else row._replace(source="preset", where=f"preset {preset}")
    for place, suppression in enumerate(config.suppressions):
        yield from _record(("suppressions", place), suppression, config)
    if config.baseline is not None:
        yield from _record(("baseline",), config.baseline, config)


def _record(at: Key, value: Struct, config: Config, usual: Mapping[str, Any] | None = None) -> Iterator[Row]:
    """A row for each field of a table; ``usual`` is what holds where a field leaves it open."""
    for field in structs.fields(value):
        found = getattr(value, field.name)
        found = (usual or {}).get(field.encode_name) if found is None else found
        yield _row((*at, field.encode_name), found, config)


def _row(key: Key, value: Any, config: Config) -> Row:
    if config.gives(key):
        return Row(key, value, "file", config.places.place(key))
    return Row(key, value, "default", "default")


def record(config: Config, rows: Sequence[Row]) -> dict[str, Any]:
    """The rows for scripts."""
    return {
        "config": None if config.path is None else str(config.path),
        "settings": [{**row._asdict(), "key": _dotted(row.key)} for row in rows],
    }


def _dotted(key: Key) -> str:
    """``check.fail-on``, ``suppressions[0].codes``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)[1:]


def _sections(config: Config, rows: Sequence[Row]) -> Iterator[Section]:
    if config.path is None:
        found = f"No {NAME} and no {PROJECT} with [tool.covscan] is in force: covscan init writes one."
        yield Section("", (Prose(line(found)),))
    else:
        yield Section("", (Prose(line("From ", Span(printable(str(config.path)), "strong"))),))
    columns = (Column("key"), Column("value", wraps=True), Column("from"))
    for table, title in TITLES.items():
        shown = [row for row in rows if (row.key[0] if len(row.key) > 1 else "") == table]
        if shown:
            yield Section(title, (Table(columns, tuple(_cells(row, table) for row in shown)),))


def _cells(row: Row, table: str) -> tuple[Line, ...]:
    rest = row.key[1:] if table else row.key
    name = ".".join(f"#{part + 1}" if isinstance(part, int) else part for part in rest)
    value = line(Span("not set", "faint")) if row.value in (None, (), [], {}) else line(printable(_shown(row.value)))
    where = line(Span(printable(row.where), "faint" if row.source == "default" else "plain"))
    return line(printable(name)), value, where


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
