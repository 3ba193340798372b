"""``covscan diff`` of two models: run both on the same samples and compare them site by site."""

import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from covscan.cli.analyze import verdict
from covscan.cli.outputs import parse_outputs
from covscan.cli.publish import publish
from covscan.cli.streams import payload_only
from covscan.cli.values import read_model_arguments, read_settings, read_threshold, read_wishes
from covscan.config.settings import Settings
from covscan.errors import CovscanError, UsageError, raise_collected
from covscan.render import check_format


def run(words: Mapping[str, Any]) -> int:
    """Run the command; ``words`` are its parameters, with both models under ``sides``. Returns the exit code."""
    wishes = read_wishes(words)
    failing = read_threshold(words["fail_on"])
    check_format(words["form"])
    first, second = _both(words)
    outputs = parse_outputs(words["output"] or ())
    with payload_only() as stdout:
        from covscan.cli.progress import watch
        from covscan.pipeline import compare_models

        progress = watch(quiet=words["quiet"], wishes=wishes)
        report = compare_models(first, second, progress, shlex.join(["covscan", *sys.argv[1:]]))
        publish(report, words["form"], outputs, wishes, stdout)
    return verdict(report, failing)


def _both(words: Mapping[str, Any]) -> tuple[Settings, Settings]:
    """The settings of either side. Raises every problem at once."""
    sides = tuple(words["sides"] or ())
    settings = read_settings({**words, "checkpoints": sides[:1]})
    errors: list[CovscanError] = []
    if len(sides) != 2:
        errors.append(
            UsageError(
                "two-models",
                "two models are compared",
                found=f"{len(sides)} named" + (f": {', '.join(sides)}" if sides else ""),
                hint="name both: covscan diff --data sample.npz net.onnx net-int8.onnx",
            )
        )
    if settings.data is None:
        errors.append(UsageError("no-data", "there are no samples to run through the models", hint="add --data FILE"))
    if words["model_b_arg"] and words["model_b"] is None:
        errors.append(UsageError("bad-option", "--model-b-arg belongs to --model-b", hint="add --model-b FACTORY"))
    raise_collected(errors)
    arguments = read_model_arguments(words["model_b_arg"])
    return settings, replace(settings, checkpoints=sides[1:], model=words["model_b"], model_args=arguments)
