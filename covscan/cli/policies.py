"""What counts and what fails, as the command line says it."""

from collections.abc import Mapping
from typing import Any, cast, get_args

from covscan.cli.values import choice, read_list
from covscan.config.policy import Check, FailOn, Policy
from covscan.errors import UsageError
from covscan.gate.policy import build_policy


def read_flags(words: Mapping[str, Any]) -> Check:
    """The flags about the verdict; what was not said is None or empty."""
    fail_on = words["fail_on"]
    return Check(
        preset=words.get("preset"),
        fail_on=None if fail_on is None else cast(FailOn, choice("--fail-on", fail_on, get_args(FailOn))),
        select=read_list(words["select"]),
        ignore=read_list(words["ignore"]),
        min_samples=words.get("min_samples"),
    )


def counting_policy(words: Mapping[str, Any]) -> Policy:
    """Which findings fail a measurement that is not judged further: no budgets, and findings by the flags alone."""
    flags = read_flags(words)
    if flags.fail_on == "never" and (flags.select or flags.ignore):
        option = "--select" if flags.select else "--ignore"
        raise UsageError(
            "bad-option",
            f"{option} chooses the findings that --fail-on counts, and without it none does",
            hint="add --fail-on warning, say; or use covscan check, which always judges",
        )
    return build_policy(Check(preset="none"), {}, flags=flags)
