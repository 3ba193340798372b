import json
import subprocess
import sys

import pytest
from msgspec.structs import replace
from test_cli_process import GOLDEN, HEAVY, loaded_by

from covscan.report import read, to_json

COMMANDS = ("write", "update", "diff")


@pytest.fixture
def moved(golden, tmp_path, monkeypatch):
    """A folder with ``before.json`` and ``after.json``, whose fc2 shifts more and whose fc3 less; one stands in it."""
    before = read(golden / "digits.json")
    factors = {"fc2": 1.5, "fc3": 0.5}
    shifts = [scaled(shift, factors.get(shift.site, 1.0)) for shift in before.shifts]
    (tmp_path / "before.json").write_text(to_json(before))
    (tmp_path / "after.json").write_text(to_json(replace(before, shifts=shifts)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scaled(shift, factor):
    measures = {
        name: measure
        if measure.value is None
        else replace(measure, value=measure.value * factor, high=measure.value * factor + 0.01)
        for name, measure in shift.measures.items()
    }
    return replace(shift, measures=measures)


def written(path="covscan-baseline.json"):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_that_fits(covscan, command):
    code, out, err = covscan("baseline", command, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: covscan baseline {command} [OPTIONS]")
    assert max(map(len, out.splitlines())) <= 80
    panels = [line for line in out.splitlines() if line and not line.startswith(" ")]
    assert panels[1:3] == ["Arguments:", "Baseline:"]
    assert "..." not in covscan("baseline", "-h")[1].replace("[ARGS]...", "")


def test_no_command_shows_the_help_and_is_no_success(covscan):
    code, out, err = covscan("baseline")
    assert (code, out) == (2, "")
    assert all(command in err for command in COMMANDS)


def test_a_baseline_is_written_once_and_replaced_by_force_alone(covscan, moved):
    code, out, err = covscan("baseline", "write", "--report", "before.json")
    assert (code, err) == (0, "")
    assert out.startswith("Wrote covscan-baseline.json: 8 sites, ")
    first = (moved / "covscan-baseline.json").read_bytes()
    code, out, err = covscan("baseline", "write", "--report", "after.json")
    assert (code, out) == (2, "")
    assert "error[baseline-exists]" in err
    assert (moved / "covscan-baseline.json").read_bytes() == first
    assert covscan("baseline", "write", "--report", "after.json", "--force")[0] == 0
    assert (moved / "covscan-baseline.json").read_bytes() != first
    assert sorted(path.name for path in moved.iterdir()) == ["after.json", "before.json", "covscan-baseline.json"]


def test_a_baseline_goes_where_it_is_told_to(covscan, moved):
    assert "Wrote b.json" in covscan("baseline", "write", "--report", "before.json", "-o", "b.json")[1]
    assert written("b.json")["schema"] == "covscan-baseline 1.0"
    code, _, err = covscan("baseline", "write", "--report", "before.json", "-o", "none/b.json")
    assert code == 2
    assert "unwritable-output" in err


def test_what_is_written_may_be_chosen(covscan, moved):
    words = ("--measure", "gaussian_*", "--statistic", "dead_channels", "--statistic", "mean")
    covscan("baseline", "write", "--report", "before.json", *words)
    assert {value["subject"] for value in written()["values"]} == {"gaussian_w2", "dead_channels", "mean"}
    code, _, err = covscan("baseline", "diff", "--report", "before.json", "--measure", "gausian_w2")
    assert code == 2
    assert "did you mean 'gaussian_w2'?" in err


def test_values_without_noise_are_counted(covscan, moved):
    out = covscan("baseline", "write", "--report", "before.json", "--statistic", "max")[1]
    assert "without measured noise" in out
    code, _, err = covscan("baseline", "diff", "--report", "before.json", "--statistic", "max")
    assert code == 2
    assert "error[no-tolerance]" in err
    assert covscan("baseline", "diff", "--report", "before.json", "--statistic", "max", "--relative", "0.1")[0] == 0


def test_a_report_is_read_from_standard_input(covscan, moved, monkeypatch):
    with (moved / "before.json").open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert covscan("baseline", "write", "--report", "-")[0] == 0


@pytest.mark.parametrize("more", [("a.pt",), ("--data", "x.npz"), ("--model", "nets.py:build")])
def test_a_report_and_a_measurement_exclude_each_other(covscan, moved, more):
    code, _, err = covscan("baseline", "write", "--report", "before.json", *more)
    assert code == 2
    assert "can change nothing" in err


def test_without_a_report_it_measures(covscan, moved, pipeline):
    words = ("--model", "nets.py:build", "--data", "x.npz", "--samples", "64", "runs/a.pt", "-q")
    code, out, _ = covscan("baseline", "write", *words)
    assert code == 0
    assert "Wrote" in out
    (settings,) = pipeline.asked
    assert (settings.samples, settings.data, settings.checkpoints) == (64, "x.npz", ("runs/a.pt",))
    assert pipeline.commands[0].startswith("covscan")
    assert covscan("baseline", "diff", *words)[0] == 0
    assert covscan("baseline", "update", *words)[0] == 0


def test_what_a_factory_prints_is_not_the_payload(covscan, moved, pipeline):
    pipeline.behave = lambda settings, progress: print("the factory speaks")
    covscan("baseline", "write", "--report", "before.json")
    code, out, err = covscan("baseline", "diff", "--data", "x.npz", "a.pt", "-f", "json")
    assert code == 0
    assert json.loads(out)["result"]["status"] == "compared"
    assert "the factory speaks" in err


def test_nothing_to_measure_is_said(covscan, moved):
    code, _, err = covscan("baseline", "write")
    assert code == 2
    assert "there is nothing to analyze" in err


def test_nothing_measured_makes_no_baseline(covscan, golden, moved):
    code, out, err = covscan("baseline", "write", "--report", golden / "nothing.json")
    assert (code, out) == (4, "")
    assert "error[nothing-measured]" in err
    assert not (moved / "covscan-baseline.json").exists()


def test_diff_says_what_got_worse_and_what_better(covscan, moved):
    covscan("baseline", "write", "--report", "before.json")
    code, out, err = covscan("baseline", "diff", "--report", "before.json")
    assert (code, err) == (0, "")
    assert "None: no value is beyond its tolerance." in out
    code, out, _ = covscan("baseline", "diff", "--report", "after.json")
    assert code == 1
    assert "\nWorse: " in out
    assert "\nBetter: " in out
    assert "gaussian w2" in out
    assert covscan("baseline", "diff", "--report", "after.json", "--relative", "0.6")[0] == 0
    assert covscan("baseline", "diff", "--report", "after.json", "--absolute", "99")[0] == 0


def test_diff_in_every_format(covscan, moved):
    covscan("baseline", "write", "--report", "before.json")
    found = json.loads(covscan("baseline", "diff", "--report", "after.json", "-f", "json")[1])
    assert found["schema"] == "covscan-baseline-diff 1.0"
    worse = [change for change in found["changes"] if change["change"] == "worse"]
    assert len(worse) == len(found["result"]["regressions"]) > 0
    assert {change["site"] for change in worse} == {"fc2"}
    out = covscan("baseline", "diff", "--report", "after.json", "-f", "markdown")[1]
    assert out.startswith("# covscan\n\n**covscan baseline diff** `covscan-baseline.json`")
    assert "| `fc2` | out | gaussian w2 | whole |" in out
    code, _, err = covscan("baseline", "diff", "--report", "after.json", "-f", "jsn")
    assert code == 2
    assert "did you mean 'json'?" in err


def test_an_absent_or_incompatible_baseline_is_inconclusive(covscan, golden, moved):
    code, out, err = covscan("baseline", "diff", "--report", "before.json")
    assert (code, err) == (4, "")
    assert "there is no file 'covscan-baseline.json'" in out
    covscan("baseline", "write", "--report", "before.json")
    code, out, _ = covscan("baseline", "diff", "--report", golden / "quiet.json")
    assert code == 4
    assert "the engine differs: torch in the baseline, onnx now" in out
    code, out, _ = covscan("baseline", "diff", "--report", "before.json", "--baseline-rev", "no-such-revision")
    assert code == 4
    assert "No baseline" in out


def test_a_value_that_is_new_or_could_not_be_measured_is_shown(covscan, moved):
    before = read("before.json")
    (moved / "lost.json").write_text(to_json(replace(before, shifts=[without(each) for each in before.shifts])))
    covscan("baseline", "write", "--report", "before.json")
    code, out, _ = covscan("baseline", "diff", "--report", "lost.json")
    assert code == 4
    assert "of the baseline could not be measured: gaussian_w2 of " in out
    assert "\nNot comparable: " in out
    assert "n/a" in out
    covscan("baseline", "write", "--report", "lost.json", "--force")
    code, out, _ = covscan("baseline", "diff", "--report", "before.json")
    assert code == 0
    assert "\nNew at known sites: " in out


def without(shift):
    """The shift with its distance gone, as where the variance vanished."""
    gone = replace(shift.measures["gaussian_w2"], value=None, noise=None, low=None, high=None, status="not finite")
    return replace(shift, measures={**shift.measures, "gaussian_w2": gone})


def test_a_broken_baseline_or_revision_is_an_error(covscan, moved):
    (moved / "covscan-baseline.json").write_text("<<<<<<< HEAD\n")
    for command in ("diff", "update"):
        code, out, err = covscan("baseline", command, "--report", "before.json")
        assert (code, out) == (2, "")
        assert "error[broken-baseline]" in err
    assert covscan("baseline", "diff", "--report", "before.json", "--baseline-rev=-x")[0] == 2


def test_a_change_cannot_rewrite_the_bar_of_a_revision(covscan, run_covscan, moved):
    covscan("baseline", "write", "--report", "before.json")
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q", "-b", "main"), ("add", "."), (*who, "commit", "-q", "-m", "first")):
        subprocess.run(["git", *words], cwd=moved, check=True)
    covscan("baseline", "update", "--report", "after.json", "--accept")
    assert run_covscan("baseline", "diff", "--report", "after.json", cwd=moved).returncode == 0
    done = run_covscan("baseline", "diff", "--report", "after.json", "--baseline-rev", "main", cwd=moved)
    assert done.returncode == 1
    assert "main:covscan-baseline.json" in done.stdout


def test_a_site_that_is_new_or_gone_is_named(covscan, moved):
    before = read("before.json")
    kept = [site for site in before.sites if site.site != "fc3"]
    shifts = [shift for shift in before.shifts if shift.site != "fc3"]
    fewer = replace(before, sites=kept, shifts=shifts, findings=[])
    (moved / "fewer.json").write_text(to_json(fewer))
    covscan("baseline", "write", "--report", "before.json", "-o", "all.json")
    covscan("baseline", "write", "--report", "fewer.json", "-o", "fewer-baseline.json")
    code, out, _ = covscan("baseline", "diff", "--baseline", "all.json", "--report", "fewer.json")
    assert code == 4
    assert "1 site of the baseline not measured: fc3 (output)" in out
    assert "Sites that are gone\nfc3 (output)" in out
    (moved / "more.json").write_text(to_json(replace(before, findings=[])))
    code, out, _ = covscan("baseline", "diff", "--baseline", "fewer-baseline.json", "--report", "more.json")
    assert code == 0
    assert "New sites\nfc3 (output)" in out
    out = covscan("baseline", "update", "--baseline", "fewer-baseline.json", "--report", "more.json")[1]
    assert "nothing to lower or to drop" in out
    assert "New sites, not taken without --accept\nfc3 (output)" in out
    out = covscan("baseline", "update", "--baseline", "fewer-baseline.json", "--report", "more.json", "--accept")[1]
    assert "1 site added: fc3 (output)" in out
    assert covscan("baseline", "diff", "--baseline", "fewer-baseline.json", "--report", "more.json")[0] == 0
    out = covscan("baseline", "update", "--baseline", "all.json", "--report", "fewer.json")[1]
    assert "1 site dropped: fc3 (output)" in out


def test_update_lowers_by_itself_and_raises_only_what_is_accepted(covscan, moved):
    covscan("baseline", "write", "--report", "before.json")
    code, out, err = covscan("baseline", "update", "--report", "after.json")
    assert (code, err) == (0, "")
    assert "lowered" in out
    assert "Worse, new or not measured, not taken without --accept" in out
    assert covscan("baseline", "diff", "--report", "after.json")[0] == 1
    out = covscan("baseline", "update", "--report", "after.json", "--accept-site", "fc[1-2]")[1]
    assert "accepted" in out
    assert "not taken" not in out
    assert covscan("baseline", "diff", "--report", "after.json")[0] == 0
    before = (moved / "covscan-baseline.json").read_bytes()
    assert "nothing to lower or to drop" in covscan("baseline", "update", "--report", "after.json", "--accept")[1]
    assert (moved / "covscan-baseline.json").read_bytes() == before


def test_update_accepts_everything_at_once(covscan, moved):
    covscan("baseline", "write", "--report", "before.json")
    covscan("baseline", "update", "--report", "after.json", "--accept")
    assert covscan("baseline", "diff", "--report", "after.json")[0] == 0


def test_update_says_what_it_cannot_do(covscan, golden, moved):
    code, _, err = covscan("baseline", "update", "--report", "before.json")
    assert code == 2
    assert "error[no-baseline]" in err
    covscan("baseline", "write", "--report", "before.json")
    code, _, err = covscan("baseline", "update", "--report", "before.json", "--accept-site", "fc22")
    assert code == 2
    assert "did you mean 'fc2'?" in err
    code, _, err = covscan("baseline", "update", "--report", golden / "quiet.json", "--accept")
    assert code == 4
    assert "error[baseline-incompatible]" in err


def test_a_terminal_gets_the_first_of_many_changes(golden, tmp_path):
    from covscan.config.policy import Tolerances
    from covscan.gate.baseline_compare import compare
    from covscan.gate.baseline_values import baseline_of
    from covscan.render.as_text import draw
    from covscan.render.content.baseline import sections
    from covscan.render.look import Look

    before = read(golden / "deep.json")
    after = replace(before, shifts=[scaled(shift, 3.0) for shift in before.shifts])
    tolerances = Tolerances()
    found = compare(baseline_of(before, tolerances), baseline_of(after, tolerances), tolerances, "b.json")
    look = Look(width=80, terminal=True)
    drawn = draw([*sections(found, look)], look)
    assert "more (--verbose shows them)" in drawn
    assert max(map(len, drawn.splitlines())) <= 80
    everything = draw([*sections(found, Look())], Look())
    assert "--verbose" not in everything
    assert len(everything.splitlines()) > len(found.changes)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["baseline", "diff", "--report", "before.json"], 0),
        (["baseline", "diff", "--report", "after.json"], 1),
        (["baseline", "diff", "--report", "none.json"], 2),
        (["baseline", "diff", "--report", "before.json", "--baseline", "none.json"], 4),
        (["baseline", "write", "--report", "before.json"], 2),
        (["baseline", "update", "--report", "before.json"], 0),
    ],
)
def test_exit_codes_as_a_process(covscan, run_covscan, moved, words, code):
    covscan("baseline", "write", "--report", "before.json")
    done = run_covscan(*words, cwd=moved)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["baseline", "--help"],
        ["baseline", "update", "--help"],
        ["baseline", "write", "--report", GOLDEN / "deep.json"],
        ["baseline", "diff", "--report", GOLDEN / "deep.json"],
        ["baseline", "update", "--report", GOLDEN / "deep.json", "--accept"],
        ["diff", GOLDEN / "deep.json", GOLDEN / "deep.json"],
        ["diff", GOLDEN / "deep.json", GOLDEN / "digits.json", "-f", "json"],
    ],
    ids=lambda words: " ".join(map(str, words[:2])),
)
def test_nothing_heavy_is_loaded_where_nothing_is_measured(covscan, moved, words):
    covscan("baseline", "write", "--report", GOLDEN / "deep.json", "-o", moved / "covscan-baseline.json")
    if "write" in words:
        (moved / "covscan-baseline.json").unlink()
    loaded = loaded_by(*words)
    assert "covscan" in loaded
    assert not loaded & set(HEAVY)
    assert not (words[-1] == "--help" and loaded & {"rich", "msgspec"})
