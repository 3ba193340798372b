"""``covscan explain``: how the numbers of one site came about, from the report alone."""

import sys
from collections.abc import Mapping
from typing import Any

from covscan.cli.obtain import read_report
from covscan.cli.streams import deliver, look_for
from covscan.cli.values import choice, read_names, read_wishes
from covscan.errors import ExitCode
from covscan.explain import Request, explain
from covscan.explain.request import PREFERRED
from covscan.report.encode import to_json

FORMATS = ("text", "json", "markdown")


def run(words: Mapping[str, Any]) -> int:
    """Run the command; ``words`` are its parameters. Returns the exit code: 1 where a number does not follow."""
    wishes = read_wishes(words)
    form = choice("--format", words["form"], FORMATS)
    position = None if words["position"] is None else choice("--position", words["position"], PREFERRED)
    request = Request(words["site"], position, read_names(words["checkpoint"]), read_names(words["measure"]))
    found = explain(read_report(words["report"]), request, words["report"])
    if form == "json":
        deliver(sys.stdout, to_json(found), encoding="utf-8")
    else:
        from covscan.render.content.explanation import document

        look = look_for(sys.stdout, wishes)
        if form == "markdown":
            from covscan.render.as_markdown import draw as as_markdown

            deliver(sys.stdout, as_markdown(document(found, look)), encoding="utf-8")
        else:
            from covscan.render.as_text import draw

            deliver(sys.stdout, draw(document(found, look), look))
    return ExitCode.FINDINGS if found.disagreeing else ExitCode.OK
