"""Numbers computed again: they agree with real reports, and a changed one is found."""

import json
import math
from typing import get_args

import pytest
from msgspec import structs

from covscan.catalog.measure_pages import measure_page
from covscan.catalog.measures import MEASURES, STATISTICS
from covscan.catalog.statistics import BASES, DEFINITIONS, Basis, meaning
from covscan.errors import UsageError
from covscan.explain import Request, explain
from covscan.explain.arithmetic import computed
from covscan.explain.citations import MATERIAL_GAIN
from covscan.explain.statistics import KEPT_CHANNELS, KEPT_VALUES, LEAST_ROWS, MOST_ROWS
from covscan.report import from_json, read

SAMPLES = ("digits-sigmoid/report-plain.json", "digits-sigmoid/report-batchnorm.json", "conv-onnx/report.json",
           "char-transformer/report.json")  # fmt: skip


@pytest.fixture
def plain(samples):
    return read(samples / SAMPLES[0])


def explained(report, site, position=None, **more):
    return explain(report, Request(site, position, **more), "r.json")


@pytest.mark.parametrize("path", SAMPLES)
def test_every_number_of_a_real_report_agrees(samples, path):
    report = read(samples / path)
    checked = 0
    for site in report.sites:
        found = explained(report, site.site, site.position)
        assert found.disagreeing == []
        checked += found.checked
    assert checked > 30 * len(report.sites)


def changed(report, site, change):
    """The report with something done to its JSON."""
    from covscan.report import to_json

    content = json.loads(to_json(report))
    here = next(each for each in content["sites"] if (each["site"], each["position"]) == (site, "output"))
    shift = next(each for each in content["shifts"] if each["site"] == site and each["position"] == "output")
    change(here["statistics"]["step-1000"], shift["measures"], content)
    return from_json(json.dumps(content))


def scale(name, factor):
    def change(statistics, measures, content):
        statistics[name] *= factor

    return change


def measure(name, field, value):
    def change(statistics, measures, content):
        measures[name][field] = value(measures[name]) if callable(value) else value

    return change


def score(statistics, measures, content):
    content["candidates"][0]["score"] += 0.01


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (scale("mean_to_variance", 1.0001), "mean_to_variance"),
        (scale("std", 1.001), "std"),
        (scale("channel_scale", 3.0), "std"),
        (scale("p50", 100.0), "p50"),
        (lambda s, m, c: s.update(count=s["count"] + 1), "count"),
        (lambda s, m, c: s.update(samples=7), "count"),
        (measure("gaussian_w2", "significant", lambda found: not found["significant"]), "gaussian_w2"),
        (measure("gaussian_w2", "noise", 99.0), "shift_per_weight_movement"),
        (measure("wasserstein_1", "high", lambda found: found["high"] + 1), "wasserstein_1"),
        (measure("wasserstein_1", "low", lambda found: found["value"] + 1), "wasserstein_1"),
        (measure("effective_rank", "value", 5.0), "effective_rank"),
        (measure("absolute_log_variance_ratio", "value", 0.0), "absolute_log_variance_ratio"),
        (measure("shift_per_weight_movement", "low", lambda found: found["low"] / 2), "shift_per_weight_movement"),
    ],
)
def test_a_changed_number_is_found(plain, change, named):
    found = explained(changed(plain, "fc3", change), "fc3")
    assert any(text.startswith(f"{named} at ") for text in found.disagreeing), found.disagreeing


def test_a_changed_score_of_a_candidate_is_found(plain):
    found = explained(changed(plain, "fc4", score), "fc4", "input")
    assert [text for text in found.disagreeing if "BatchNorm1d before fc4" in text]


def test_what_rounding_may_do_is_borne_and_no_more():
    def ratio(a, b):
        return a / b

    parts = {"a": 1.0, "b": 3.0}
    assert computed("a / b", "{a} / {b}", ratio, parts, 0.333333).agrees
    assert not computed("a / b", "{a} / {b}", ratio, parts, 0.33335).agrees
    close = {"a": 1.00001, "b": 1.0}
    assert computed("ln", "ln({a})", lambda a, b: math.log(a / b), close, 1.6e-5).agrees
    assert not computed("ln", "ln({a})", lambda a, b: math.log(a / b), close, 1e-4).agrees


def test_the_text_puts_the_numbers_in(plain):
    found = explained(plain, "fc4", "input", checkpoints=("step-20000",), names=("mean_to_variance",))
    check = found.values[0].checks[0]
    assert check.numbers == "0.264228 / 0.0848429 = 3.11432"
    assert (check.stated, check.agrees, found.checked) == ("3.11432", True, 1)


def test_findings_and_candidates_cite_the_numbers_that_they_rest_on(plain):
    found = explained(plain, "fc4")
    by_name = {(value.name, value.from_checkpoint, value.checkpoint): value.cited_by for value in found.values}
    assert by_name["log_variance_ratio", "step-0", "step-20000"] == ["COV202 scale-shift"]
    assert "COV205 shift-source" in by_name["excess_shift", "step-0", "step-20000"]
    assert "COV205 shift-source, mostly about fc1" in by_name["excess_shift", "step-0", "step-20000"]
    assert by_name["log_variance_ratio", "step-0", "step-1000"] == []
    scale_shift = next(each for each in found.citations if each.what == "COV202 scale-shift")
    assert "warning from a tenfold variance" in scale_shift.rule
    assert "the value is 0.4" in scale_shift.rule
    assert any(text.endswith("noise = 0.115148") for text in scale_shift.rests_on)
    mean_shift = next(each for each in found.citations if each.what.startswith("COV201"))
    assert mean_shift.what == "COV201 mean-shift, mostly about sigmoid1"
    assert mean_shift.rests_on == ["standardized_mean_difference [step-0 to step-20000] = 0.521187"]


def test_a_candidate_stands_at_every_name_of_its_tensor(plain):
    here = [each.what for each in explained(plain, "fc4", "input").citations]
    there = [each.what for each in explained(plain, "sigmoid3").citations]
    candidate = next(what for what in here if what.startswith("candidate 1 of"))
    assert candidate in there
    assert any(what.startswith("suggestion 1: BatchNorm1d before fc4") for what in there)
    assert not any(what.startswith("candidate 1 of") for what in [e.what for e in explained(plain, "fc4").citations])


def test_the_origin_is_told(plain):
    found = explained(plain, "fc3")
    column = found.columns[1]
    assert (column.checkpoint.id, column.rows, column.kept) == ("step-1000", 256, 256)
    assert column.checkpoint.sha256 == plain.checkpoints[1].sha256
    assert column.data.fingerprint == plain.data.fingerprint
    assert found.others == ["input"]
    assert any("one position" in text for text in found.reading)


def test_positions_are_told_where_there_are_some(samples):
    report = read(samples / SAMPLES[2])
    site = next(each for each in report.sites if len(each.shape) == 4)
    found = explained(report, site.site, site.position)
    assert any("at most 8 of 256 positions" in text and "smallest hash" in text for text in found.reading)


def test_what_was_asked_for_alone_is_given(plain):
    found = explained(plain, "fc3", checkpoints=("step-1000",), names=("gaussian_*", "mean"))
    assert {(value.name, value.checkpoint) for value in found.values} == {
        ("mean", "step-1000"),
        ("gaussian_w2", "step-1000"),
    }
    assert [each.name for each in found.definitions] == ["mean", "gaussian_w2"]
    assert [column.checkpoint.id for column in found.columns] == ["step-1000"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request("fc9"), "did you mean"),
        (Request("fc?"), "one site is explained at a time"),
        (Request("fc3", "logits"), "'fc3' has no logits"),
        (Request("fc3", checkpoints=("step-1",)), "did you mean 'step-0'"),
        (Request("fc3", names=("gausian_w2",)), "did you mean 'gaussian_w2'?"),
    ],
)
def test_what_is_not_there_is_an_error(plain, request_, message):
    with pytest.raises(UsageError) as caught:
        explain(plain, request_, "r.json")
    assert message in str(caught.value)


def test_a_place_that_was_not_measured_says_why(plain):
    coverage = structs.replace(plain.coverage, never_fired=["head.dropout"])
    with pytest.raises(UsageError, match="was not measured") as caught:
        explain(structs.replace(plain, coverage=coverage), Request("head.dropout"), "r.json")
    assert "never called it" in str(caught.value)


def test_the_output_is_taken_where_there_is_one(plain):
    assert explained(plain, "fc3").position == "output"
    only = structs.replace(plain, sites=[site for site in plain.sites if site.position == "input"])
    assert explained(only, "fc3").position == "input"


def test_each_statistic_and_measure_is_defined():
    assert set(DEFINITIONS) == set(STATISTICS)
    assert set(BASES) == set(get_args(Basis))
    for name in STATISTICS:
        assert meaning(name)
    for name in MEASURES:
        page = measure_page(name)
        assert page is not None
        assert page.summary.endswith((".", ":")) or "." in page.summary
    assert measure_page("no-such") is None
    assert meaning("no-such") == ""


def test_a_page_is_the_docstring():
    from covscan.measures.moments import gaussian_w2

    page = measure_page("gaussian_w2")
    assert " ".join(gaussian_w2.__doc__.replace("``", "").split()) == f"{page.summary} {page.body}"
    assert (page.material, page.signed) == (0.2, False)


def test_constants_are_those_of_what_they_speak_of():
    from covscan.prove.types import MATERIAL
    from covscan.stats.rows import RowSample

    assert MATERIAL_GAIN == MATERIAL
    for channels in (1, 10, 100, 511, 512, 513, 4096):
        expected = min(max(KEPT_VALUES // min(channels, KEPT_CHANNELS), LEAST_ROWS), MOST_ROWS)
        assert RowSample(channels, 0).capacity == expected
