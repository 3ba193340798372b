"""``covscan check``: what it judges by, what it publishes, and how it ends."""

import datetime as dt
import json
import subprocess
import sys
import tomllib

import msgspec
import pytest
from test_cli_process import HEAVY, command, environment, loaded_by, shell

from covscan.cli.check import baseline_result
from covscan.config import Settings
from covscan.config.policy import Policy, Tolerances
from covscan.errors import Inconclusive
from covscan.gate import judge
from covscan.report import from_json, read, to_json
from covscan.report.gate import BaselineResult

HERE = ["a.pt", "b.pt", "--data", "x.npz"]


@pytest.fixture
def written(golden, tmp_path):
    """Write a golden report with other findings or fields into a file."""

    def write(name="digits", severities=None, **fields):
        report = read(golden / f"{name}.json")
        if severities is not None:
            one = read(golden / "digits.json").findings[0]
            fields["findings"] = [msgspec.structs.replace(one, severity=severity) for severity in severities]
        path = tmp_path / f"{name}-changed.json"
        path.write_text(to_json(msgspec.structs.replace(report, **fields)), encoding="utf-8")
        return path

    return write


def test_it_measures_as_analyze_does_and_judges(covscan, pipeline):
    code, out, _ = covscan("check", *HERE)
    assert code == 0
    assert pipeline.asked == [Settings(checkpoints=("a.pt", "b.pt"), data="x.npz")]
    assert "Gate: passed\n" in out
    covscan("check", *HERE, "--model", "nets.py:build", "--samples", "9", "--loss", "mse", "--lr", "0.1")
    assert pipeline.asked[1] == Settings(
        checkpoints=("a.pt", "b.pt"), data="x.npz", model="nets.py:build", samples=9, loss="mse", lr=0.1
    )


def test_what_it_measured_and_judged_is_judged_the_same_from_its_file(covscan, pipeline, tmp_path):
    path = tmp_path / "r.json"
    code, out, _ = covscan("check", *HERE, "--preset", "finetune", "--fail-on", "warning", "-o", f"json={path}")
    again = covscan("check", "--report", path, "--preset", "finetune", "--fail-on", "warning")
    assert (code, out) == again[:2]
    assert code == 1
    assert read(path).gate.exit_code == 1
    assert covscan("check", "--report", path, "-f", "json", "--preset", "none", "--fail-on", "error")[0] == 0


def test_a_judged_report_is_judged_anew(covscan, golden):
    assert read(golden / "gated.json").gate.verdict == "failed"
    judged = json.loads(covscan("check", "--report", golden / "gated.json", "-f", "json")[1])
    assert judged["gate"]["verdict"] == "passed"
    assert [each["code"] for each in judged["findings"]] == ["COV110", "COV203", "COV204", "COV203"]
    assert {each["suppressed"] for each in judged["findings"]} == {None}


def test_a_report_from_standard_input(covscan, golden, monkeypatch):
    with (golden / "quiet.json").open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert covscan("check", "--report", "-")[0] == 0


def test_a_report_of_an_earlier_minor_version_is_judged(covscan, root):
    code, out, _ = covscan("check", "--report", root / "tests/report/report-1.0.json", "-f", "json")
    assert code in {0, 1}
    assert json.loads(out)["schema_version"] == "1.1"


@pytest.mark.parametrize(
    ("severities", "flags", "code"),
    [
        (["warning", "info"], [], 0),
        (["error"], [], 1),
        (["warning"], ["--fail-on", "warning"], 1),
        (["info"], ["--fail-on", "info"], 1),
        (["error"], ["--fail-on", "never"], 0),
        (["error"], ["--ignore", "COV110"], 0),
        (["error"], ["--ignore", "COV2*,COV1*"], 0),
        (["error"], ["--ignore", "COV2*", "--ignore", "COV3*, COV4*"], 1),
        (["error"], ["--select", "COV2*"], 0),
        (["error"], ["--select", "COV2*", "--select", "COV1*"], 1),
        ([], ["--min-samples", "512"], 0),
        ([], ["--min-samples", "513"], 4),
        ([], ["--preset", "none", "--min-samples", "513"], 0),
        (["warning"], ["--preset", "strict"], 1),
    ],
)
def test_flags_decide_what_counts(covscan, written, severities, flags, code):
    assert covscan("check", "--report", written(severities=severities), *flags)[0] == code


def test_ignored_findings_stay_in_the_report_and_are_counted(covscan, written):
    code, out, _ = covscan("check", "--report", written(severities=["error"]), "--ignore", "COV110", "-f", "json")
    found = json.loads(out)
    assert (code, found["gate"]["ignored"], len(found["findings"])) == (0, 1, 1)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ["error[no-checkpoints]", "error[no-data]"]),
        (["--report", "none.json"], ["error[unreadable-report]"]),
        (
            ["--report", "r.json", "a.pt"],
            ["--report holds what was measured before", "checkpoints can change nothing"],
        ),
        (["--report", "r.json", "--data", "x", "--lr", "1"], ["--data and --lr can change nothing"]),
        (["--report", "r.json", "--samples", "512"], ["--samples can change nothing"]),
        (["--report", "r.json", "--model-arg", "a=1"], ["--model-arg can change nothing"]),
        ([*HERE, "--fail-on", "warn"], ["did you mean 'warning'?"]),
        ([*HERE, "--preset", "standart"], ["error[unknown-preset]", "did you mean 'standard'?"]),
        ([*HERE, "--ignore", "COV2"], ["error[unknown-code]: ignore: no rule matches 'COV2'", "did you mean 'COV2*'?"]),
        ([*HERE, "--select", "COV901"], ["the gate's own"]),
        ([*HERE, "--min-samples", "0"], ["error[bad-option]", "--min-samples"]),
        ([*HERE, "-f", "jsn"], ["did you mean 'json'?"]),
        ([*HERE, "-o", "jsn=x"], ["did you mean 'json'?"]),
        ([*HERE, "--positions", "0"], ["'--positions 0'"]),
        (["--report", "r.json", "-o", "json=no/where/x"], ["there is no folder"]),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_measured(covscan, pipeline, words, expected):
    code, out, err = covscan("check", *words)
    assert (code, out) == (2, "")
    assert all(text in err for text in expected), err
    assert pipeline.asked == []


def test_nothing_measured_is_inconclusive(covscan, pipeline, written):
    def behave(settings, progress):
        raise Inconclusive("nothing-measured", "no site could be measured")

    pipeline.behave = behave
    assert covscan("check", *HERE)[0] == 4
    code, out, _ = covscan("check", "--report", written("nothing"))
    assert code == 4
    assert "Gate: inconclusive" in out


def test_quiet_silences_progress_and_keeps_the_verdict(covscan, pipeline):
    pipeline.behave = lambda settings, progress: progress.note("careful")
    assert covscan("check", *HERE)[2] == "note: careful\n"
    code, out, err = covscan("check", *HERE, "-q")
    assert (code, err) == (0, "")
    assert "Gate: passed" in out


def test_the_day_is_todays(covscan, golden, monkeypatch):
    asked = []

    def judging(report, policy, today, baseline):
        asked.append(today)
        return judge(report, policy, today, baseline)

    monkeypatch.setattr("covscan.cli.check.judge", judging)
    before = dt.date.today()
    covscan("check", "--report", golden / "quiet.json")
    assert asked[0] in {before, dt.date.today()}


def test_the_baseline_is_compared_with_what_counts(covscan, golden, monkeypatch):
    asked = []
    result = BaselineResult(
        source="b.json", status="absent", reasons=[], compared=0, improved=0, added=[], missing=[], regressions=[]
    )

    def compared(report, tolerances):
        asked.append((report, tolerances))
        return result

    monkeypatch.setattr("covscan.cli.check.compared", compared)
    tolerances = Tolerances(path="b.json")
    report = read(golden / "digits.json")
    assert baseline_result(report, Policy()) is None
    assert baseline_result(report, Policy(baseline=tolerances)) == result

    words = ("--baseline", "b.json", "--baseline-rev", "main", "--no-config")
    assert covscan("check", "--report", golden / "digits.json", "--ignore", "COV203", *words)[0] == 4
    assert asked[1][1] == Tolerances(path="b.json", revision="main")
    assert [each.code for each in asked[1][0].findings] == ["COV110", "COV204"]


@pytest.mark.parametrize("words", [["check", "--help"], ["check", "--report", "GOLDEN", "-o", "markdown=/dev/null"]])
def test_judging_a_report_loads_nothing_heavy(golden, words):
    loaded = loaded_by(*(golden / "digits.json" if word == "GOLDEN" else word for word in words))
    assert "covscan" in loaded
    assert not loaded & set(HEAVY)


ENDS = [
    (0, ["--report", "digits"]),
    (1, ["--report", "digits", "--fail-on", "warning"]),
    (2, ["--report", "digits", "--fail-on", "warn"]),
    (4, ["--report", "nothing"]),
]


@pytest.mark.parametrize(("code", "words"), ENDS)
def test_exit_codes_of_the_process_and_those_behind_a_reader_that_goes_away(golden, code, words):
    words = [golden / f"{word}.json" if word in {"digits", "nothing"} else word for word in words]
    done = subprocess.run(command("check", *words), capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == code
    assert ("Gate: " in done.stdout) == (code != 2)
    line = " ".join(command("check", *words))
    piped = shell(f"{line} | head -1; echo ${{PIPESTATUS[0]}}")
    assert piped.stdout.decode().splitlines()[-1] == str(code)
    assert b"Traceback" not in piped.stderr


def test_analyze_counts_what_check_would(covscan, pipeline):
    assert covscan("analyze", *HERE, "--fail-on", "warning")[0] == 1
    assert covscan("analyze", *HERE, "--fail-on", "warning", "--ignore", "COV203,COV204")[0] == 0
    assert covscan("analyze", *HERE, "--fail-on", "warning", "--select", "COV1*")[0] == 0
    code, out, _ = covscan("analyze", *HERE, "--fail-on", "warning", "--select", "COV204", "-f", "json")
    assert code == 1
    assert from_json(out) == pipeline.report
    code, _, err = covscan("analyze", *HERE, "--select", "COV204")
    assert code == 2
    assert "--select chooses the findings that --fail-on counts" in err
    assert "--ignore chooses" in covscan("analyze", *HERE, "--ignore", "COV204")[2]
    assert "did you mean 'COV2*'?" in covscan("analyze", *HERE, "--fail-on", "error", "--ignore", "COV2")[2]


def test_a_budget_is_proposed_to_whoever_only_looks(covscan, pipeline):
    err = covscan("analyze", *HERE)[2]
    assert "put this into covscan.toml and run 'covscan check'" in err
    assert "\n[budgets.shift]\n" in err
    assert tomllib.loads(err[err.index("# Measured") :])["budgets"]["shift"]["measure"] == "gaussian_w2"


@pytest.mark.parametrize("words", [["-f", "json"], ["-q"], ["--fail-on", "error"]])
def test_nothing_is_proposed_to_programs_and_gates(covscan, pipeline, words):
    assert covscan("analyze", *HERE, *words)[2] == ""
