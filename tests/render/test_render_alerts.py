"""Where findings are shown, and by what they are known again."""

import random

import pytest
from msgspec.structs import replace
from report_factory import annotated, checkpoint, finding, report

from covscan.render.alerts import alerts
from covscan.report.types import Model, SourceLine


def described(description, **more):
    model = Model(description=description, engine="torch", parameters=1, device="cpu")
    return report([checkpoint(0)], [], model=model, findings=[finding("COV101", "r", "info", None, "m")], **more)


@pytest.mark.parametrize(
    ("description", "file"),
    [
        ("nets.py:plain with PyTorch checkpoint weights", "nets.py"),
        ("./src\\my nets.py:Net.build, untrained", "src/my nets.py"),
        ("/home/me/nets.py:plain", "runs/ckpt-00000.pt"),
        ("C:\\me\\nets.py:plain", "runs/ckpt-00000.pt"),
        ("../nets.py:plain", "runs/ckpt-00000.pt"),
        ("package.module:plain with weights", "runs/ckpt-00000.pt"),
        ("epoch.onnx", "runs/ckpt-00000.pt"),
    ],
)
def test_a_finding_about_the_run_is_shown_at_the_models_file_where_it_is_inside(description, file):
    assert alerts(described(description))[0].place == SourceLine(file=file, line=1)


def test_where_nothing_is_inside_there_is_no_place():
    outside = replace(described("/nets.py:plain"), checkpoints=[replace(checkpoint(0), path="/runs/0.pt")])
    assert alerts(outside)[0].place is None


def test_the_file_of_any_site_is_better_than_a_checkpoint():
    found = replace(annotated(), gate=None, model=described("a.b:c").model)
    places = {alert.finding.code: alert.place for alert in alerts(found)}
    assert places["COV101"] == SourceLine(file="src/nets/é net.py", line=1)
    assert places["COV201"] == SourceLine(file="src/nets/é net.py", line=12)


def test_a_fingerprint_holds_no_value_and_nothing_of_the_order_or_of_suppressions():
    found = annotated()
    known = {alert.finding.message: alert.fingerprint for alert in alerts(found, suppressed=True)}
    assert len(set(known.values())) == len(found.findings)
    shuffled = [one for one in found.findings if one.code != "COV201"]
    random.Random(1).shuffle(shuffled)
    other = replace(found, findings=[*shuffled, *(one for one in found.findings if one.code == "COV201")])
    assert {alert.finding.message: alert.fingerprint for alert in alerts(other, suppressed=True)} == known
    valued = [replace(one, message="9.9", severity="info", checkpoint="x", evidence={}) for one in found.findings]
    again = alerts(replace(found, findings=valued), suppressed=True)
    assert {alert.fingerprint for alert in again} == set(known.values())
    counting = {alert.fingerprint for alert in alerts(found)}
    assert counting == set(known.values()) - {known["37 % saturated"]}


def test_sites_rules_and_positions_have_fingerprints_of_their_own():
    one = finding("COV201", "r", "info", "fc", "m")
    others = [replace(one, code="COV202"), replace(one, site="fc2"), replace(one, position="input"), replace(one)]
    assert len({alert.fingerprint for alert in alerts(report([], [], findings=[one, *others]))}) == 5
