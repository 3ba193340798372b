"""The schema for editors agrees with what covscan itself takes and refuses."""

import dataclasses
import json
import re
import tomllib

import jsonschema
import pytest

from covscan.config import Settings
from covscan.config.document import Document, Measurement
from covscan.config.file import read_config
from covscan.config.policy import Budget, Check
from covscan.config.schema import schema
from covscan.config.writing import CHECK_EXAMPLES, EXAMPLES, write_config
from covscan.errors import CovscanError
from covscan.gate.measured import how, measured
from covscan.report import read


def problems(text):
    content = json.loads(json.dumps(tomllib.loads(text), default=str))
    return [error.message for error in jsonschema.Draft202012Validator(schema()).iter_errors(content)]


def refused(text, folder):
    path = folder / "covscan.toml"
    path.write_text(text, encoding="utf-8")
    try:
        read_config(path)
    except CovscanError as error:
        return str(error)
    return ""


def uncommented(text):
    """A configuration with every key that stands behind a # taken into force."""
    return re.sub(r"^#(?! )", "", text, flags=re.MULTILINE)


def test_it_is_a_schema_of_the_dialect_that_it_names():
    jsonschema.Draft202012Validator.check_schema(schema())
    assert schema()["$schema"].endswith("2020-12/schema")
    assert "#:schema" not in json.dumps(schema())


def test_every_key_is_described_in_kebab_case_and_no_other_is_allowed():
    whole = schema()
    for record in (whole, *whole["$defs"].values()):
        assert record["additionalProperties"] is False
        assert record["description"] == record["description"].strip()
        for key, value in record["properties"].items():
            assert re.fullmatch(r"[a-z]+(-[a-z]+)*", key)
            assert value["description"]
    assert '"null"' not in json.dumps(whole)


def test_defaults_are_those_of_the_settings():
    properties = schema()["properties"]
    assert (properties["samples"]["default"], properties["per-channel"]["default"]) == (512, False)
    assert not {"model", "lr", "sites"} & {key for key, value in properties.items() if "default" in value}


def test_every_setting_but_trust_is_a_key():
    assert set(Measurement.__struct_fields__) == {field.name for field in dataclasses.fields(Settings)} - {"trust"}
    assert set(Document.__struct_fields__) > set(Measurement.__struct_fields__)


def test_every_key_has_an_example_or_a_default():
    without = [key for key, value in schema()["properties"].items() if "default" not in value]
    assert set(without) - {"check", "budgets", "suppressions", "baseline"} == set(EXAMPLES)
    assert list(CHECK_EXAMPLES) == [name.replace("_", "-") for name in Check.__struct_fields__]


def test_what_init_writes_is_valid_with_and_without_the_examples(samples, tmp_path):
    report = read(samples / "digits-sigmoid" / "report-batchnorm.json")
    text = write_config({"model": "nets.py:build"}, {"data": "x.npz"}, measured(report), how(report), trust=True)
    for each in (text, uncommented(text)):
        assert problems(each) == []
        assert refused(each, tmp_path) == ""
    full = tomllib.loads(uncommented(text))
    assert set(full) == set(schema()["properties"])
    assert set(full["check"]) == {name.replace("_", "-") for name in Check.__struct_fields__}


WRONG = [
    "trust = true",
    "batch_size = 3",
    "samples = 0",
    "samples = 'x'",
    "samples = true",
    "positions = 'some'",
    "device = 'gpu'",
    "lr = 0",
    "model = ''",
    "checkpoints = 'x'",
    "checkpoints = ['']",
    "seed = 9223372036854775808",
    "[check]\nfail-on = 'warn'",
    "[check]\nfailon = 'error'",
    "[check.site-ignores]\na = 3",
    "[budgets.a]\nmaximum = 3",
    "[budgets.a]\nmax = 'x'",
    "[budgets.a]\nlevel = 'warning'",
    "[[suppressions]]\ncodes = ['COV211']",
    "[[suppressions]]\ncodes = []\nreason = 'x'",
    "[baseline]\nrelative = -1",
    "[baseline]\nfile = 'x'",
]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_refused_by_both(text, tmp_path):
    assert problems(text)
    assert refused(text, tmp_path)


RIGHT = [
    "",
    "samples = 3",
    "positions = 'all'",
    "[budgets.a]\nlevel = 'off'",
    "[check]\n",
    "lr = 1",
    "suppressions = []",
]


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_right_is_taken_by_both(text, tmp_path):
    assert problems(text) == []
    assert refused(text, tmp_path) == ""


def test_the_schema_follows_the_structs():
    properties = schema()["$defs"]["Budget"]["properties"]
    assert set(properties) == {name.replace("_", "-") for name in Budget.__struct_fields__}
