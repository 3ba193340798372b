"""``covscan sites``: list what can be tapped."""

from collections.abc import Mapping, Set
from typing import Any

from msgspec import Struct

from covscan.cli.settings import read_config, read_settings
from covscan.cli.streams import deliver, look_for, payload_only
from covscan.cli.values import choice, read_wishes
from covscan.errors import ExitCode, UsageError
from covscan.report.encode import to_json
from covscan.report.types import SCHEMA_VERSION, Coverage, Model, Site, Tool
from covscan.version import __version__


class Survey(Struct, frozen=True, kw_only=True):
    """The sites of a model as JSON: records of the report, without statistics."""

    schema_version: str
    tool: Tool
    model: Model
    coverage: Coverage
    sites: list[Site]
    notes: list[str]


def run(words: Mapping[str, Any], said: Set[str]) -> int:
    """Run the command; ``words`` are its parameters, ``said`` those that were given. Returns the exit code."""
    wishes = read_wishes(words)
    form = choice("--format", words["form"], ("text", "json"))
    settings = read_settings(words, said, read_config(words))
    if not settings.checkpoints and settings.model is None:
        raise UsageError(
            "no-model", "there is no model to look into", hint="name a checkpoint, or give --model file.py:function"
        )
    with payload_only() as stdout:
        from covscan.pipeline import survey

        found = survey(settings)
        if form == "json":
            record = Survey(
                schema_version=SCHEMA_VERSION,
                tool=Tool(name="covscan", version=__version__),
                model=found.model,
                coverage=found.coverage,
                sites=list(found.sites),
                notes=list(found.notes),
            )
            deliver(stdout, to_json(record), encoding="utf-8")
        else:
            from covscan.render.as_text import draw
            from covscan.render.content.survey import document

            look = look_for(stdout, wishes)
            deliver(stdout, draw(document(found.model, found.sites, found.coverage, found.notes, look), look))
    return ExitCode.OK if found.sites else ExitCode.INCONCLUSIVE
