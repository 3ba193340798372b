import contextlib
import io
import json
import sys
import types

import jsonschema
import pytest
from typer.testing import CliRunner

from covscan import __version__
from covscan.cli.app import app
from covscan.cli.entry import run
from covscan.cli.streams import Wishes, look_for
from covscan.confinement import in_force
from covscan.report import schema
from covscan.report.schema import SHIPPED


@pytest.mark.parametrize("words", [["--version"], ["-V"], ["version"], ["version", "-f", "text"]])
def test_version(covscan, words):
    assert covscan(*words) == (0, f"covscan {__version__}\n", "")


def test_version_as_json(covscan):
    assert json.loads(covscan("version", "-f", "json")[1]) == {"name": "covscan", "version": __version__}
    assert covscan("version", "-f", "yaml")[0] == 2


def test_schema(covscan):
    code, out, err = covscan("schema")
    assert (code, err) == (0, "")
    assert out.encode() == SHIPPED.read_bytes()
    assert json.loads(out) == schema()
    jsonschema.Draft202012Validator.check_schema(json.loads(out))


def test_no_command_shows_the_help_and_is_no_success(covscan):
    code, out, err = covscan()
    assert (code, out) == (2, "")
    assert "Usage: covscan" in err


COMMANDS = (
    "analyze",
    "check",
    "diff",
    "sites",
    "rule",
    "insert",
    "prove",
    "render",
    "explain",
    "browse",
    "schema",
    "config",
    "init",
    "doctor",
    "version",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_that_fits(covscan, command):
    code, out, err = covscan(command, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: covscan {command} [OPTIONS]")
    assert max(map(len, out.splitlines())) <= 80
    assert command in covscan("-h")[1]


def test_the_help_of_analyze_groups_its_options(covscan):
    out = covscan("analyze", "-h")[1]
    panels = [line for line in out.splitlines() if line and not line.startswith(" ")]
    assert panels[1:] == [
        "Arguments:",
        "Model:",
        "Sample data:",
        "Measurement:",
        "Evidence:",
        "Computing:",
        "Output:",
        "Verdict:",
        "Options:",
    ]
    assert "covscan analyze --data sample.npz epoch1.onnx" in out
    assert "130 interrupted" in out


def test_the_general_help_cuts_no_description(covscan):
    assert "..." not in covscan("-h")[1].replace("[ARGS]...", "")


def test_render_shows_a_report_again(covscan, golden):
    assert covscan("render", golden / "digits.json") == (0, (golden / "digits.pipe.txt").read_text(), "")
    assert covscan("render", golden / "digits.json", "-f", "markdown")[1] == (golden / "digits.md").read_text()
    assert covscan("render", golden / "digits.json", "-f", "json")[1] == (golden / "digits.json").read_text()
    assert "All measures" in covscan("render", golden / "digits.json", "--verbose")[1]


def test_render_writes_files_too(covscan, golden, tmp_path):
    code, out, _ = covscan("render", golden / "deep.json", "-o", f"markdown={tmp_path}/r.md")
    assert code == 0
    assert out == (golden / "deep.pipe.txt").read_text()
    assert (tmp_path / "r.md").read_text() == (golden / "deep.md").read_text()


def test_render_reads_standard_input(covscan, golden, monkeypatch, tmp_path):
    with (golden / "single.json").open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert covscan("render", "-")[1] == (golden / "single.pipe.txt").read_text()
    (tmp_path / "cut").write_text("{")
    with (tmp_path / "cut").open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert "standard input is not JSON" in covscan("render", "-")[2]


@pytest.mark.parametrize("words", [["render"], ["render", "none.json"], ["render", "none.json", "-f", "htm"]])
def test_render_says_what_is_missing(covscan, words):
    code, out, err = covscan(*words)
    assert (code, out) == (2, "")
    assert err.startswith("error[")
    assert "hint" in err


def test_colour_is_decided_by_flag_then_environment(covscan, golden, monkeypatch):
    path = golden / "digits.json"
    assert "\x1b" not in covscan("render", path)[1]
    assert "\x1b" in covscan("render", path, "--color", "always")[1]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" in covscan("render", path)[1]
    assert "\x1b" not in covscan("render", path, "--no-color")[1]
    assert "\x1b" not in covscan("render", path, "--color", "never")[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in covscan("render", path)[1]
    assert "\x1b" in covscan("render", path, "--color", "always")[1]


def test_columns_fill_prose_in_a_pipe_but_cut_no_name(covscan, golden, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    out = covscan("render", golden / "deep.json")[1]
    assert "encoder.layer.11.attention.output.dense" in out
    assert "121000" in out
    assert len(out.splitlines()[0]) <= 60
    monkeypatch.setenv("COLUMNS", "wide")
    assert covscan("render", golden / "deep.json")[1] == (golden / "deep.pipe.txt").read_text()


def test_rules_are_listed_and_explained(covscan):
    code, out, _ = covscan("rule")
    assert code == 0
    codes = [line.split()[0] for line in out.splitlines() if line.startswith("COV")]
    assert codes == sorted(codes)
    assert codes
    code, page, _ = covscan("rule", codes[0].lower())
    assert code == 0
    assert page.startswith(f"# {codes[0]} ")
    assert "## When it misleads" in page


def test_an_unknown_rule_is_an_error(covscan):
    code, out, err = covscan("rule", "COV999")
    assert (code, out) == (2, "")
    assert "there is no rule 'COV999'" in err


def test_doctor_as_text_and_json(covscan):
    code, out, _ = covscan("doctor", "-f", "json")
    found = json.loads(out)
    assert code == 0
    assert found["versions"]["covscan"] == __version__
    assert found["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert "cpu" in found["machine"]["devices"]
    assert found["terminal"]["width"] == "as wide as needed"
    assert found["machine"]["models are kept from"] == " and ".join(in_force()) or not in_force()
    text = covscan("doctor")[1]
    assert found["versions"]["torch"] in text
    assert "CPUExecutionProvider" in text


def test_doctor_survives_what_is_missing_or_broken(covscan, monkeypatch):
    from covscan.cli import doctor

    monkeypatch.setattr(doctor, "EXTRAS", {"hf": "no-such-package"})
    monkeypatch.setattr(doctor, "NEEDED", ("neither-this",))
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "covscan.capture.onnx_runtime", raising=False)  # which other tests imported
    monkeypatch.setenv("TERM", "dumb")
    code, out, _ = covscan("doctor")
    assert code == 0
    assert "-m pip install 'covscan[hf]'" in out
    assert "-m pip install covscan" in out
    assert out.count("cannot be imported") == 2
    assert "dumb" in out


def test_the_app_gives_its_exit_code_to_whoever_runs_it(golden):
    runner = CliRunner()
    done = runner.invoke(app, ["render", str(golden / "quiet.json")])
    assert (done.exit_code, done.stdout) == (0, (golden / "quiet.pipe.txt").read_text())
    assert runner.invoke(app, ["version"]).stdout == f"covscan {__version__}\n"
    assert runner.invoke(app, []).exit_code == 2


def test_standard_output_may_be_a_string(pipeline, golden):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert run(["analyze", "a.pt", "--data", "x.npz"]) == 0
    assert out.getvalue() == (golden / "digits.pipe.txt").read_text()


def test_missing_streams_are_replaced_by_ones_that_lead_nowhere(monkeypatch, golden):
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    code = run(["render", str(golden / "quiet.json")])
    streams = (sys.stdin, sys.stdout, sys.stderr)
    assert code == 0
    assert sys.stdin.read() == ""
    for stream in streams:
        stream.close()


def test_an_unknown_encoding_gets_ascii_glyphs():
    stream = types.SimpleNamespace(encoding="no-such-encoding", isatty=lambda: False)
    assert not look_for(stream, Wishes()).unicode


def test_a_terminal_that_cannot_be_asked_for_its_width_has_80():
    stream = types.SimpleNamespace(encoding="utf-8", isatty=lambda: True, fileno=lambda: -1)
    assert look_for(stream, Wishes()).width == 80
