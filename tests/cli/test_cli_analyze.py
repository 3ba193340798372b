import ctypes
import json
import os
import stat
import subprocess
import sys

import msgspec
import pytest

from covscan.config import Settings
from covscan.errors import Inconclusive, UsageError

HERE = ["a.pt", "b.pt", "--data", "x.npz"]


def test_defaults_are_those_of_the_settings(covscan, pipeline):
    code, _, _ = covscan("analyze", *HERE)
    assert code == 0
    assert pipeline.asked == [Settings(checkpoints=("a.pt", "b.pt"), data="x.npz")]


def test_every_option_reaches_the_settings(covscan, pipeline):
    options = (
        "--model nets.py:build --model-arg width=64 --model-arg name=resnet --model-arg deep=true --trust --target y "
        "--mask m --samples 9 --batch-size 4 --seed 7 --device cpu --positions all --sites *.fc --sites head "
        "--exclude *.norm --train-batch-size 60 --per-channel"
    )
    covscan("analyze", *HERE, *options.split())
    assert pipeline.asked == [
        Settings(
            model="nets.py:build",
            model_args=(("width", 64), ("name", "resnet"), ("deep", True)),
            checkpoints=("a.pt", "b.pt"),
            trust=True,
            data="x.npz",
            target="y",
            mask="m",
            samples=9,
            batch_size=4,
            seed=7,
            device="cpu",
            positions=None,
            sites=("*.fc", "head"),
            exclude=("*.norm",),
            train_batch_size=60,
            per_channel=True,
        )
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("-2.5", -2.5), ("None", None), ("null", None), ("False", False), ("[1, 2]", [1, 2]), ("a=b", "a=b"),
     ("'64'", "64"), ("", ""), ("__import__('os')", "__import__('os')"), ("(" * 500, "(" * 500)],
)  # fmt: skip
def test_model_arguments_are_literals_or_text(covscan, pipeline, text, value):
    covscan("analyze", *HERE, "--model-arg", f"key={text}")
    assert pipeline.asked[0].model_args == (("key", value),)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["analyze"], ["error[no-checkpoints]", "error[no-data]"]),
        (["analyze", "a.pt"], ["error[no-data]"]),
        (["analyze", *HERE, "--model-arg", "width"], ["'--model-arg width' is not KEY=VALUE"]),
        (["analyze", *HERE, "--model-arg", "a b=1"], ["'--model-arg a b=1' is not KEY=VALUE"]),
        (["analyze", *HERE, "--model-arg", "a=1", "--model-arg", "a=2"], ["gives 'a' twice"]),
        (["analyze", *HERE, "--positions", "0"], ["'--positions 0'"]),
        (["analyze", *HERE, "--positions", "some", "--device", "gpu"], ["'--positions some'", "'--device gpu'"]),
        (["analyze", *HERE, "--device", "cud"], ["did you mean 'cuda'?"]),
        (["analyze", *HERE, "--fail-on", "warn"], ["did you mean 'warning'?"]),
        (["analyze", *HERE, "--color", "red"], ["'--color red' is not known"]),
        (["analyze", *HERE, "-f", "jsn"], ["no output format 'jsn'", "did you mean 'json'?"]),
        (["analyze", *HERE, "-o", "jsn=x"], ["did you mean 'json'?"]),
        (["analyze", *HERE, "-o", "report.json"], ["is not FORMAT=PATH", "-o json=report.json"]),
        (["analyze", *HERE, "-o", "json="], ["is not FORMAT=PATH"]),
        (["analyze", *HERE, "-o", "json=x", "-o", "markdown=./x"], ["two outputs go to"]),
        (["analyze", *HERE, "-o", "json=."], ["is a folder"]),
        (["analyze", *HERE, "-o", "json=no/where/x"], ["there is no folder", "mkdir -p"]),
        (["analyze", *HERE, "-o", "json=no/x", "-o", "tex=y"], ["there is no folder", "did you mean 'text'?"]),
        (["analyze", *HERE, "--samples", "0"], ["error[bad-option]", "--samples"]),
        (["analyze", *HERE, "--samples", "many"], ["error[bad-option]", "--samples"]),
        (["analyze", *HERE, "--modle", "x"], ["--modle", "--model", "'covscan analyze --help'"]),
        (["anlyze"], ["'anlyze'", "'analyze'", "'covscan --help'"]),
        (["sites"], ["error[no-model]"]),
        (["sites", "a.pt", "-f", "markdown"], ["'--format markdown' is not known"]),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_measured(covscan, pipeline, words, expected):
    code, out, err = covscan(*words)
    assert code == 2
    assert out == ""
    assert all(text in err for text in expected), err
    assert "Traceback" not in err
    assert pipeline.asked == []


def test_a_folder_that_cannot_be_written_is_met_before_the_measurement(covscan, pipeline):
    code, _, err = covscan("analyze", *HERE, "-o", "json=/proc/report.json")
    assert code == 2
    assert "error[unwritable-output]: cannot write '/proc/report.json'" in err
    assert pipeline.asked == []


def test_one_measurement_gives_every_rendering(covscan, pipeline, golden, tmp_path):
    code, out, _ = covscan(
        "analyze", *HERE, "-f", "json", "-o", f"text={tmp_path}/r.txt", "-o", f"markdown={tmp_path}/r.md"
    )
    assert code == 0
    assert out == (golden / "digits.json").read_text()
    assert (tmp_path / "r.txt").read_text() == (golden / "digits.pipe.txt").read_text()
    assert (tmp_path / "r.md").read_text() == (golden / "digits.md").read_text()
    assert len(pipeline.asked) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.md", "r.txt"]


def test_the_command_is_in_the_report(covscan, pipeline, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/bin/covscan", "analyze", "a b.pt"])
    covscan("analyze", *HERE)
    assert pipeline.commands == ["covscan analyze 'a b.pt'"]


@pytest.mark.parametrize(
    ("level", "severities", "code"),
    [
        ("never", ["error"], 0),
        ("error", ["warning", "info"], 0),
        ("error", ["error"], 1),
        ("warning", ["info"], 0),
        ("warning", ["warning"], 1),
        ("warning", ["error"], 1),
        ("info", ["info"], 1),
        ("info", [], 0),
    ],
)
def test_the_exit_code_follows_the_findings(covscan, pipeline, level, severities, code):
    finding = pipeline.report.findings[0]
    findings = [msgspec.structs.replace(finding, severity=severity) for severity in severities]
    pipeline.report = msgspec.structs.replace(pipeline.report, findings=findings)
    assert covscan("analyze", *HERE, "--fail-on", level)[0] == code


def test_nothing_measured_is_never_green(covscan, pipeline):
    coverage = msgspec.structs.replace(pipeline.report.coverage, measured=0)
    pipeline.report = msgspec.structs.replace(pipeline.report, coverage=coverage)
    assert covscan("analyze", *HERE, "--fail-on", "warning")[0] == 4


def raising(error):
    def behave(settings, progress):
        raise error

    return behave


def test_an_inconclusive_run_says_why(covscan, pipeline, tmp_path):
    pipeline.behave = raising(Inconclusive("nothing-measured", "no site could be measured", hint="look"))
    code, out, err = covscan("analyze", *HERE, "-o", f"json={tmp_path}/r.json")
    assert (code, out) == (4, "")
    assert "error[nothing-measured]: no site could be measured\n  hint:  look\n" in err
    assert list(tmp_path.iterdir()) == []


def test_a_users_error_is_printed_without_control_characters(covscan, pipeline):
    pipeline.behave = raising(UsageError("missing", "no file 'a\x1b[2J\nb'", found="x\ty"))
    code, _, err = covscan("analyze", *HERE)
    assert code == 2
    assert "\x1b" not in err
    assert err == "error[missing]: no file 'a\\x1b[2J\\x0ab'\n  found: x\\x09y\n"


def test_a_bug_shows_its_traceback_and_how_to_report_it(covscan, pipeline):
    pipeline.behave = raising(ZeroDivisionError("by design"))
    code, out, err = covscan("analyze", *HERE)
    assert (code, out) == (3, "")
    assert "ZeroDivisionError: by design" in err
    assert "This is a bug in covscan" in err
    assert "covscan doctor" in err


def test_an_interruption_leaves_nothing_behind(covscan, pipeline, tmp_path):
    pipeline.behave = raising(KeyboardInterrupt())
    code, out, err = covscan("analyze", *HERE, "-o", f"json={tmp_path}/r.json")
    assert (code, out, err) == (130, "", "interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_an_end_of_input_is_an_interruption(covscan, pipeline):
    pipeline.behave = raising(EOFError())
    assert covscan("analyze", *HERE)[0] == 130


def test_running_out_of_memory_is_not_a_bug(covscan, pipeline):
    pipeline.behave = raising(MemoryError())
    code, _, err = covscan("analyze", *HERE)
    assert code == 2
    assert "error[out-of-memory]" in err
    assert "--batch-size" in err


@pytest.mark.parametrize("code", [0, 7, None, "message"])
def test_user_code_that_exits_is_no_success(covscan, pipeline, code):
    pipeline.behave = raising(SystemExit(code))
    exit_code, out, err = covscan("analyze", *HERE)
    assert (exit_code, out) == (2, "")
    assert "error[user-code-exit]" in err
    assert f"SystemExit({code!r})" in err


def test_whatever_prints_goes_to_standard_error(covscan, pipeline, golden):
    def behave(settings, progress):
        print("from python")
        os.write(1, b"from a descriptor\n")
        subprocess.run(["echo", "from a child"], check=True)
        library = ctypes.CDLL(None)
        library.printf(b"from c\n")

    pipeline.behave = behave
    code, out, err = covscan("analyze", *HERE, "-f", "json")
    assert code == 0
    assert out == (golden / "digits.json").read_text()
    for text in ("from python", "from a descriptor", "from a child", "from c"):
        assert text in err


def test_standard_output_is_given_back(covscan, pipeline):
    pipeline.behave = raising(ValueError())
    covscan("analyze", *HERE)
    assert covscan("version")[1] == "covscan 0.1.0\n"


def test_outputs_follow_links_and_keep_permissions(covscan, pipeline, golden, tmp_path):
    real = tmp_path / "real.json"
    real.write_text("old")
    real.chmod(0o640)
    (tmp_path / "link.json").symlink_to(real)
    assert covscan("analyze", *HERE, "-o", f"json={tmp_path}/link.json")[0] == 0
    assert (tmp_path / "link.json").is_symlink()
    assert real.read_text() == (golden / "digits.json").read_text()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_a_device_is_written_to_and_not_replaced(covscan, pipeline, tmp_path):
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    reader = subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE)
    assert covscan("analyze", *HERE, "-o", f"json={fifo}", "-o", "text=/dev/null")[0] == 0
    assert json.loads(reader.communicate()[0])["tool"] == {"name": "covscan", "version": "0.1.0"}
    assert fifo.is_fifo()


def test_where_one_file_fails_none_is_replaced(covscan, pipeline, tmp_path):
    (tmp_path / "old.json").write_text("old")
    folder = tmp_path / "later"
    folder.mkdir()
    pipeline.behave = lambda settings, progress: folder.rmdir()
    code, out, err = covscan("analyze", *HERE, "-o", f"json={tmp_path}/old.json", "-o", f"markdown={folder}/r.md")
    assert (code, out) == (2, "")
    assert f"cannot write '{folder}/r.md'" in err
    assert (tmp_path / "old.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["old.json"]


def test_a_full_disk_leaves_no_half_file(covscan, pipeline, tmp_path, monkeypatch):
    from pathlib import Path

    write_bytes = Path.write_bytes

    def fail(path, content):
        write_bytes(path, content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    code, _, err = covscan("analyze", *HERE, "-o", f"json={tmp_path}/r.json")
    assert code == 2
    assert "found: No space left on device" in err
    assert list(tmp_path.iterdir()) == []


def told(settings, progress):
    progress.start(["a", "b\x1b"], 2)
    for name in ("a", "b\x1b"):
        progress.batch()
        progress.batch()
        progress.checkpoint(name)
    progress.note("careful")
    progress.finish()


def test_progress_is_a_line_per_checkpoint_where_there_is_no_terminal(covscan, pipeline):
    pipeline.behave = told
    _, _, err = covscan("analyze", *HERE, "--fail-on", "error")
    lines = err.splitlines()
    assert [line.split(" (")[0] for line in lines] == ["covscan: 1/2 a", "covscan: 2/2 b\\x1b", "note: careful"]


def test_quiet_silences_progress_and_nothing_else(covscan, pipeline):
    pipeline.behave = told
    code, out, err = covscan("analyze", *HERE, "-q", "--fail-on", "warning")
    assert (code, err) == (1, "")
    assert "Findings: 3 warnings" in out


def test_sites_are_listed(covscan, pipeline):
    code, out, _ = covscan("sites", "--model", "nets.py:build")
    assert code == 0
    assert "fc3   out  Linear   N×100" in out
    assert pipeline.asked == [Settings(model="nets.py:build")]


def test_sites_as_json(covscan, pipeline):
    code, out, _ = covscan("sites", "a.onnx", "-f", "json")
    found = json.loads(out)
    assert code == 0
    assert list(found) == ["schema_version", "tool", "model", "coverage", "sites", "notes"]
    assert [site["site"] for site in found["sites"]][-1] == "head"


def test_no_site_at_all_is_inconclusive(covscan, pipeline):
    pipeline.report = msgspec.structs.replace(pipeline.report, sites=[])
    code, out, _ = covscan("sites", "a.onnx")
    assert code == 4
    assert "Nothing can be tapped." in out
