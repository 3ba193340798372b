import copy
import json
import os
import re
from pathlib import Path

import jsonschema
import pytest

from covscan.render import FORMATS, render
from covscan.report import read, schema
from covscan.report.schema import SHIPPED, schema_text

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


def test_it_names_itself():
    document = schema()
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert document["$id"] == "urn:covscan:report:1.1"
    assert document["title"] == "covscan report 1.1"
    assert set(document["required"]) >= {"sites", "shifts", "suggestions"}


def undescribed(document):
    """Records and fields without a description, by their place."""
    parts = {"": document} | document["$defs"]
    fields = {
        f"{name}.{field}": found for name, part in parts.items() for field, found in part.get("properties", {}).items()
    }
    return [place for place, found in (parts | fields).items() if not found.get("description", "").strip()]


def test_every_record_and_every_field_says_what_it_is():
    assert undescribed(schema()) == []


@pytest.mark.parametrize("place", ["Gate", "Site.position", "Finding.severity", ".gate", "Statistics.p50"])
def test_that_test_can_fail(place):
    document = schema()
    record, _, field = place.partition(".")
    part = document["$defs"][record] if record else document
    (part["properties"][field] if field else part).pop("description")
    assert undescribed(document) == [place]


UNIT = re.compile(
    r"in the (squared )?unit of|in the same unit|in units of|in seconds|in directions|a pure number|0 to (about )?1"
    r"|relative to| over |ln |from 1|multiple of|rate|share|cos|norm of|\|<"
)


@pytest.mark.parametrize("record", ["Run", "Statistics", "Measure", "Landscape", "LayerGradient", "Gain"])
def test_a_number_says_its_unit_or_what_it_is_relative_to(record):
    for name, field in schema()["$defs"][record]["properties"].items():
        if "number" in json.dumps(field) and not (record == "Gain" and name != "value"):
            assert UNIT.search(field["description"]), (name, field["description"])


def test_the_package_ships_the_schema_that_it_follows():
    if os.environ.get("COVSCAN_UPDATE_GOLDEN") == "1":
        SHIPPED.write_text(schema_text(), encoding="utf-8")
    assert SHIPPED.read_text(encoding="utf-8") == schema_text()
    assert json.loads(SHIPPED.read_text(encoding="utf-8")) == schema()


def test_descriptions_do_not_hang_on_how_this_python_keeps_docstrings():
    assert "\n  " not in "".join(each.get("description", "") for each in schema()["$defs"].values())


EARLIER = Path(__file__).parent / "report-1.0.json"


def test_a_report_of_an_earlier_minor_version_follows_the_schema_of_today():
    content = json.loads(EARLIER.read_text(encoding="utf-8"))
    assert content["schema_version"] == "1.0"
    assert "gate" not in content
    assert "source" not in content["sites"][0]
    assert "suppressed" not in content["findings"][0]
    validator(closed()).validate(content)


@pytest.mark.parametrize("form", FORMATS)
def test_a_report_of_an_earlier_minor_version_is_rendered_in_every_format(form):
    report = read(EARLIER)
    assert (report.schema_version, report.gate) == ("1.0", None)
    assert render(report, form).strip()
