"""SARIF against its schema, and as a viewer reads it."""

import json
from pathlib import Path
from urllib.parse import unquote

import jsonschema
import pytest
from msgspec.structs import replace
from report_factory import HOSTILE, KINDS, annotated, finding, report

from covscan.catalog import page, pages
from covscan.render import render
from covscan.render.as_sarif import MOST
from covscan.render.names import printable

SCHEMA = json.loads((Path(__file__).parent / "schemas" / "sarif-2.1.0.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft4Validator(SCHEMA, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER)


def sarif(found):
    return json.loads(render(found, "sarif"))


def run(found):
    return sarif(found)["runs"][0]


@pytest.mark.parametrize("kind", KINDS)
def test_every_report_follows_the_schema(kind):
    VALIDATOR.validate(sarif(KINDS[kind]()))


def test_that_test_can_fail():
    document = sarif(annotated())
    for damage in (
        lambda r: r["results"][0].update(level="grave"),
        lambda r: r["results"][0].update(misspelt=1),
        lambda r: r["results"][0].pop("message"),
        lambda r: r["tool"]["driver"].pop("name"),
        lambda r: r["results"][0]["locations"][0]["physicalLocation"]["region"].update(startLine=0),
    ):
        damaged = json.loads(json.dumps(document))
        damage(damaged["runs"][0])
        assert not VALIDATOR.is_valid(damaged)


def by_message(found):
    return {result["message"]["text"]: result for result in run(found)["results"]}


def test_a_result_names_rule_level_line_and_layer():
    result = by_message(annotated())["means moved by 1.2 sd from step 0 to 100"]
    assert (result["ruleId"], result["level"]) == ("COV201", "warning")
    location = result["locations"][0]
    artifact = location["physicalLocation"]["artifactLocation"]
    assert artifact == {"uri": "src/nets/%C3%A9%20net.py", "uriBaseId": "%SRCROOT%"}
    assert unquote(artifact["uri"]) == "src/nets/é net.py"
    assert artifact["uriBaseId"] in run(annotated())["originalUriBaseIds"]
    assert location["physicalLocation"]["region"] == {"startLine": 12}
    assert location["logicalLocations"] == [{"fullyQualifiedName": "blocks.0.conv", "kind": "Conv2d"}]


def test_what_is_about_the_run_stands_at_the_configuration_without_a_layer():
    location = by_message(annotated())["64 samples resolve shifts of 0.3 sd and more"]["locations"][0]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "configs/a%20b.toml"
    assert "logicalLocations" not in location


def test_where_no_file_is_known_the_layer_alone_is_named():
    found = report([], [], findings=[finding("COV201", "r", "info", site, "m") for site in ("fc", None)])
    found = replace(found, model=replace(found.model, description="model.onnx"))
    first, second = (result["locations"] for result in run(found)["results"])
    assert first == [{"logicalLocations": [{"fullyQualifiedName": "fc", "kind": "module"}]}]
    assert second == []


def test_rules_are_those_that_fired_with_their_pages():
    found = run(annotated())
    rules = found["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["COV101", "COV103", "COV201", "COV217", "COV901", "COV999"]
    for result in found["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    known = rules[2]
    assert known["name"] == "mean-shift"
    assert known["shortDescription"]["text"] == page("COV201").summary
    assert known["help"]["markdown"] == page("COV201").body
    assert "## " not in known["fullDescription"]["text"]
    assert known["defaultConfiguration"] == {"level": "warning"}
    assert rules[-1] == {"id": "COV999", "name": "of-another-version"}


def test_descriptions_are_no_longer_than_github_shows():
    every = [finding(rule.code, rule.name, "info", None, "m") for rule in pages()]
    for rule in run(report([], [], findings=every))["tool"]["driver"]["rules"]:
        assert 0 < len(rule["shortDescription"]["text"]) <= 1024
        assert 0 < len(rule["fullDescription"]["text"]) <= 1024


def test_a_suppressed_finding_is_there_and_says_why():
    result = by_message(annotated())["37 % saturated"]
    assert result["suppressions"] == [{"kind": "external", "status": "accepted", "justification": "wanted: see #12"}]
    assert [result["ruleId"] for result in by_message(annotated()).values() if "suppressions" in result] == ["COV217"]


def test_fingerprints_are_unique():
    prints = [result["partialFingerprints"]["covscanSite/v1"] for result in run(annotated())["results"]]
    assert len(set(prints)) == len(prints)


def test_the_invocation_tells_the_verdict_where_there_is_one():
    judged = run(annotated())["invocations"][0]
    assert judged["executionSuccessful"] is True
    assert judged["exitCode"] == 1
    assert judged["exitCodeDescription"] == "failed. budget shift is exceeded: 1.2 against 0.5. 2 errors"
    assert judged["properties"]["budgets"]["cka"] == "inconclusive: the interval crosses the limit at n = 512"
    measured = replace(annotated().run, started="2026-03-01T12:00:00+00:00")  # as the pipeline writes it
    assert run(replace(annotated(), run=measured))["invocations"][0]["startTimeUtc"] == "2026-03-01T12:00:00Z"
    assert "exitCode" not in run(KINDS["digits"]())["invocations"][0]


def test_no_more_results_than_github_keeps_and_the_rest_is_counted():
    found = [finding("COV201", "r", severity, f"s{n}", "m") for severity in ("info", "error") for n in range(3000)]
    made = run(report([], [], findings=found))
    assert len(made["results"]) == MOST
    levels = [result["level"] for result in made["results"]]
    assert (levels.count("error"), levels.count("note")) == (3000, 2000)
    said = made["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
    assert said == "1,000 findings left out, the least grave: the JSON report has them all"
    assert "toolExecutionNotifications" not in run(annotated())["invocations"][0]


def test_brackets_and_braces_are_text():
    messages = ["[a](http://x)", "{0} and {name}", "-89 % [-100, -72] of (it)", "a[0](1)"]
    found = report([], [], findings=[finding("COV201", "r", "info", None, message) for message in messages])
    shown = [result["message"]["text"] for result in run(found)["results"]]
    assert shown == [r"\[a\](http://x)", "{{0}} and {name}", "-89 % [-100, -72] of (it)", r"a\[0\](1)"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_the_name_of_the_layer_and_spelled_out_in_prose(name):
    results = run(KINDS["hostile"]())["results"]
    mine = [result for result in results if result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == name]
    assert len(mine) == 1
    assert mine[0]["message"]["text"].isprintable()
    if "](" not in name and "{" not in name:
        assert mine[0]["message"]["text"].startswith(printable(name))
