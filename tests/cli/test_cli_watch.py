"""``covscan watch`` beside a writer that is slow, careless, or deletes what it wrote."""

import fcntl
import json
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import termios
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

QUICK = ["--interval", "0.1"]
NETS = "from torch import nn\n\n\ndef build():\n    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A user's folder: a factory, some data, and the checkpoints that will appear somewhere else."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "nets.py").write_text(NETS)
    np.savez(folder / "x.npz", x=np.random.default_rng(0).normal(size=(64, 6)).astype("float32"))
    for step in range(0, 50, 10):
        torch.manual_seed(step)
        network = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
        torch.save(network.state_dict(), folder / f"step-{step}.pt")
    return folder


@pytest.fixture
def words(made):
    """What every run here says."""
    return ["--model", f"{made}/nets.py:build", "--data", f"{made}/x.npz", "--no-config"]


@pytest.fixture
def watch(covscan, words, tmp_path):
    """Watch ``tmp_path / "runs"`` in this process, and read the report that it wrote."""

    def call(*more):
        report = tmp_path / "r.json"
        code, out, err = covscan("watch", *words, *QUICK, "-o", f"json={report}", *more, tmp_path / "runs")
        return code, out, err, json.loads(report.read_text()) if report.exists() else None

    return call


@pytest.fixture
def writing(made, tmp_path):
    """Run a writer of checkpoints in a thread until the test is over: ``writing(function)``."""
    threads = []

    def start(function):
        threads.append(threading.Thread(target=function, args=(made, tmp_path / "runs"), daemon=True))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(30)


def slowly(source, target, pause=0.25):
    """Half of a file, then the rest, in place."""
    content = source.read_bytes()
    with open(target, "wb") as file:
        for part in (content[: len(content) // 2], content[len(content) // 2 :]):
            file.write(part)
            file.flush()
            time.sleep(pause)


def test_a_slow_writer_is_followed_to_its_end(watch, writing, covscan, words, tmp_path):
    def write(made, runs):
        time.sleep(0.3)
        runs.mkdir()
        for step in range(0, 40, 10):
            slowly(made / f"step-{step}.pt", runs / f"step-{step}.pt")

    writing(write)
    code, out, err, report = watch("--until", "4")
    assert code == 0, err
    assert [each["step"] for each in report["checkpoints"]] == [0, 10, 20, 30]
    assert "waiting for checkpoints" in err
    assert [line.split(" (")[0] for line in err.splitlines() if line.startswith("covscan: ")][1:] == [
        f"covscan: {number} step-{step}" for number, step in enumerate((0, 10, 20, 30), start=1)
    ]
    assert "damaged" not in err
    assert "Shift since step 0" in out
    covscan("analyze", *words, "-o", f"json={tmp_path}/a.json", tmp_path / "runs")
    whole = json.loads((tmp_path / "a.json").read_text())
    del whole["run"], report["run"]
    assert report == whole


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_in_which_nothing_comes_is_inconclusive(watch, tmp_path, there):
    if there:
        (tmp_path / "runs").mkdir()
    code, out, err, report = watch("--idle", "0.3")
    assert (code, out, report) == (4, "", None)
    assert "error[nothing-measured]" in err
    assert ("does not exist yet" in err) is not there


def test_idle_does_not_end_while_something_waits_its_turn(watch, made, tmp_path):
    (tmp_path / "runs").mkdir()
    shutil.copy(made / "step-0.pt", tmp_path / "runs")
    code, _, err, report = watch("--idle", "0.01")
    assert code == 0, err
    assert len(report["checkpoints"]) == 1


def test_a_file_that_stays_broken_is_named_once(watch, made, tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "step-5.pt").write_bytes((made / "step-10.pt").read_bytes()[:-99])
    shutil.copy(made / "step-0.pt", runs)
    shutil.copy(made / "step-10.pt", runs)
    code, _, err, report = watch("--idle", "1")
    assert code == 0, err
    assert [each["id"] for each in report["checkpoints"]] == ["step-0", "step-10"]
    assert err.count("step-5.pt") == 1
    assert "is damaged or cut off" in err


def test_what_a_training_deletes_stays_in_the_report(watch, writing):
    measured = threading.Event()

    def write(made, runs):
        runs.mkdir()
        for step in range(0, 50, 10):
            slowly(made / f"step-{step}.pt", runs / f"step-{step}.pt", 0.05)
            measured.wait(10) if step == 0 else time.sleep(1.0)
            for other in runs.iterdir():
                if other.name != f"step-{step}.pt":
                    other.unlink()

    threading.Timer(2.0, measured.set).start()
    writing(write)
    code, _, err, report = watch("--until", "5", "--idle", "8")
    assert code == 0, err
    assert len(report["checkpoints"]) == 5
    assert err.count("was deleted") == 1
    assert "Deleted before the watch ended" in report["notes"][-1]


def test_a_restarted_watch_measures_nothing_again(watch, made, tmp_path, monkeypatch):
    from covscan.engine import column

    monkeypatch.setenv("COVSCAN_CACHE_SIZE", "1G")
    monkeypatch.setenv("COVSCAN_CACHE_DIR", str(tmp_path / "cache"))
    ran = []
    capture = column.capture
    monkeypatch.setattr(column, "capture", lambda subject, *rest: ran.append(subject.id) or capture(subject, *rest))
    runs = tmp_path / "runs"
    runs.mkdir()
    for step in (0, 10):
        shutil.copy(made / f"step-{step}.pt", runs)
    first = watch("--until", "2")[3]
    assert ran == ["step-0", "step-10"]
    shutil.copy(made / "step-20.pt", runs)
    second = watch("--until", "3")[3]
    assert ran == ["step-0", "step-10", "step-20"]
    assert second["checkpoints"][:2] == first["checkpoints"]


def test_without_a_cache_nothing_is_left_behind(watch, made, tmp_path, monkeypatch):
    monkeypatch.setenv("COVSCAN_CACHE_SIZE", "1G")
    monkeypatch.setenv("COVSCAN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "runs").mkdir()
    for step in (0, 10):
        shutil.copy(made / f"step-{step}.pt", tmp_path / "runs")
    assert watch("--until", "2", "--no-cache")[0] == 0
    assert sorted(each.name for each in tmp_path.iterdir()) == ["r.json", "runs"]


def test_findings_decide_the_exit_code(watch, made, tmp_path):
    (tmp_path / "runs").mkdir()
    for step in (0, 10):
        shutil.copy(made / f"step-{step}.pt", tmp_path / "runs")
    assert watch("--until", "2", "--fail-on", "info")[0] == 1
    assert watch("--until", "2", "--fail-on", "info", "--ignore", "COV*")[0] == 0


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--interval", "0"], "'--interval 0.0' is no length of time"),
        (["--idle", "-1"], "'--idle -1.0' is no length of time"),
        (["--until", "0"], "--until"),
        (["--select", "COV2*"], "without it none does"),
        (["--data", "no-such.npz"], "no-such.npz"),
        (["--model", "no-such.py:build"], "no-such.py"),
        (["-o", "json=no/where/r.json"], "there is no folder"),
        (["--jobs", "2"], "--jobs"),
    ],
)
def test_what_is_wrong_is_said_at_once_and_not_when_a_checkpoint_comes(watch, more, expected):
    code, out, err, report = watch(*more)
    assert (code, out, report) == (2, "", None)
    assert expected in err


def test_one_folder_is_needed(covscan, words):
    assert "error[no-checkpoints]" in covscan("watch", *words)[2]


def test_the_folder_may_stand_in_the_configuration(covscan, made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    shutil.copy(made / "step-0.pt", tmp_path / "runs")
    (tmp_path / "covscan.toml").write_text(
        f'model = "{made}/nets.py:build"\ndata = "{made}/x.npz"\ncheckpoints = ["runs/"]\n'
    )
    code, _, err = covscan("watch", *QUICK, "--until", "1")
    assert code == 0, err
    (tmp_path / "covscan.toml").write_text('data = "x.npz"\ncheckpoints = ["a/", "b/"]\n')
    code, _, err = covscan("watch", *QUICK)
    assert code == 2
    assert "error[one-folder]" in err


def test_a_file_is_no_folder_to_follow(covscan, words, made):
    code, _, err = covscan("watch", *words, made / "step-0.pt")
    assert code == 2
    assert "error[not-a-folder]" in err


def test_a_folder_that_comes_to_hold_several_runs_does_not_end_the_watch(watch, writing):
    def write(made, runs):
        (runs / "a").mkdir(parents=True)
        for step in (0, 10):
            shutil.copy(made / f"step-{step}.pt", runs / "a")
        time.sleep(2.5)
        (runs / "b").mkdir()
        for step in (0, 10):
            shutil.copy(made / f"step-{step}.pt", runs / "b")

    writing(write)
    code, _, err, report = watch("--idle", "4")
    assert code == 0, err
    assert len(report["checkpoints"]) == 2
    assert err.count("holds several runs") == 1


def test_quiet_keeps_the_report_and_the_errors(watch, made, tmp_path):
    (tmp_path / "runs").mkdir()
    shutil.copy(made / "step-0.pt", tmp_path / "runs")
    code, out, err, _ = watch("--until", "1", "-q")
    assert (code, err) == (0, "")
    assert "covscan" in out


@pytest.fixture
def started(ready, root):
    """A watch in a process of its own that can be interrupted."""

    def start(words, runs, *more):
        return ready.start("-m", "covscan", "watch", *words, *QUICK, *more, runs, cwd=root)

    return start


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_interrupt_ends_with_the_report(started, words, made, tmp_path, number):
    for step in (0, 10):
        shutil.copy(made / f"step-{step}.pt", tmp_path)
    running = started(words, tmp_path, "--fail-on", "info")
    running.until("step-10")
    running.send_signal(number)
    done = running.wait(60)
    assert done.returncode == 1, done.stderr
    assert "Shift since step 0" in done.stdout
    assert "Traceback" not in done.stderr


def test_an_interrupt_before_anything_was_measured_is_inconclusive(started, words, tmp_path):
    running = started(words, tmp_path / "none")
    running.until("waiting")
    running.send_signal(signal.SIGINT)
    done = running.wait(60)
    assert (done.returncode, done.stdout) == (4, "")
    assert "error[nothing-measured]" in done.stderr


SLOW = """
import time, sys
import torch
class Slow(torch.nn.Linear):
    def forward(self, x):
        print("forward", file=sys.stderr, flush=True)
        time.sleep(0.4)
        return super().forward(x)
def build():
    return torch.nn.Sequential(Slow(6, 3))
"""


@pytest.fixture
def slow_run(started, made, tmp_path):
    """A watch in the middle of its first measurement."""
    (tmp_path / "slow.py").write_text(SLOW)
    runs = tmp_path / "runs"
    runs.mkdir()
    torch.save(nn.Sequential(nn.Linear(6, 3)).state_dict(), runs / "step-0.pt")
    words = ["--model", f"{tmp_path}/slow.py:build", "--data", f"{made}/x.npz", "--no-config", "--batch-size", "1"]
    running = started(words, runs, "-o", f"json={tmp_path}/r.json")
    running.until("forward")
    return running


def test_an_interrupt_stops_a_measurement_between_two_batches(slow_run):
    began = time.monotonic()
    slow_run.send_signal(signal.SIGINT)
    done = slow_run.wait(60)
    assert done.returncode == 4, done.stderr
    assert time.monotonic() - began < 15  # all 64 batches would take 25


def test_the_second_interrupt_interrupts(slow_run, tmp_path):
    slow_run.send_signal(signal.SIGINT)
    slow_run.send_signal(signal.SIGTERM)
    done = slow_run.wait(60)
    assert done.returncode == 130
    assert done.stderr.rstrip().endswith("interrupted")
    assert not (tmp_path / "r.json").exists()


@pytest.mark.parametrize("width", [80, 200])
def test_a_terminal_gets_a_table_that_makes_way_for_the_report(words, made, tmp_path, width):
    for step in range(0, 50, 10):
        shutil.copy(made / f"step-{step}.pt", tmp_path)
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 30, width, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "LINES"}}
    running = subprocess.Popen(
        [sys.executable, "-m", "covscan", "watch", *words, *QUICK, "--idle", "1", tmp_path],
        stdin=subprocess.DEVNULL, stdout=follower, stderr=follower,
        env={**environment, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(leader)
    text = shown.decode()
    assert running.wait() == 0
    assert "last step" in text
    assert "waiting for more" in text
    assert "5 measured" in text
    assert text.index("last step") < text.rindex("Shift since step 0")
    assert all(len(row) <= width * 3 for row in text.split("\r\n"))
