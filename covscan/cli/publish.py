"""One report, to standard output and to files."""

from collections.abc import Sequence
from typing import TextIO

from covscan.cli.outputs import Output, write_outputs
from covscan.cli.streams import Wishes, deliver, look_for
from covscan.render import render
from covscan.report.types import Report


def publish(report: Report, form: str, outputs: Sequence[Output], wishes: Wishes, stdout: TextIO) -> None:
    """Write the files first: they stand also where nobody reads standard output to its end."""
    text = render(report, form, look_for(stdout, wishes))
    write_outputs(report, outputs, verbose=wishes.verbose)
    deliver(stdout, text, encoding="utf-8" if form == "json" else None)
