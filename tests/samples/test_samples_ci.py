"""The action, the hooks and the CI examples, run as the CI systems run them: by bash, in a folder of their own."""

import json
import os
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
ACTION = ROOT / ".github" / "actions" / "check" / "action.yml"
CI = ROOT / "samples" / "ci"
REPORT = ROOT / "samples" / "digits-sigmoid" / "report-plain.json"

# In place of ``covscan check`` where its exit code is to be chosen: draws the report that it would have measured.
CHECK = """\
import json, os, sys
with open(os.environ["RECORD"], "a") as record:
    record.write(json.dumps(sys.argv[1:]) + "\\n")
print("what a factory prints", file=sys.stderr)
if os.environ.get("STUB_FAILS"):
    sys.exit(int(os.environ["STUB_FAILS"]))
words = iter(sys.argv[2:])
drawn = [word for name in words if name in ("-f", "-o") for word in (name, next(words))]
from covscan.cli.entry import run
code = run(["render", os.environ["REPORT"], *drawn])
sys.exit(code or int(os.environ.get("STUB_CODE", "0")))
"""
REAL = """\
import json, os, sys
with open(os.environ["RECORD"], "a") as record:
    record.write(json.dumps(sys.argv[1:]) + "\\n")
from covscan.cli.entry import run
sys.exit(run(sys.argv[1:]))
"""
PIP = """\
import json, os, sys
with open(os.environ["RECORD"], "a") as record:
    record.write(json.dumps(["python", *sys.argv[1:]]) + "\\n")
"""


@pytest.fixture
def runner(tmp_path):
    """A machine of a CI system: ``runner(script, **environment)`` gives the process; what it called is recorded."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, source in (("covscan", CHECK), ("python", PIP)):
        (programs / name).write_text(f"#!{sys.executable}\n{source}", encoding="utf-8")
        (programs / name).chmod(0o755)
    return Runner(tmp_path, programs)


@pytest.fixture
def gate(runner):
    """The same machine with the covscan that is to judge."""
    (runner.programs / "covscan").write_text(f"#!{sys.executable}\n{REAL}", encoding="utf-8")
    return runner


class Runner:
    def __init__(self, folder, programs):
        self.folder, self.programs = folder, programs
        self.record = folder / "record"
        self.record.touch()
        self.work = folder / "work"
        self.work.mkdir()

    def __call__(self, script, cwd=None, **more):
        environment = {
            "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "RECORD": str(self.record),
            "REPORT": str(REPORT),
            "HOME": str(self.folder),
            "LANG": "C",
        }
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=cwd or self.work,
            env=environment | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )

    def calls(self):
        return [json.loads(line) for line in self.record.read_text(encoding="utf-8").splitlines()]


def action():
    return yaml.safe_load(ACTION.read_text(encoding="utf-8"))


def filled(value, inputs):
    for name, given in inputs.items():
        value = value.replace(f"${{{{ inputs.{name} }}}}", given)
    assert "${{" not in value, value
    return value


class Ran:
    """What the steps of the action left behind."""

    def __init__(self, runner, given=(), **more):
        files = {name: runner.folder / name for name in ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for path in files.values():
            path.write_text("", encoding="utf-8")
        temporary = runner.folder / "temp of runner"
        temporary.mkdir(exist_ok=True)
        inputs = {name: spec["default"] for name, spec in action()["inputs"].items()} | dict(given)
        for step in action()["runs"]["steps"]:
            environment = {name: filled(value, inputs) for name, value in step["env"].items()}
            environment |= {name: str(path) for name, path in files.items()}
            environment |= {"RUNNER_TEMP": str(temporary), "GITHUB_ACTION_PATH": str(ACTION.parent)} | more
            folder = runner.work / filled(step.get("working-directory", "."), inputs)
            self.process = runner(step["run"], cwd=folder, **environment)
            if self.process.returncode:
                break
        lines = files["GITHUB_OUTPUT"].read_text(encoding="utf-8").splitlines()
        self.outputs = dict(line.split("=", 1) for line in lines)
        self.summary = files["GITHUB_STEP_SUMMARY"].read_bytes()
        self.environment = files["GITHUB_ENV"].read_text(encoding="utf-8")


def test_the_action_annotates_summarizes_and_hands_on_its_files(runner):
    ran = Ran(runner, {"report": str(REPORT)})
    assert ran.process.returncode == 0, ran.process.stderr
    lines = ran.process.stdout.splitlines()
    levels = [line.split()[0] for line in lines[:-1]]
    assert levels == sorted(levels, key=["::error", "::warning", "::notice"].index)
    assert set(levels) <= {"::error", "::warning", "::notice"}
    assert len(levels) >= 5
    assert " file=samples/digits-sigmoid/nets.py,line=" in lines[0]
    assert lines[-1].startswith("covscan: ")
    assert b"# covscan" in ran.summary
    assert 1000 < len(ran.summary) < 2**20
    assert ran.outputs["exit-code"] == "0"
    assert json.loads(Path(ran.outputs["report"]).read_text(encoding="utf-8"))["schema_version"]
    assert json.loads(Path(ran.outputs["sarif"]).read_text(encoding="utf-8"))["version"] == "2.1.0"
    assert ran.environment == ""


@pytest.mark.parametrize("code", ["1", "4"])
def test_a_verdict_is_kept_and_everything_is_written_before(runner, code):
    ran = Ran(runner, {"report": str(REPORT)}, STUB_CODE=code)
    assert ran.process.returncode == int(code)
    assert ran.outputs["exit-code"] == code
    assert b"# covscan" in ran.summary
    assert Path(ran.outputs["sarif"]).is_file()


@pytest.mark.parametrize(("fail_on", "code"), [("error", 0), ("info", 1)])
def test_the_job_ends_as_the_report_is_judged(gate, fail_on, code):
    """With the real covscan check STUB_CODE means nothing: the code is that of its verdict."""
    ran = Ran(gate, {"report": str(REPORT), "preset": "none", "fail-on": fail_on}, STUB_CODE=str(code))
    assert ran.process.returncode == code, ran.process.stderr
    assert ran.outputs["exit-code"] == str(code)
    assert Path(ran.outputs["report"]).is_file()


@pytest.mark.parametrize("code", ["2", "3"])
def test_where_nothing_was_written_no_file_is_named(runner, code):
    Ran(runner, {"report": str(REPORT)})  # what an earlier step left must not be taken for this one's
    ran = Ran(runner, {"report": "none.json"}, STUB_FAILS=code)
    assert ran.process.returncode == int(code)
    assert ran.outputs == {"exit-code": code, "report": "", "sarif": ""}
    assert ran.summary == b""


def test_each_input_becomes_its_argument(runner):
    (runner.work / "a b").mkdir()
    given = {
        "report": "r.json",
        "config": "c d.toml",
        "preset": "strict",
        "fail-on": "warning",
        "baseline": "b.json",
        "baseline-rev": "origin/main",
        "args": "--samples\n64\n\nruns/a b.pt\n",
        "working-directory": "a b",
        "output-directory": str(runner.folder / "out put"),
    }
    ran = Ran(runner, given)
    assert ran.process.returncode == 0
    check = runner.calls()[-1]
    assert check[:3] == ["check", "-f", "github"]
    assert check[3:9:2] == ["-o"] * 3
    assert check[9:] == [
        "--report", "r.json", "--config", "c d.toml", "--preset", "strict", "--fail-on", "warning",
        "--baseline", "b.json", "--baseline-rev", "origin/main", "--samples", "64", "runs/a b.pt",
    ]  # fmt: skip
    assert ran.outputs["report"] == f"{runner.folder}/out put/report.json"


def test_without_inputs_there_is_no_argument_but_the_outputs(runner):
    Ran(runner)
    written = [word for name in ("json", "sarif", "markdown") for word in ("-o", name)]
    assert [word.split("=")[0] for word in runner.calls()[-1]] == ["check", "-f", "github", *written]


HOSTILE = ['"; touch injected; "', "$(touch injected)", "`touch injected`", "' && touch injected #", "${IFS}\\"]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_input_becomes_a_command(runner, text):
    given = {name: text for name in action()["inputs"] if name not in {"working-directory", "output-directory"}}
    ran = Ran(runner, given)
    assert ran.process.returncode == 0, ran.process.stderr
    assert not list(runner.folder.rglob("injected"))
    install, check = runner.calls()
    assert install[-1] == text
    assert check.count(text) == 7


def test_no_script_is_put_together_from_inputs():
    for step in action()["runs"]["steps"]:
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"
    used = "".join(json.dumps([step["env"], step.get("working-directory", "")]) for step in action()["runs"]["steps"])
    for name, spec in action()["inputs"].items():
        assert f"inputs.{name} " in used, name
        assert spec["description"].strip()
        assert "default" in spec
    assert set(action()["outputs"]) == {"exit-code", "report", "sarif"}


@pytest.mark.parametrize(
    ("given", "installed"),
    [
        ({}, f"{ACTION.parent}/../../.."),
        ({"version": "1.2.3"}, "covscan==1.2.3"),
        ({"install": "covscan[hf] @ file:///x", "version": "1"}, "covscan[hf] @ file:///x"),
        ({"install": "none"}, None),
        ({"install": "--index-url=http://evil"}, "--index-url=http://evil"),
    ],
)
def test_what_is_installed(runner, given, installed):
    Ran(runner, given)
    calls = [call for call in runner.calls() if call[0] == "python"]
    if installed is None:
        assert calls == []
        return
    assert calls[0][1:4] == ["-m", "pip", "install"]
    assert calls[0][-2:] == ["--", installed]
    if installed.endswith(".."):
        assert (Path(installed) / "pyproject.toml").resolve() == ROOT / "pyproject.toml"


def test_a_failed_installation_fails(runner):
    (runner.programs / "python").write_text("#!/bin/sh\nexit 7\n", encoding="utf-8")
    ran = Ran(runner)
    assert ran.process.returncode == 7
    assert runner.calls() == []


def workflow(name):
    return yaml.safe_load((CI / name).read_text(encoding="utf-8"))


def test_the_github_example_runs_the_action_with_inputs_that_it_has(runner):
    job = workflow("github.yml")["jobs"]["check"]
    step = next(step for step in job["steps"] if step.get("id") == "covscan")
    assert (ROOT / step["uses"] / "action.yml").resolve() == ACTION
    assert set(step["with"]) <= set(action()["inputs"])
    ran = Ran(runner, step["with"])
    assert ran.process.returncode == 0, ran.process.stderr
    check = runner.calls()[-1]
    config = check[check.index("--config") + 1]
    assert (ROOT / config).is_file()
    text = json.dumps(job["steps"])
    for name in ("sarif", "report"):
        assert f"${{{{ steps.covscan.outputs.{name} }}}}" in text
        assert name in action()["outputs"]
    assert workflow("github.yml")["permissions"]["security-events"] == "write"


@pytest.mark.parametrize("code", ["0", "1", "4"])
def test_the_gitlab_example_writes_what_it_promises(runner, code):
    job = workflow("gitlab.yml")["covscan"]
    ran = runner("\n".join([*job["before_script"], *job["script"]]), STUB_CODE=code)
    assert ran.returncode == int(code), ran.stderr
    assert runner.calls()[0][:4] == ["python", "-m", "pip", "install"]
    reports = job["artifacts"]["reports"]
    quality = json.loads((runner.work / reports["codequality"]).read_text(encoding="utf-8"))
    assert {entry["location"]["path"] for entry in quality} == {"samples/digits-sigmoid/nets.py"}
    assert ET.parse(runner.work / reports["junit"]).getroot().tag == "testsuites"
    assert all((runner.work / path).is_file() for path in job["artifacts"]["paths"])
    assert job["artifacts"]["when"] == "always"


def hooks():
    return yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("hook", hooks(), ids=lambda hook: hook["id"])
@pytest.mark.parametrize("code", ["0", "1"])
def test_a_hook_calls_covscan_and_fails_with_it(runner, hook, code):
    assert {"id", "name", "entry", "language", "pass_filenames"} <= set(hook)
    assert hook["pass_filenames"] is False
    ran = runner(" ".join([hook["entry"], *hook.get("args", ())]), STUB_CODE=code)
    assert ran.returncode == int(code), ran.stderr
    assert runner.calls() == [[*hook["entry"].split()[1:], *hook.get("args", ())]]


def test_the_cheap_hook_reads_a_report_and_the_measuring_one_waits_for_the_push():
    cheap, measuring = hooks()
    assert "--report" in cheap["entry"]
    assert cheap.get("stages") is None
    assert measuring["stages"] == ["pre-push"]
    assert "--report" not in measuring["entry"]


def test_the_configuration_names_files_that_are_there():
    found = tomllib.loads((CI / "covscan.toml").read_text(encoding="utf-8"))
    for path in (found["model"].partition(":")[0], found["data"], *found["checkpoints"]):
        assert (CI / path).exists()
    assert {"drift", "saturation"} <= set(found["budgets"])


def test_the_readme_names_every_file():
    readme = (CI / "README.md").read_text(encoding="utf-8")
    assert {path.name for path in CI.iterdir()} <= {"README.md"} | {
        path.name for path in CI.iterdir() if f"`{path.name}`" in readme
    }
    assert [hook["id"] for hook in hooks() if f"- id: {hook['id']}" not in readme] == []
