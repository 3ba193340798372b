import json
from pathlib import Path

import pytest

from covscan.errors import UsageError
from covscan.report import from_json, read, to_json

GOLDEN = Path(__file__).parent.parent / "golden"


def golden():
    return json.loads((GOLDEN / "digits.json").read_text())


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_reading_and_writing_give_the_same_bytes(path):
    text = path.read_text(encoding="utf-8")
    assert to_json(from_json(text)) == text
    assert to_json(from_json(b"\xef\xbb\xbf" + text.encode())) == text


def test_fields_of_a_newer_minor_version_are_left_out():
    content = golden()
    content["schema_version"] = "1.9"
    content["novelty"] = {"x": 1}
    content["sites"][0]["statistics"]["ckpt-00000"]["p99_9"] = 4.0
    report = from_json(json.dumps(content))
    assert report.schema_version == "1.9"
    assert not hasattr(report, "novelty")


def error_of(text, source="the report"):
    with pytest.raises(UsageError) as caught:
        from_json(text, source)
    return caught.value


@pytest.mark.parametrize(
    "text",
    ["", "{", "not json", b"\xff\xfe", "[" * 100_000, '{"a": 1e999}', '{"a": NaN}', "\ud800"],
    ids=["empty", "cut", "prose", "bytes", "nested", "huge", "nan", "surrogate"],
)
def test_what_is_no_json_is_broken(text):
    error = error_of(text, "'r.json'")
    assert error.code == "broken-report"
    assert "'r.json' is not JSON" in str(error)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[]", "a JSON list"),
        ("{}", "an empty object"),
        ('{"name": "x", "scripts": {}}', "'name', 'scripts'"),
        ('{"schema_version": "1.0", "tool": {"name": "other"}}', "'schema_version'"),
        ('{"schema_version": 1, "tool": {"name": "covscan"}}', "'tool'"),
        ('{"schema_version": "one", "tool": {"name": "covscan"}}', "'tool'"),
    ],
)
def test_json_of_others_is_foreign(text, found):
    error = error_of(text)
    assert error.code == "foreign-report"
    assert found in error.found


@pytest.mark.parametrize("version", ["2.0", "0.9", "10.0"])
def test_another_major_version_is_refused(version):
    error = error_of(json.dumps(golden() | {"schema_version": version}))
    assert error.code == "report-version"
    assert version in error.message


def test_a_report_that_breaks_its_schema_names_the_place():
    content = golden()
    content["sites"][3]["channels"] = "many"
    error = error_of(json.dumps(content))
    assert error.code == "broken-report"
    assert "$.sites[3].channels" in error.found


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match="none"):
        read(tmp_path / "none.json")
    with pytest.raises(UsageError) as caught:
        read(tmp_path)
    assert caught.value.found
    (tmp_path / "cut.json").write_text('{"schema')
    with pytest.raises(UsageError, match=r"cut\.json' is not JSON"):
        read(tmp_path / "cut.json")


def test_a_report_on_disk_is_read():
    assert read(GOLDEN / "digits.json").data.samples == 512
