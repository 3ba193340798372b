"""Measuring processes that die, hang or are told off: this one goes on alone, and the report is the same."""

import time
from dataclasses import replace

import msgspec
import pytest
from fault_testing import FACTORY, without_run

from covscan import parallel
from covscan.config.progress import Silent
from covscan.pipeline import analyze

BADLY = """
import multiprocessing, os, pathlib, signal, time
if multiprocessing.parent_process() is not None:
    {act}
"""
HUNG = "pathlib.Path(__file__).with_name(f'hung-{os.getpid()}').touch()"
HANGS = {
    "sleeps": "time.sleep(1000)",
    "stands still": "os.kill(os.getpid(), signal.SIGSTOP)",
    "does not listen": "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)",
}


class Notes(Silent):
    def __init__(self):
        self.said = []

    def note(self, text):
        self.said.append(text)


def measured(settings, jobs):
    notes = Notes()
    return without_run(msgspec.to_builtins(analyze(replace(settings, jobs=jobs), notes))), notes.said


@pytest.fixture
def impatient(monkeypatch, runs):
    """Patience of a second, which begins once both processes hang: how long it takes to get there is not tested."""
    watch = parallel._Waiting._watch

    def watched(waiting):
        if len(list(runs.folder.glob("hung-*"))) < 2:
            waiting._since = time.monotonic()
        watch(waiting)

    monkeypatch.setattr(parallel._Waiting, "_watch", watched)
    monkeypatch.setattr(parallel, "_PATIENCE", 1.0)
    monkeypatch.setattr(parallel, "_SLOWER", 0.1)
    monkeypatch.setattr(parallel, "_LOOK", 0.1)
    monkeypatch.setattr(parallel, "_FAREWELL", 0.5)


@pytest.mark.parametrize("how", HANGS)
def test_processes_that_hang_leave_their_work_to_this_one(runs, settings, impatient, how):
    alone, _ = measured(settings, 1)
    (runs.folder / "nets_faults.py").write_text(FACTORY + BADLY.format(act=f"{HUNG}; {HANGS[how]}"))
    together, said = measured(settings, 2)
    assert [note for note in said if "done nothing for 1 s; this process goes on alone" in note], said
    assert together == alone
    assert runs.processes() == []
    assert runs.leftovers() == []


def test_a_process_that_hangs_while_it_measures_is_noticed(runs, settings, impatient):
    alone, _ = measured(settings, 1)
    hangs = f"lambda self, x: ({HUNG}, time.sleep(1000)) if torch.initial_seed() == 32 else measure(self, x)"
    act = f"measure = Net.forward\n    Net.forward = {hangs}"  # the seed of the second batch
    (runs.folder / "nets_faults.py").write_text(FACTORY + BADLY.format(act=act))
    together, said = measured(settings, 2)
    assert [note for note in said if "goes on alone" in note], said
    assert together == alone
    assert runs.processes() == []


def test_a_process_that_dies_while_it_measures_leaves_its_work(runs, settings):
    alone, _ = measured(settings, 1)
    dies = "lambda self, x: os._exit(9) if torch.initial_seed() == 32 else measure(self, x)"
    (runs.folder / "nets_faults.py").write_text(
        FACTORY + BADLY.format(act=f"measure = Net.forward\n    Net.forward = {dies}")
    )
    together, said = measured(settings, 3)
    assert [note for note in said if "died" in note], said
    assert together == alone


def test_slow_processes_are_given_time(monkeypatch):
    clock = iter([0.0, 4.0, 30.0, 60.0, 200.0])
    monkeypatch.setattr(parallel.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(parallel, "_PATIENCE", 1.0)
    beats = [0, 0]
    waiting = parallel._Waiting(None, beats, Silent())  # at 0 s
    beats[0] = 1
    waiting._watch()  # at 4 s: a pause of 4 s, so that 40 s are no reason to worry
    waiting._watch()  # at 30 s
    beats[1] = 1
    waiting._watch()  # at 60 s: a pause of 56 s
    waiting._watch()  # at 200 s, still less than ten of those
    assert waiting._longest == 56.0


def test_a_user_error_of_another_process_is_told_as_it_was(runs, settings):
    (runs.folder / "nets_faults.py").write_text(FACTORY.replace("torch.relu", "torch.nosuch"))
    notes = Notes()
    with pytest.raises(Exception, match="nosuch") as caught:
        analyze(replace(settings, jobs=2), notes)
    assert caught.value.code == "model-failed"
    assert notes.said == []  # and not because a process died of it
