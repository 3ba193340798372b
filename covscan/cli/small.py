"""The commands that print one thing."""

import json
import sys

from covscan.cli.streams import deliver
from covscan.cli.values import choice
from covscan.errors import ExitCode
from covscan.version import __version__


def print_version(form: str) -> int:
    """Print the version, alone or as JSON."""
    as_json = choice("--format", form, ("text", "json")) == "json"
    text = json.dumps({"name": "covscan", "version": __version__}) if as_json else f"covscan {__version__}"
    deliver(sys.stdout, f"{text}\n")
    return ExitCode.OK


def print_schema() -> int:
    """Print the JSON Schema of the report, byte for byte the file that the package ships."""
    from covscan.report.schema import SHIPPED

    deliver(sys.stdout, SHIPPED.read_text(encoding="utf-8"), encoding="utf-8")
    return ExitCode.OK
