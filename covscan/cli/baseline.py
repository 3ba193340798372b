"""``covscan baseline``: write one, hold a report against it, and let it follow."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Set
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from msgspec import structs

from covscan.cli.obtain import obtain
from covscan.cli.outputs import check_writable, replace_files
from covscan.cli.settings import read_config
from covscan.cli.streams import Wishes, deliver, look_for
from covscan.cli.values import choice, read_wishes
from covscan.config.file import Config
from covscan.config.policy import Tolerances
from covscan.errors import ExitCode, Inconclusive, UsageError
from covscan.gate.baseline import difference
from covscan.gate.baseline_file import read
from covscan.gate.baseline_file import write as text_of
from covscan.gate.baseline_source import DEFAULT_PATH, locate
from covscan.gate.baseline_types import Baseline
from covscan.gate.baseline_update import Update, updated
from covscan.gate.baseline_values import baseline_of
from covscan.render.blocks import Section
from covscan.render.figures import counted
from covscan.render.names import nearest, printable
from covscan.report.gate import BaselineResult
from covscan.report.types import Report

FORMATS = ("text", "json", "markdown")


def write(words: Mapping[str, Any], said: Set[str]) -> int:
    """Run ``covscan baseline write``. Returns the exit code."""
    wishes, config = read_wishes(words), read_config(words)
    tolerances = read_tolerances(words, config)
    path = words["output"] or tolerances.path or DEFAULT_PATH
    output = _writable(path)
    if output.exists() and not words["force"]:
        raise UsageError(
            "baseline-exists",
            f"there is a baseline '{path}' already",
            hint="'covscan baseline update' takes what improved, with --accept all; --force starts again",
        )
    made = baseline_of(_measured(words, said, config, wishes), tolerances)
    replace_files([(output, text_of(made))])
    deliver(sys.stdout, f"Wrote {printable(path)}: {_size(made)}.\n{_without_noise(made)}")
    return ExitCode.OK


def update(words: Mapping[str, Any], said: Set[str]) -> int:
    """Run ``covscan baseline update``. Returns the exit code."""
    wishes, config = read_wishes(words), read_config(words)
    tolerances = read_tolerances(words, config)
    path = tolerances.path or DEFAULT_PATH
    known = _existing(path)
    output = _writable(path)
    now = baseline_of(_measured(words, said, config, wishes), tolerances)
    made = updated(known, now, tolerances, _accepts(words, now))
    if made.changed:
        replace_files([(output, text_of(made.baseline))])
    from covscan.render.content.baseline import update_sections

    look = look_for(sys.stdout, wishes)
    show([*update_sections(path, _done(made), made.refused, made.unknown, look)], wishes)
    return ExitCode.OK


def diff(words: Mapping[str, Any], said: Set[str]) -> int:
    """Run ``covscan baseline diff``. Returns the exit code: 1 for regressions, 4 where nothing can be said."""
    wishes, config = read_wishes(words), read_config(words)
    form = choice("--format", words["form"], FORMATS)
    found = difference(_measured(words, said, config, wishes), read_tolerances(words, config))
    if form == "json":
        from covscan.report import to_json

        deliver(sys.stdout, to_json(found), encoding="utf-8")
    else:
        from covscan.render.content.baseline import sections

        show([*sections(found, look_for(sys.stdout, wishes))], wishes, form)
    return verdict(found.result)


def verdict(result: BaselineResult) -> int:
    """The exit code of a comparison; a regression is one also where the rest could not be compared."""
    if result.regressions:
        return ExitCode.FINDINGS
    return ExitCode.OK if result.status == "compared" else ExitCode.INCONCLUSIVE


def read_tolerances(words: Mapping[str, Any], config: Config) -> Tolerances:
    """What is compared, with what, and how much worse is borne: flags over the configuration."""
    given = {
        "path": words.get("baseline"),
        "revision": words.get("baseline_rev"),
        "measures": words.get("measure") or None,
        "statistics": words.get("statistic") or None,
        "relative": words.get("relative"),
        "absolute": words.get("absolute"),
    }
    said = {name: value for name, value in given.items() if value is not None}
    return structs.replace(config.baseline or Tolerances(), **said)


def _writable(path: str) -> Path:
    output = Path(os.path.realpath(path))
    check_writable(output, f"-o {Path(path) / DEFAULT_PATH}")
    return output


def _measured(words: Mapping[str, Any], said: Set[str], config: Config, wishes: Wishes) -> Report:
    report = obtain(words, said, config, wishes)
    if not report.coverage.measured:
        raise Inconclusive(
            "nothing-measured", "nothing was measured, so there is nothing to compare", hint="see its coverage"
        )
    return report


def _existing(path: str) -> Baseline:
    found = locate(path, None)
    if found.content is None:
        raise UsageError("no-baseline", f"there is no baseline '{path}'", hint="'covscan baseline write' makes one")
    return read(found.content, f"'{path}'")


def _without_noise(baseline: Baseline) -> str:
    """A word on the values that only a given tolerance can judge; nothing where there are none."""
    bare = sum(value.half_width is None and value.noise is None for value in baseline.values)
    if not bare:
        return ""
    return f"{counted(bare, 'value')} without measured noise: to compare them, give --relative or --absolute.\n"


def _accepts(words: Mapping[str, Any], now: Baseline) -> Callable[[str | None], bool]:
    globs: Iterable[str] = words["accept_site"] or ()
    sites = {site.site for site in now.sites}
    for glob in globs:
        if not any(fnmatchcase(site, glob) for site in sites):
            raise UsageError("unknown-site", f"'--accept-site {glob}' matches no site", hint=nearest(glob, sites))
    if words["accept"]:
        return lambda site: True
    return lambda site: site is not None and any(fnmatchcase(site, glob) for glob in globs)


def _size(baseline: Baseline) -> str:
    findings = sum(finding.errors + finding.warnings for finding in baseline.findings)
    return ", ".join(
        (
            counted(len(baseline.sites), "site"),
            counted(len(baseline.values), "value"),
            counted(findings, "known finding"),
        )
    )


def _done(made: Update) -> list[str]:
    """What was changed in the file, a sentence each."""
    names = (("dropped", made.dropped), ("added", made.added))
    said = [f"{counted(made.lowered, 'value')} lowered"] if made.lowered else []
    said += [f"{counted(made.accepted, 'value')} accepted"] if made.accepted else []
    return said + [f"{counted(len(sites), 'site')} {what}: {', '.join(sites)}" for what, sites in names if sites]


def show(sections: list[Section], wishes: Wishes, form: str = "text") -> None:
    """Deliver sections to standard output as text or Markdown."""
    if form == "markdown":
        from covscan.render.as_markdown import draw as draw_markdown

        deliver(sys.stdout, draw_markdown(sections))
    else:
        from covscan.render.as_text import draw

        deliver(sys.stdout, draw(sections, look_for(sys.stdout, wishes)))
