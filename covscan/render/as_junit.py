"""JUnit XML, which nearly every CI system shows as a list of tests."""

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from covscan.render.junit_cases import Case, Suite, suites
from covscan.render.look import Look
from covscan.render.names import printable
from covscan.report.types import Report


def render(report: Report, _look: Look) -> str:
    """A suite for what was measured, one for the budgets of a gate, and one for each rule that fired.

    In the last a site is a case, which fails where a finding there fails the gate (without one: from warnings on).
    What could not be judged is skipped, with its reason.
    """
    found = list(suites(report))
    root = ET.Element("testsuites", {"name": "covscan", **_counts(case for suite in found for case in suite.cases)})
    root.set("time", _seconds(report.run.seconds))
    root.extend(_suite(suite, report.run.started) for suite in found)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(suite: Suite, started: str) -> ET.Element:
    skipped = sum(case.skipped is not None for case in suite.cases)
    element = ET.Element("testsuite", {"name": printable(suite.name), **_counts(suite.cases)})
    element.set("skipped", str(skipped))
    element.set("time", _seconds(suite.seconds))
    element.set("timestamp", started.partition("+")[0].removesuffix("Z"))
    element.extend(_case(case, suite.name) for case in suite.cases)
    return element


def _case(case: Case, suite: str) -> ET.Element:
    element = ET.Element("testcase", classname=f"covscan.{printable(suite)}", name=printable(case.name))
    element.set("time", _seconds(0))
    for tag, kind, said in (("skipped", "skipped", case.skipped), ("failure", case.kind, case.failure)):
        if said is not None:
            lines = [printable(line) for line in said]
            child = ET.SubElement(element, tag, type=kind, message=lines[0])
            child.text = "\n".join(lines)
    if case.remarks:
        output = ET.SubElement(element, "system-out")
        output.text = "\n".join(printable(line) for line in case.remarks)
    return element


def _counts(cases: Iterable[Case]) -> dict[str, str]:
    known = list(cases)
    failures = sum(case.failure is not None for case in known)
    return {"tests": str(len(known)), "failures": str(failures), "errors": "0"}


def _seconds(value: float) -> str:
    return f"{value:.3f}"
