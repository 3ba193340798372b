"""SARIF 2.1.0, which code scanning keeps as alerts from one run to the next."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from covscan.errors import UsageError
from covscan.render.alerts import Alert, alerts
from covscan.render.figures import counted
from covscan.render.look import Look
from covscan.render.names import printable
from covscan.render.sarif_text import plain
from covscan.report import to_json
from covscan.report.gate import Gate
from covscan.report.types import Finding, Report, Severity

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"
LEVELS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}
PROBLEMS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "recommendation"}
MOST = 5000
"""Results that GitHub keeps of a run; it refuses a file with more than 25,000."""

Object = dict[str, Any]


def render(report: Report, _look: Look) -> str:
    """One run with a result for each finding, the gravest first, suppressed ones among them and marked.

    At most ``MOST`` results are written; a notification says how many were left out.
    """
    found = alerts(report, suppressed=True)
    shown, left_out = found[:MOST], len(found) - MOST
    rules = _rules(shown)
    places = {rule["id"]: place for place, rule in enumerate(rules)}
    kinds = {site.site: printable(site.type) for site in report.sites}
    run = {
        "tool": {"driver": {"name": "covscan", "version": report.tool.version, "rules": rules}},
        "invocations": [_invocation(report, left_out)],
        "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the repository."}}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(alert, places[alert.finding.code], kinds) for alert in shown],
    }
    return to_json({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _rules(shown: Sequence[Alert]) -> list[Object]:
    """The rules that fired, by code."""
    first: dict[str, Finding] = {}
    for alert in shown:
        first.setdefault(alert.finding.code, alert.finding)
    return [_rule(first[code]) for code in sorted(first)]


def _rule(finding: Finding) -> Object:
    from covscan.catalog import page

    rule: Object = {"id": finding.code, "name": printable(finding.name)}
    try:
        known = page(finding.code)
    except UsageError:  # of another version of covscan
        return rule
    measures = known.body.partition("## What it measures\n")[2].partition("\n\n")[0]
    return rule | {
        "shortDescription": {"text": known.summary},
        "fullDescription": {"text": measures.replace("\n", " ") or known.summary},
        "help": {"text": known.body, "markdown": known.body},
        "defaultConfiguration": {"level": LEVELS[known.severity]},
        "properties": {"problem.severity": PROBLEMS[known.severity], "tags": ["covscan"]},
    }


def _result(alert: Alert, rule: int, kinds: Mapping[str, str]) -> Object:
    finding = alert.finding
    result: Object = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": LEVELS[finding.severity],
        "message": {"text": plain(finding.message)},
        "locations": _locations(alert, kinds),
        "partialFingerprints": {"covscanSite/v1": alert.fingerprint},
    }
    if finding.suppressed is not None:
        reason = printable(finding.suppressed)
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": reason}]
    return result


def _locations(alert: Alert, kinds: Mapping[str, str]) -> list[Object]:
    location: Object = {}
    if alert.place is not None:
        location["physicalLocation"] = {
            "artifactLocation": {"uri": quote(alert.place.file, errors="backslashreplace"), "uriBaseId": ROOT},
            "region": {"startLine": alert.place.line},
        }
    if alert.finding.site is not None:
        site = alert.finding.site
        location["logicalLocations"] = [{"fullyQualifiedName": site, "kind": kinds.get(site, "module")}]
    return [location] if location else []


def _invocation(report: Report, left_out: int) -> Object:
    made: Object = {"executionSuccessful": True, "startTimeUtc": report.run.started.replace("+00:00", "Z")}
    if report.gate is not None:
        made |= _verdict(report.gate)
    if left_out > 0:
        text = f"{counted(left_out, 'finding')} left out, the least grave: the JSON report has them all"
        made["toolExecutionNotifications"] = [{"level": "note", "message": {"text": text}}]
    return made


def _verdict(gate: Gate) -> Object:
    said = ". ".join([gate.verdict, *(printable(reason).rstrip(".") for reason in gate.reasons)])
    outcomes = {printable(budget.budget): f"{budget.outcome}: {printable(budget.message)}" for budget in gate.budgets}
    return {
        "exitCode": gate.exit_code,
        "exitCodeDescription": said,
        "properties": {"verdict": gate.verdict, "budgets": outcomes},
    }
