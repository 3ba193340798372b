"""Which normalization goes where, as the options or a suggestion of a report say it."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, cast

from covscan.cli.values import choice
from covscan.errors import UsageError

POSITIONS = ("after", "before")


class Where(NamedTuple):
    """A place and a kind, not yet looked for in a model."""

    site: str
    position: Literal["before", "after"]
    norm: str


def read_where(words: Mapping[str, Any]) -> Where:
    """``--site``, ``--position`` and ``--norm``, or what the suggestion that ``--report`` and ``--rank`` name says."""
    if words["report"] is not None:
        return _suggested(words)
    if words["rank"] is not None:
        raise UsageError(
            "bad-option", "--rank chooses among the suggestions of a report", hint="add --report REPORT.json"
        )
    missing = [f"--{name}" for name in ("site", "norm") if words[name] is None]
    if missing:
        raise UsageError(
            "no-place",
            f"{' and '.join(missing)} must say what to put in and where",
            hint="for example --site fc3 --norm BatchNorm1d, or --report REPORT.json to take a suggestion",
        )
    position = choice("--position", words["position"] or "after", POSITIONS)
    return Where(words["site"], cast(Literal["before", "after"], position), words["norm"])


def _suggested(words: Mapping[str, Any]) -> Where:
    from covscan.report import read

    for name in ("site", "position"):
        if words[name] is not None:
            raise UsageError(
                "bad-option",
                f"--{name} and --report both say where",
                hint="leave one out; --norm may be given with either",
            )
    rank = words["rank"] or 1
    suggestions = read(words["report"]).suggestions
    found = next((suggestion for suggestion in suggestions if suggestion.rank == rank), None)
    if found is None:
        ranks = ", ".join(f"{each.rank} ({each.norm} at {each.site})" for each in suggestions)
        raise UsageError(
            "no-suggestion",
            f"'{words['report']}' has no suggestion {rank}",
            found=ranks or "it makes none",
            hint="choose one with --rank" if suggestions else "say --site and --norm yourself",
        )
    return Where(found.site, found.position, words["norm"] or found.norm)
