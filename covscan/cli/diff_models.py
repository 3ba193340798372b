"""``covscan diff`` of two models: run both on the same samples and compare them site by site."""

import shlex
import sys
from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Any

from covscan.cli.analyze import verdict
from covscan.cli.outputs import check_shown, parse_outputs
from covscan.cli.policies import counting_policy
from covscan.cli.publish import publish
from covscan.cli.settings import read_config, read_settings
from covscan.cli.streams import payload_only
from covscan.cli.values import read_model_arguments, read_wishes
from covscan.config.settings import Settings
from covscan.errors import CovscanError, ExitCode, UsageError, raise_collected
from covscan.report.types import Report


def diff_models(words: Mapping[str, Any], said: Set[str]) -> int:
    """Compare the two models under ``sides``. Returns the exit code."""
    wishes = read_wishes(words)
    policy = counting_policy(words)
    check_shown(words["form"])
    first, second = _both(words, said)
    outputs = parse_outputs(words["output"] or ())
    with payload_only() as stdout:
        from covscan.cli.progress import watch
        from covscan.pipeline import compare_models

        progress = watch(quiet=words["quiet"], wishes=wishes)
        report = compare_models(first, second, progress, shlex.join(["covscan", *sys.argv[1:]]))
        publish(report, words["form"], outputs, wishes, stdout)
    code = verdict(report, policy)
    return ExitCode.FINDINGS if code == ExitCode.OK and words["exit_code"] and _differs(report) else code


def _differs(report: Report) -> bool:
    """Whether anything moved from the one to the other, above the noise and by enough to matter."""
    return any(measure.significant for shift in report.shifts for measure in shift.measures.values())


def _both(words: Mapping[str, Any], said: Set[str]) -> tuple[Settings, Settings]:
    """The settings of either side. Raises every problem at once."""
    sides = tuple(words["sides"])
    settings = read_settings({**words, "checkpoints": sides[:1]}, said | {"checkpoints"}, read_config(words))
    errors: list[CovscanError] = []
    if settings.data is None:
        errors.append(UsageError("no-data", "there are no samples to run through the models", hint="add --data FILE"))
    if words["model_b_arg"] and words["model_b"] is None:
        errors.append(UsageError("bad-option", "--model-b-arg belongs to --model-b", hint="add --model-b FACTORY"))
    raise_collected(errors)
    arguments = read_model_arguments(words["model_b_arg"])
    return settings, replace(settings, checkpoints=sides[1:], model=words["model_b"], model_args=arguments)
