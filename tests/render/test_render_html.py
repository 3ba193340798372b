import base64
import hashlib
import re
import sys
from pathlib import Path

import pytest
from html_testing import Page
from msgspec import structs
from report_factory import HOSTILE, KINDS, deep, digits, trained, wide

from covscan.errors import UsageError
from covscan.render import DRAWN, render
from covscan.render.figures import compact
from covscan.render.names import printable
from covscan.render.web.anchors import anchor
from covscan.render.web.measured import MANY_CELLS
from covscan.report import from_json, read, to_json

MIB = 2**20
EARLIER = Path(__file__).parent.parent / "report" / "report-1.0.json"


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    report = KINDS[request.param]()
    return request.param, report, Page(render(report, "html"))


def test_a_page_is_well_formed_and_holds_three_scripts(kind):
    _, _, page = kind
    assert page.found("html", lang="en")
    assert [each.get("type") for each in page.found("script")] == ["application/octet-stream"] * 2 + [None]
    identifiers = [each["id"] for _, each in page.elements if "id" in each]
    assert len(identifiers) == len(set(identifiers))


def test_a_page_asks_for_nothing_and_its_policy_allows_nothing(kind):
    _, _, page = kind
    (policy,) = [each["content"] for each in page.found("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    loading = [
        each.get(name) for _, each in page.elements for name in ("src", "srcset", "action", "data") if name in each
    ]
    assert loading == []
    assert all(each["href"].startswith("#") for tag, each in page.elements if "href" in each)
    assert not [name for _, each in page.elements for name in each if name.startswith("on") or name == "style"]
    assert "@import" not in page.inside("style")
    assert "url(" not in page.inside("style")


def test_the_policy_knows_the_scripts_and_the_style_by_their_hashes():
    page = Page(render(digits(), "html"))
    (policy,) = [each["content"] for each in page.found("meta") if "http-equiv" in each]
    allowed = dict(part.split(" ", 1) for part in policy.split("; "))

    def digest(text):
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert allowed["script-src"].split() == [digest(page.scripts()[2]), digest(page.packed(0))]
    assert allowed["style-src"] == digest(page.inside("style"))


def test_every_fragment_leads_somewhere(kind):
    _, _, page = kind
    identifiers = {each["id"] for _, each in page.elements if "id" in each}
    keys = {site["key"] for site in page.data()["sites"]}
    for each in page.found("a"):
        assert each["href"][1:] in identifiers | keys


def test_every_site_has_a_row_with_its_figures_and_a_permalink(kind):
    _, report, page = kind
    if len(report.checkpoints) < 2:
        assert not page.found("table", id="shifts")
        return
    rows = {each["id"]: cells for each, cells in page.rows if each.get("id", "").startswith("layer=")}
    shown = [site for site in report.sites if site.same_as is None]
    assert set(rows) == {anchor(site.site, site.position) for site in shown}
    for shift in report.shifts:
        measure = shift.measures.get("gaussian_w2") or shift.measures["standardized_mean_difference"]
        if shift.from_ == report.checkpoints[0].id:
            place = [each.id for each in report.checkpoints].index(shift.to)
            assert rows[anchor(shift.site, shift.position)][place + 1] == compact(measure.value)


def test_findings_suggestions_notes_and_coverage_are_said_in_the_words_of_the_report(kind):
    _, report, page = kind
    said = re.sub(r"\s+", " ", page.text())
    texts = [each.message for each in report.findings if not each.code.startswith("COV9")]
    texts += [each.reason for each in report.suggestions] + report.notes
    texts += [each.site for each in report.coverage.skipped] + report.coverage.never_fired
    texts += report.gate.reasons if report.gate else []
    for text in texts:
        assert re.sub(r"\s+", " ", printable(text)) in said


def test_the_packed_data_are_the_figures_of_the_report():
    report = digits()
    data = Page(render(report, "html")).data()
    assert data["measures"][0]["key"] == "gaussian_w2"
    assert [site["name"] for site in data["sites"]] == [site.site for site in report.sites if site.same_as is None]
    at = [site["key"] for site in data["sites"]].index(anchor("fc3", "output"))
    cells = data["spans"][0]["cells"]["gaussian_w2"][at]
    wanted = [
        each.measures["gaussian_w2"] for each in report.shifts if each.site == "fc3" and each.from_ == "ckpt-00000"
    ]
    assert cells["v"] == pytest.approx([each.value for each in wanted], rel=5e-3)
    assert cells["l"] == pytest.approx([each.low for each in wanted], rel=5e-3)
    assert cells["h"] == pytest.approx([each.high for each in wanted], rel=5e-3)
    assert cells["k"] == [int(each.significant) for each in wanted]
    still = [site["key"] for site in data["sites"]].index(anchor("act1", "output"))
    assert data["spans"][0]["cells"]["gaussian_w2"][still]["k"] == [0] * 7
    assert data["spans"][0]["cells"]["linear_cka"][at]["k"] == ["fewer than 4 rows"] * 7
    site = next(each for each in report.sites if (each.site, each.position) == ("fc3", "output"))
    found = dict(zip(data["fields"], data["statistics"][at][2], strict=True))
    assert found["p15"] == pytest.approx(site.statistics["ckpt-00030"].p15, rel=5e-3)
    assert data["aliases"] == {"layer=fc2:in": "layer=act1:out", "layer=fc3:in": "layer=act2:out"}


def test_a_step_between_neighbours_is_there_where_the_report_has_it():
    titles = [span["title"] for span in Page(render(digits(), "html")).data()["spans"]]
    assert titles == ["since step 0", "since the checkpoint before"]
    assert [span["title"] for span in Page(render(deep(), "html")).data()["spans"]] == ["since step 0"]


def test_gradients_and_curves_go_with_the_page():
    report = trained()
    page = Page(render(report, "html"))
    data = page.data()
    assert data["curves"] == {"without": report.trials.curve_without, "with": report.trials.curve_with}
    assert data["gradients"]["fc2"]["gradient"] == [0.008, 0.008]
    assert data["gradients"]["fc2"]["changed"] == [None, 0.1]
    assert ["without", "2.30", "2.28", "2.25", "2.20"] in [cells for _, cells in page.rows]
    assert "-41 % [-47, -35]" in page.text()
    assert page.found("article", **{"data-layer": "layer=fc3:out"})


def test_what_a_trial_did_not_train_has_no_curve():
    report = trained()
    probed = structs.replace(
        report, trials=structs.replace(report.trials, tier="probe", curve_with=[], curve_without=[])
    )
    page = Page(render(probed, "html"))
    assert "mean training loss at step" not in page.text()


def test_hostile_names_stay_text():
    text = render(KINDS["hostile"](), "html")
    page = Page(text)
    assert {tag for tag, _ in page.elements} == {tag for tag, _ in Page(render(digits(), "html")).elements} - {
        "article",
        "pre",
    }
    assert not page.found("img")
    said = page.text()
    for name in HOSTILE:
        assert printable(name) in said
    assert "\x1b" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize("name", ["a b", "a/b.c", "</script>", "ü.層", 'x"y', "a%2Fb", "a:out", "a#2", "\udcff"])
def test_a_permalink_is_an_identifier_and_no_two_are_the_same(name):
    made = anchor(name, "output")
    assert re.fullmatch(r"layer=[A-Za-z0-9_.~/%-]*:out", made)
    assert made != anchor(name, "input")
    assert made != anchor(name + ":out", "output")


def test_the_same_report_gives_the_same_bytes():
    report = trained()
    assert render(report, "html") == render(from_json(to_json(report)), "html") == render(trained(), "html")


def test_a_process_of_its_own_gives_the_same_bytes(run_covscan, tmp_path):
    (tmp_path / "r.json").write_text(to_json(trained()), encoding="utf-8")
    words = ("render", tmp_path / "r.json", "-o", f"html={tmp_path / 'r.html'}")
    done = run_covscan(*words, env={"PYTHONHASHSEED": "7"}, fresh=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "r.html").read_text(encoding="utf-8") == render(trained(), "html")


def test_a_report_of_the_first_version_has_a_page():
    page = Page(render(read(EARLIER), "html"))
    assert "Schema 1.0" in page.text()


@pytest.mark.parametrize(("layers", "steps", "largest"), [(48, 12, MIB), (150, 20, 2 * MIB)])
def test_a_page_is_small(layers, steps, largest):
    assert len(render(wide(layers, steps), "html").encode()) <= largest


def test_a_large_network_keeps_the_intervals_of_its_first_measure_alone():
    layers, steps = 901, 10
    assert layers * steps > MANY_CELLS
    report = wide(layers, steps)
    data = Page(render(report, "html")).data()
    since, before = data["spans"]
    assert set(since["cells"]) == set(report.shifts[0].measures)
    assert list(before["cells"]) == ["gaussian_w2"]
    assert "l" in since["cells"]["gaussian_w2"][0]
    assert "l" not in since["cells"]["jensen_shannon"][0]


@pytest.mark.parametrize("form", sorted(DRAWN))
def test_a_missing_extra_is_said_before_anything_is_measured(monkeypatch, form):
    from covscan.cli.outputs import parse_outputs

    monkeypatch.setitem(sys.modules, "vl_convert", None)
    monkeypatch.setattr("covscan.render.find_spec", lambda name: None if name == "vl_convert" else object())
    with pytest.raises(UsageError) as caught:
        parse_outputs([f"{form}=report.{form}"])
    assert caught.value.code == "missing-extra"
    assert caught.value.message == f"the format {form} needs vl-convert-python"
    assert caught.value.hint == "pip install 'covscan[html]'"
