"""A configuration as a file with comments, for ``covscan init``."""

import textwrap
import typing
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Meta, Struct, structs

from covscan.config.document import Measurement
from covscan.config.policy import Budget, Check
from covscan.config.settings import Settings
from covscan.config.toml_values import WIDTH, assignment

EXAMPLES: dict[str, Any] = {
    "model": "nets.py:build",
    "model-args": {"width": 64},
    "checkpoints": ["runs/"],
    "data": "sample.npz",
    "reference-data": "train.npz",
    "target": "y",
    "mask": "attention_mask",
    "sites": ["encoder.*"],
    "exclude": ["*.dropout"],
    "train-batch-size": 64,
    "loss": "cross_entropy",
    "optimizer": "adam",
    "lr": 0.001,
    "evidence": "forward",
    "trial-steps": 2000,
    "threads": 4,
}
"""What stands behind the # of a key that nobody gave and that has no default."""
GROUPS = {"data", "device", "loss", "jobs"}
"""Keys that an empty line sets off from those before."""
CHECK_EXAMPLES: dict[str, Any] = {
    "preset": "standard",
    "fail-on": "error",
    "select": ["COV2*", "COV4*"],
    "ignore": ["COV109"],
    "site-ignores": {"head.*": ["COV211"]},
    "min-samples": 64,
}

HEAD = """\
# What covscan measures, and what must hold. Keys at the top level are the names of flags; a flag on
# the command line wins. Paths are relative to this file. What is in force, and from where:
#     covscan config
# For completion and checks in an editor (taplo, Even Better TOML), run the next line and make the
# one below it the first line of this file:
#     covscan config --schema > covscan.schema.json
#     #:schema ./covscan.schema.json
"""
TRUST = "# These checkpoints need --trust on the command line: a file cannot allow them to run code.\n"
TAIL = """\
# Findings that do not count, each with the reason; they are reported once nothing needs them any more.
#[[suppressions]]
#codes = ["COV211"]
#sites = ["head.*"]
#reason = "the head starts at zero and is meant to grow"
#expires = 2030-12-31

# A baseline to compare with; its tolerances are the measured noise where none is given.
#[baseline]
#path = "covscan-baseline.json"
"""


class Proposal(NamedTuple):
    """A budget by its name, and in a sentence what was measured."""

    name: str
    budget: Budget
    remark: str


def write_config(
    settings: Mapping[str, Any],
    guesses: Mapping[str, Any],
    proposals: Sequence[Proposal],
    how: str = "",
    *,
    trust: bool = False,
) -> str:
    """The text of a covscan.toml.

    ``settings`` are fields of ``Settings`` that hold, by name; every other key is there behind a #, with the value
    of ``guesses``, its default, or an example. ``proposals`` become the budgets, ``how`` says where they come from.
    """
    parts = [HEAD, _measurement(_values(settings), _values(guesses)), TRUST if trust else "", _check()]
    parts += [budgets_text(proposals, how), TAIL]
    return "\n".join(part for part in parts if part)


def budgets_text(proposals: Sequence[Proposal], how: str) -> str:
    """Budgets as tables to paste, below a comment of where they come from; empty where there are none."""
    return "\n".join(["\n".join(_comment(how)) + "\n", *map(_budget, proposals)]) if proposals else ""


def _budget(proposal: Proposal) -> str:
    values = {
        field.encode_name: value
        for field in structs.fields(Budget)
        if (value := getattr(proposal.budget, field.name)) != _default(field)
    }
    rows = [f"[budgets.{proposal.name}]", *_comment(proposal.remark), *(assignment(*pair) for pair in values.items())]
    return "\n".join(rows) + "\n"


def _default(field: structs.FieldInfo) -> Any:
    made = field.default_factory
    return made() if made is not msgspec.NODEFAULT else field.default


def _values(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by their keys, as a file has them."""
    made = {field.encode_name: settings[field.name] for field in structs.fields(Measurement) if field.name in settings}
    if "model-args" in made:
        made["model-args"] = dict(made["model-args"])
    if "positions" in made and made["positions"] is None:
        made["positions"] = "all"
    return {key: list(value) if isinstance(value, tuple) else value for key, value in made.items()}


def _measurement(given: Mapping[str, Any], guesses: Mapping[str, Any]) -> str:
    rows: list[str] = []
    defaults = {key: value for key, value in _values(_settings_defaults()).items() if value not in (None, [], {})}
    for key, description in _descriptions(Measurement).items():
        rows += [""] * (key in GROUPS)
        rows += _comment(description)
        if key in given:
            rows.append(_assigned(key, given[key]))
        elif key in guesses:
            rows.append(_disabled(key, guesses[key]))
        else:
            rows.append(_disabled(key, defaults.get(key, EXAMPLES.get(key))))
    return "\n".join(rows) + "\n"


def _assigned(key: str, value: Any) -> str:
    try:
        return assignment(key, value)
    except ValueError as error:
        return "\n".join(_comment(f"{error}: '{key}' of this run can be said on the command line alone"))


def _disabled(key: str, value: Any) -> str:
    return textwrap.indent(_assigned(key, value), "#", lambda row: not row.startswith("# "))


def _check() -> str:
    rows = ["[check]"]
    for key, description in _descriptions(Check).items():
        rows += [*_comment(description), _disabled(key, CHECK_EXAMPLES[key])]
    return "\n".join(rows) + "\n"


def _settings_defaults() -> dict[str, Any]:
    made = Settings()
    return {field.name: getattr(made, field.name) for field in structs.fields(Measurement)}


def _descriptions(kind: type[Struct]) -> dict[str, str]:
    """What each key is, in the order of the struct."""
    hints = typing.get_type_hints(kind, include_extras=True)
    found = {}
    for field in structs.fields(kind):
        metas = [each for each in hints[field.name].__metadata__ if isinstance(each, Meta)]
        found[field.encode_name] = next(meta.description for meta in metas if meta.description is not None)
    return found


def _comment(text: str) -> list[str]:
    """Rows of a comment; what TOML does not allow in one, or what moves the cursor, is spelled out."""
    shown = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return textwrap.wrap(
        shown, WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False, break_on_hyphens=False
    )
