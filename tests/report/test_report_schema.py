import copy
import json
from pathlib import Path

import jsonschema
import pytest

from covscan.report import schema

GOLDEN = Path(__file__).parent.parent / "golden"


def closed():
    """The schema without room for further fields, so that a misspelt field of ours is caught."""
    strict = copy.deepcopy(schema())
    for part in [strict, *strict["$defs"].values()]:
        if "properties" in part:
            part["additionalProperties"] = False
    return strict


def validator(document):
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_every_golden_report_follows_the_schema(path):
    validator(closed()).validate(json.loads(path.read_text()))


def test_the_schema_notices_what_is_wrong():
    report = json.loads((GOLDEN / "digits.json").read_text())
    wrong = [
        lambda r: r.pop("data"),
        lambda r: r["findings"][0].update(severity="fatal"),
        lambda r: r["shifts"][0].pop("from"),
        lambda r: r["sites"][0]["statistics"]["ckpt-00000"].update(mean="0"),
        lambda r: r["sites"][0].update(misspelt=1),
    ]
    for damage in wrong:
        damaged = copy.deepcopy(report)
        damage(damaged)
        assert not validator(closed()).is_valid(damaged)


def test_a_newer_minor_version_passes_the_published_schema():
    report = json.loads((GOLDEN / "digits.json").read_text()) | {"novelty": 1}
    validator(schema()).validate(report)


def test_it_names_itself_and_describes_its_fields():
    document = schema()
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert document["$id"] == "urn:covscan:report:1.1"
    assert document["title"] == "covscan report 1.1"
    assert "description" in document["$defs"]["Measure"]["properties"]["noise"]
    assert set(document["required"]) >= {"sites", "shifts", "suggestions"}
