"""What a verdict is given by: flags over the configuration over a preset."""

from collections.abc import Mapping, Sequence
from typing import Any

from covscan.config.policy import Check, Policy, Suppression, Tolerances
from covscan.errors import CovscanError, UsageError, raise_collected
from covscan.gate.names import nearest
from covscan.gate.presets import DEFAULT, PRESETS
from covscan.gate.validation import SUBJECTS, Read, code_errors, read_budgets

Tables = Mapping[str, Mapping[str, Any]]


def build_policy(
    check: Check,
    budgets: Tables,
    suppressions: Sequence[Suppression] = (),
    baseline: Tolerances | None = None,
    config: str | None = None,
    flags: Check | None = None,
) -> Policy:
    """The policy of a configuration and the flags.

    ``check`` and ``budgets`` (each as its table, kebab-case) are the file's, ``flags`` what the command line said of
    the same; a flag replaces what the file says, lists included. Without anything the preset is ``standard`` and
    findings fail from error on. Raises every mistake in it together.
    """
    flags = flags or Check()
    preset = flags.preset or check.preset or DEFAULT
    select, ignore = flags.select or check.select, flags.ignore or check.ignore
    errors: list[CovscanError] = []
    try:
        read = read_budgets(build_tables(preset, budgets), PRESETS[preset].budgets)
    except UsageError as error:
        read = Read((), [error])
    errors += [
        *read.errors,
        *code_errors(select, "select"),
        *code_errors(ignore, "ignore"),
        *(
            error
            for glob, codes in check.site_ignores.items()
            for error in code_errors(codes, f"site-ignores '{glob}'")
        ),
        *(error for each in suppressions for error in code_errors(each.codes, f"suppression '{each.reason}'")),
    ]
    raise_collected(errors)
    defaults = Policy()
    return Policy(
        fail_on=flags.fail_on or check.fail_on or defaults.fail_on,
        preset=preset,
        select=tuple(select),
        ignore=tuple(ignore),
        site_ignores=tuple((glob, tuple(codes)) for glob, codes in check.site_ignores.items()),
        min_samples=flags.min_samples or check.min_samples or defaults.min_samples,
        budgets=read.budgets,
        suppressions=tuple(suppressions),
        baseline=baseline,
        config=config,
    )


def build_tables(preset: str, budgets: Tables) -> dict[str, dict[str, Any]]:
    """The budgets of a preset with one's own over them. Raises UsageError for a preset that there is not."""
    if preset not in PRESETS:
        raise _unknown_preset(preset)
    return merged(PRESETS[preset].budgets, budgets)


def merged(preset: Tables, own: Tables) -> dict[str, dict[str, Any]]:
    """The preset's budgets with one's own over them, by name and key: ``level = "off"`` alone turns one off.

    A table that limits another kind of thing than the preset's of that name takes its place as a whole.
    """
    tables = {name: dict(table) for name, table in preset.items()}
    for name, table in own.items():
        before = tables.get(name, {})
        kinds = [kind for kind in SUBJECTS if kind in table]
        kept = {} if kinds and not any(kind in before for kind in kinds) else before
        tables[name] = {**kept, **table}
    return tables


def _unknown_preset(name: str) -> UsageError:
    near = nearest(name, PRESETS)
    known = "; ".join(f"{each}: {preset.summary}" for each, preset in PRESETS.items())
    return UsageError(
        "unknown-preset",
        f"there is no preset '{name}'",
        hint=f"did you mean '{near}'?" if near else f"choose one of {known}",
    )
