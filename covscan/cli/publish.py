"""One report, to standard output and to files."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TextIO

from covscan.cli.outputs import Output, write_outputs
from covscan.cli.streams import Wishes, deliver, look_for
from covscan.render import render
from covscan.report.types import Report


def publish(report: Report, form: str, outputs: Sequence[Output], wishes: Wishes, stdout: TextIO) -> None:
    """Write the files first: they stand also where nobody reads standard output to its end.

    Only text is written in the encoding of the terminal; the other formats are read by programs, as UTF-8.
    """
    look = look_for(stdout, wishes)
    encoding = None if form == "text" else "utf-8"
    text = render(report, form, look if encoding is None else replace(look, unicode=True))
    write_outputs(report, outputs, wishes)
    deliver(stdout, text, encoding=encoding)
