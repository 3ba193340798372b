"""The settings of a measurement: flags over the configuration file over defaults."""

import dataclasses
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from typing import Any

from covscan.cli.values import (
    read_device,
    read_evidence,
    read_model_arguments,
    read_names,
    read_positions,
    read_rate,
    read_seed,
)
from covscan.config import file
from covscan.config.file import Config, find_config
from covscan.config.settings import Settings
from covscan.errors import CovscanError, UsageError, raise_collected

SETTINGS = frozenset(field.name for field in dataclasses.fields(Settings))
FIELDS = {"model_arg": "model_args", "checkpoint": "checkpoints"}
"""Parameters that have other names than their settings."""
READERS: dict[str, Callable[[Any], Any]] = {
    "model_args": read_model_arguments,
    "checkpoints": read_names,
    "sites": read_names,
    "exclude": read_names,
    "positions": read_positions,
    "device": read_device,
    "evidence": read_evidence,
    "lr": read_rate,
    "seed": read_seed,
}
"""From a parameter's word to the setting, where they are not the same."""


def read_config(words: Mapping[str, Any]) -> Config:
    """The configuration that ``--config`` names, or the one in force here, or an empty one. Raises UsageError."""
    if words["no_config"]:
        if words["config"] is not None:
            raise UsageError("bad-option", "--config and --no-config exclude each other", hint="leave one out")
        return Config()
    path = find_config() if words["config"] is None else Path(words["config"])
    return Config() if path is None else file.read_config(path)


def read_settings(
    words: Mapping[str, Any], said: Set[str], config: Config, fields: Mapping[str, str] = FIELDS
) -> Settings:
    """The settings of a measurement: flags over the file over the command's defaults. Raises every problem at once.

    ``words`` are the command's parameters, ``said`` those of them that were given. ``fields`` says which setting a
    parameter is where that is not its name. A setting that the command has no parameter for keeps its default,
    whatever the file says. Of ``--model-arg`` each replaces or adds one of the file's arguments.
    """
    errors: list[CovscanError] = []
    values: dict[str, Any] = {}
    for parameter, word in words.items():
        name = fields.get(parameter, parameter)
        if name in SETTINGS:
            try:
                values[name] = READERS.get(name, _as_it_is)(word)
            except UsageError as error:
                errors.append(error)
            if parameter not in said and name in config.settings:
                values[name] = config.settings[name]
    raise_collected(errors)
    if "model_arg" in said:
        values["model_args"] = tuple((dict(config.settings.get("model_args", ())) | dict(values["model_args"])).items())
    return Settings(**values)


def _as_it_is(word: Any) -> Any:
    return word
