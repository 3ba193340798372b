"""What a command line that was run before said."""

import shlex
from collections.abc import Mapping
from typing import Any

from covscan.cli.values import given


def said_by(line: str) -> Mapping[str, Any]:
    """The parameters that a command line of covscan gave, by name; none where it is no such line.

    It is parsed by the command itself, as this version knows it; nothing is run.
    """
    from covscan.cli.app import command
    from covscan.cli.entry import BAD_USAGE

    try:
        program, name, *arguments = shlex.split(line)
        found = command().commands[name]
        context = found.make_context(name, arguments, resilient_parsing=True)
    except (ValueError, KeyError, BAD_USAGE):
        return {}
    return {each: context.params[each] for each in given(context)} if program == "covscan" else {}
