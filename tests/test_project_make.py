"""The Makefile and the CI job, as somebody on a fresh machine meets them."""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(root: Path, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        [shutil.which("make"), "--no-print-directory", *arguments],
        cwd=root,
        env={**environment, "PATH": path or environment["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )


def targets(root: Path) -> set[str]:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    return set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())


def test_make_alone_lists_every_target(root: Path) -> None:
    shown = make(root)
    assert shown.returncode == 0
    assert set(re.findall(r"^  make ([a-z-]+) {2,}\S", shown.stdout, re.MULTILINE)) == targets(root)


def test_every_make_command_in_the_documents_exists(root: Path) -> None:
    documents = [root / name for name in ("README.md", "CONTRIBUTING.md", "Makefile") if (root / name).exists()]
    mentioned = {
        target
        for document in documents
        for target in re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)\b", document.read_text(encoding="utf-8"))
        if target in {"all", "install", *targets(root)} or f"`make {target}`" in document.read_text("utf-8")
    }
    assert mentioned
    assert mentioned <= targets(root)


@pytest.mark.parametrize(
    "target",
    [
        "demo",
        "test",
        "check",
        "test-real",
        "bench",
        "bench-growth",
        "bench-peers",
        "fuzz",
        "pictures",
        "build",
        "lock",
        "licences",
        "audit",
    ],
)
def test_each_target_sets_up_first(root: Path, tmp_path: Path, target: str) -> None:
    planned = make(root, "--dry-run", f"VENV={tmp_path / 'fresh'}", target)
    assert planned.returncode == 0, planned.stderr
    commands = planned.stdout.splitlines()
    created = next(place for place, line in enumerate(commands) if "-m venv" in line)
    first_use = next(place for place, line in enumerate(commands) if f"{tmp_path / 'fresh'}/bin/" in line)
    assert created < first_use
    assert not (tmp_path / "fresh").exists()


def test_a_python_that_does_not_run_is_passed_over(root: Path, tmp_path: Path) -> None:
    # As a version manager's shim does for a release that is not installed.
    broken = tmp_path / "python3"
    broken.write_text("#!/bin/sh\necho 'command not found' >&2\nexit 127\n", encoding="utf-8")
    broken.chmod(0o755)
    working = tmp_path / "python3.12"
    working.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    working.chmod(0o755)
    planned = make(root, "-n", f"VENV={tmp_path}/v", "setup", path=f"{tmp_path}:{os.environ['PATH']}")
    created = next(line for line in planned.stdout.splitlines() if "-m venv" in line)
    assert not created.startswith("python3 ")


def test_no_python_at_all_is_said_clearly(root: Path, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "test", "echo", "awk"):
        (tools / name).symlink_to(shutil.which(name))
    failed = make(root, f"VENV={tmp_path}/v", "setup", path=str(tools))
    assert failed.returncode == 2
    assert "no Python 3.11 or newer" in failed.stderr
    assert not (tmp_path / "v").exists()


def test_an_unfit_python_is_named(root: Path, tmp_path: Path) -> None:
    failed = make(root, f"VENV={tmp_path}/v", "PYTHON=false", "setup")
    assert failed.returncode == 2
    assert "PYTHON=false does not run" in failed.stderr
    assert not (tmp_path / "v").exists()


def ci_job(root: Path, folder: Path) -> Path:
    """A clone whose tests print where they run, and fail."""
    copy = folder / "clone" / ".ci" / "run"
    copy.parent.mkdir(parents=True)
    shutil.copy(root / ".ci" / "run", copy)
    (folder / "clone" / "Makefile").write_text("test:\n\t@pwd\n\t@false\n", encoding="utf-8")
    return copy


def script(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


def test_the_ci_job_runs_the_tests_wherever_it_is_called_from(root: Path, tmp_path: Path) -> None:
    assert (root / ".ci" / "run").stat().st_mode & stat.S_IXUSR
    job = ci_job(root, tmp_path)
    script(tmp_path / "bin" / "chromium", "exit 0")  # there is one, so that none is fetched
    # Under make a make of its own says where it is, and so would this one.
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    outside["PATH"] = f"{tmp_path / 'bin'}:{outside['PATH']}"
    ran = subprocess.run([job], cwd="/", env=outside, capture_output=True, text=True, check=False)
    assert ran.stdout.strip().splitlines()[0] == str(tmp_path / "clone")
    assert ran.returncode != 0, "a failing suite fails the job"


@pytest.mark.parametrize(("user", "asks", "said"), [(0, 1, True), (1000, 0, False)])
def test_the_ci_job_tests_without_a_browser_where_none_can_be_had(
    root: Path, tmp_path: Path, user: int, asks: int, said: bool
) -> None:
    job, tools = ci_job(root, tmp_path), tmp_path / "bin"
    script(tools / "id", f"echo {user}")
    script(tools / "apt-get", f"echo asked >> {tmp_path / 'asked'}; exit 100")
    for name in ("bash", "sh", "make", "dirname", "env", "pwd", "false"):
        (tools / name).symlink_to(shutil.which(name))
    ran = subprocess.run([job], env={"PATH": str(tools)}, capture_output=True, text=True, check=False)
    assert ran.stdout.strip().splitlines()[0] == str(tmp_path / "clone")
    assert ("no Chromium could be installed" in ran.stderr) == said
    assert (tmp_path / "asked").exists() == bool(asks)
