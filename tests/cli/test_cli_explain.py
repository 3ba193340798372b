"""``covscan explain`` and ``--plot`` and ``covscan browse`` from the command line."""

import json
import os
import pty
import sys
import time

import msgspec
import pytest

from covscan.errors import UsageError
from covscan.explain import Request, explain
from covscan.render import Look
from covscan.render.as_text import draw
from covscan.render.content.explanation import document
from covscan.report import read
from covscan.report.explanation import Explanation

PLAIN = "digits-sigmoid/report-plain.json"


def test_an_explanation_as_text(covscan, samples):
    code, out, err = covscan("explain", samples / PLAIN, "fc4", "--position", "input")
    assert (code, err) == (0, "")
    for said in (
        "numbers were computed again from others of the report: all agree.",
        "46a3325c93d06aaa06f7b8a04bc3f26895aeecb1fe4f91ad7b3539182eb947ad",
        "SHA-256 8ce09811fca7128c671c55132cc0a836ad1cff851f411742d390ce5b9591d09f",
        "the same tensor as sigmoid3 out",
        "channel_mean_square / channel_scale: 0.264228 / 0.0848429 = 3.11432; the report says 3.11432",
        "counts: nearer end of the interval 1.5734 > noise 0.141492, size 1.58899 >= 0.2",
        "2-Wasserstein distance of diagonal Gaussians",
        "(rank of depth + mean of the other ranks) / 2: (0.916667 + 0.833333) / 2 = 0.875",
        "suggestion 1: BatchNorm1d before fc4",
    ):
        assert said in out


def test_an_explanation_as_json_holds_every_number(covscan, samples):
    code, out, _ = covscan("explain", samples / PLAIN, "fc3", "-f", "json")
    found = json.loads(out)
    assert code == 0
    assert found["disagreeing"] == []
    report = json.loads((samples / PLAIN).read_text())
    site = next(each for each in report["sites"] if (each["site"], each["position"]) == ("fc3", "output"))
    stated = {(checkpoint, name): value for checkpoint, each in site["statistics"].items()
              for name, value in each.items() if name != "status"}  # fmt: skip
    explained = {(v["checkpoint"], v["name"]): v["value"] for v in found["values"] if v["kind"] == "statistic"}
    assert explained == stated
    shifts = [each for each in report["shifts"] if (each["site"], each["position"]) == ("fc3", "output")]
    measures = [v for v in found["values"] if v["kind"] == "measure" and v["name"] != "channels_shifted"]
    assert len(measures) == sum(len(shift["measures"]) for shift in shifts)
    assert msgspec.json.decode(out, type=Explanation).site == "fc3"


def test_an_explanation_as_markdown(covscan, samples):
    out = covscan("explain", samples / PLAIN, "fc3", "-f", "markdown", "--measure", "gaussian_w2")[1]
    assert out.startswith("# covscan")
    assert "## Computed again" in out
    assert "kolmogorov" not in out


@pytest.mark.parametrize("width", [80, 200])
def test_a_terminal_gets_one_pair_and_is_told_of_the_others(golden, width):
    found = explain(read(golden / "digits.json"), Request("fc3"), "digits.json")

    def drawn(**more):
        look = Look(width=width, terminal=True, **more)
        return draw(document(found, look), look)

    brief, whole = drawn(), drawn(verbose=True)
    assert brief.count("Shift from") == 1
    assert "12 more pairs of checkpoints" in brief
    assert "more at other checkpoints" in brief
    assert whole.count("Shift from") == 13
    assert "more pairs" not in whole
    tables = brief[brief.index("Statistics\n") : brief.index("How the statistics")]
    assert max(len(row) for row in tables.splitlines()) <= width
    assert ("more checkpoints are too many for this width" in brief) is (width == 80)


def test_a_report_that_was_changed_is_said_to_be(covscan, samples, tmp_path):
    content = json.loads((samples / PLAIN).read_text())
    content["sites"][3]["statistics"]["step-1000"]["mean_to_variance"] *= 2
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(content))
    code, out, _ = covscan("explain", path, "sigmoid1", "--position", "output")
    assert code == 1
    assert "1 number does not follow from the others" in out
    assert "mean_to_variance at step-1000: 142.518, but 0.249307 / 0.0034986" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fc9"], "did you mean 'fc4'"),
        (["fc3", "--position", "inputs"], "did you mean 'input'?"),
        (["fc3", "--checkpoint", "step-1001"], "did you mean 'step-1000'?"),
        (["fc3", "--measure", "gausian_w2"], "did you mean 'gaussian_w2'?"),
        (["fc3", "-f", "sarif"], "choose one of"),
    ],
)
def test_what_cannot_be_explained_is_an_error(covscan, samples, words, said):
    code, out, err = covscan("explain", samples / PLAIN, *words)
    assert (code, out) == (2, "")
    assert said in err


def test_every_kind_of_report_can_be_explained(covscan, golden):
    for path in sorted(golden.glob("*.json")):
        for site in json.loads(path.read_text())["sites"][:3]:
            code, out, err = covscan("explain", path, site["site"], "--position", site["position"])
            assert code in {0, 1}, err
            assert "\x1b" not in out


def test_a_plot_goes_to_text_and_files(covscan, golden, tmp_path):
    path = tmp_path / "r.md"
    code, out, _ = covscan("render", golden / "digits.json", "--plot", "fc3:out", "-o", f"markdown={path}")
    assert code == 0
    assert "Bands of fc3 (output)" in out
    assert "Bands of fc3" in path.read_text()
    assert "Bands of" not in covscan("render", golden / "digits.json")[1]


@pytest.mark.parametrize("form", ["json", "csv", "sarif"])
def test_a_plot_that_nobody_would_see_is_an_error(covscan, golden, pipeline, form):
    code, out, err = covscan("render", golden / "digits.json", "--plot", "fc3", "-f", form)
    assert (code, out) == (2, "")
    assert "--plot draws into markdown and text alone" in err
    assert covscan("analyze", "a.pt", "--data", "x.npz", "--plot", "fc3", "-f", form)[0] == 2
    assert pipeline.asked == []


def test_analyze_draws(covscan, pipeline):
    code, out, _ = covscan("analyze", "a.pt", "--data", "x.npz", "--plot", "fc*:out", "-q")
    assert code == 0
    assert out.count("Bands of") == 3


@pytest.mark.parametrize("more", [[], ["-q"]])
def test_a_site_to_draw_that_is_unknown_ends_the_run_before_it_measures(covscan, pipeline, more):
    def behave(settings, progress):
        progress.sites([("fc1", "output"), ("fc2", "output")])
        raise AssertionError("it went on")

    pipeline.behave = behave
    code, out, err = covscan("analyze", "a.pt", "--data", "x.npz", "--plot", "fc9", *more)
    assert (code, out) == (2, "")
    assert "no site matches 'fc9'" in err
    assert "did you mean" in err


def test_a_real_run_looks_for_the_sites_first(covscan, samples):
    folder = samples / "digits-sigmoid"
    words = ["--model", f"{folder}/nets.py:plain", "--data", folder / "sample.npz", "--target", "y"]
    code, _, err = covscan("analyze", *words, "--plot", "fc5", folder / "plain")
    assert code == 2
    assert "did you mean 'fc4', 'fc3', 'fc2'?" in err
    assert "covscan: 1/7" not in err


def test_sites_are_selected_to_the_letter_too(covscan, samples):
    folder = samples / "digits-sigmoid"
    words = ["--model", f"{folder}/nets.py:plain", "--data", folder / "sample.npz", "--target", "y"]
    code, _, err = covscan("analyze", *words, "--sites", "fc1", "--plot", "fc2", folder / "plain/step-0.pt")
    assert code == 2
    assert "no site matches 'fc2'" in err


@pytest.mark.parametrize("words", [["{golden}/digits.json"], ["-"]])
def test_a_report_is_not_browsed_where_there_is_no_terminal(covscan, golden, words):
    code, out, err = covscan("browse", *[word.format(golden=golden) for word in words])
    assert (code, out) == (2, "")
    assert "error[no-terminal]" in err or "keyboard" in err


def test_without_textual_the_extra_is_named(covscan, golden, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, _, err = covscan("browse", golden / "digits.json")
    assert code == 2
    assert "error[missing-extra]" in err
    assert "pip install 'covscan[browse]'" in err


def on_terminal(path, keys, term="xterm-256color"):
    """Browse on a terminal of our own, press keys once something was drawn, and return (exit code, output)."""
    process, leader = pty.fork()
    if process == 0:
        os.environ.update(TERM=term, COLUMNS="100", LINES="30")
        os.execv(sys.executable, [sys.executable, "-m", "covscan", "browse", str(path)])
    received, pressed, deadline = b"", False, time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            part = os.read(leader, 65536)
        except OSError:
            break
        received += part
        if not pressed and b"Overview" in received:
            os.write(leader, keys)
            pressed = True
        if not part:
            break
    _, status = os.waitpid(process, 0)
    os.close(leader)
    return os.waitstatus_to_exitcode(status), received


def test_a_report_is_browsed_on_a_terminal(golden):
    code, received = on_terminal(golden / "digits.json", b"q")
    assert code == 0
    assert b"Traceback" not in received


def test_a_dumb_terminal_and_a_broken_report_are_errors(golden, tmp_path):
    code, received = on_terminal(golden / "digits.json", b"q", term="dumb")
    assert code == 2
    assert b"no-terminal" in received
    (tmp_path / "cut.json").write_text("{")
    code, received = on_terminal(tmp_path / "cut.json", b"q")
    assert code == 2
    assert b"is not JSON" in received


def test_a_browser_that_breaks_is_a_bug_and_no_success(golden, monkeypatch):
    from covscan.browse.app import Browser
    from covscan.cli import browse

    def broken(self, **more):
        self._return_code = 1

    monkeypatch.setattr(Browser, "run", broken)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert browse.run({"report": str(golden / "digits.json")}) == 3
    with pytest.raises(UsageError, match="cannot read"):
        browse.run({"report": "none.json"})
