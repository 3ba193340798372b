"""What trainings and gradients added to the report, and reports from before."""

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from covscan.errors import UsageError
from covscan.report import from_json, schema, to_json
from covscan.report.training import Gain

GOLDEN = Path(__file__).parent.parent / "golden"
NEW = {
    "candidates": ("tier", "verdict", "gain", "gain_at_rate", "one_step"),
    "suggestions": (
        "verdict",
        "gain",
        "gain_at_rate",
        "gain_of_fixed_affine",
        "stays_first",
        "exchangeable_with",
    ),
}


def content(name="trained"):
    return json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


def old(name="digits"):
    """A report as it was before anything was trained."""
    found = content(name)
    for part, fields in NEW.items():
        for record in found[part]:
            for field in fields:
                del record[field]
    del found["trials"], found["gradients"]
    return found


def test_what_was_trained_is_read_back():
    report = from_json(json.dumps(content()))
    assert report.trials.tier == "trial"
    assert report.trials.rivals["warm-up"] == Gain(value=0.02, low=-0.04, high=0.08)
    assert report.trials.curve_with[-1] == 1.2
    assert report.candidates[0].gain.value == 0.41
    assert report.candidates[3].one_step == Gain(value=0.0, low=None, high=None)
    assert report.suggestions[0].exchangeable_with == ["before head"]
    assert report.gradients.shifts[0].from_ == "ckpt-00000"
    assert report.gradients.landscapes[0].stability == 0.85
    assert from_json(to_json(report)) == report


def test_an_old_report_reads_with_nothing_trained():
    report = from_json(json.dumps(old()))
    assert report == from_json(json.dumps(content("digits")))
    assert (report.trials, report.gradients) == (None, None)
    assert {(c.tier, c.verdict, c.gain) for c in report.candidates} == {("forward", None, None)}
    assert report.suggestions[0].exchangeable_with == []


def test_an_old_report_follows_the_schema_of_today():
    jsonschema.Draft202012Validator(schema()).validate(old())


@pytest.mark.parametrize(
    "damage",
    [
        lambda r: r["candidates"][0].update(verdict="maybe"),
        lambda r: r["candidates"][0].update(tier="guess"),
        lambda r: r["candidates"][0]["gain"].update(value=None),
        lambda r: r["suggestions"][0]["gain"].pop("low"),
        lambda r: r["trials"].update(intervention="later"),
        lambda r: r["trials"].update(steps=1.5),
        lambda r: r["gradients"]["shifts"][0].pop("from"),
    ],
)
def test_what_is_no_such_record_is_refused_by_reader_and_schema(damage):
    damaged = content()
    damage(damaged)
    assert not jsonschema.Draft202012Validator(schema()).is_valid(damaged)
    with pytest.raises(UsageError):
        from_json(json.dumps(damaged))


def test_every_new_field_says_what_it_is():
    parts = schema()["$defs"]
    for part, fields in (("Candidate", NEW["candidates"]), ("Suggestion", NEW["suggestions"])):
        for field in fields:
            assert "description" in json.dumps(parts[part]["properties"][field]), (part, field)


def test_a_proof_is_read_back():
    from covscan.report.proof import PROOF_VERSION, Proof
    from covscan.report.types import Tool

    known = {
        "model": "net", "site": "fc", "norm": "LayerNorm", "start": "x", "loss": "mse", "optimizer": "sgd",
        "fingerprint": "0",
    }  # fmt: skip
    found = Proof(
        proof_version=PROOF_VERSION, tool=Tool(name="covscan", version="0"), position="before", rate=None,
        intervention="into a checkpoint", batch_size=4, samples=9, held_out=2, steps=5, seeds=1, arms=[],
        over_fixed_affine=None, verdict="unresolved", notes=["n"], **known,
    )  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(found), type=Proof) == found
