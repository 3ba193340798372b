"""What ends a run from outside, and when: nothing half-written, nobody left running, and the next run is right."""

import os
import signal
from pathlib import Path

import pytest
from fault_testing import BEFORE, KILL, at_call, send

import covscan.cli.outputs as outputs
import covscan.engine.site_work as site_work
import covscan.engine.subjects as subjects
import covscan.models.digest as digest
import covscan.models.factory_source as factory_source
import covscan.parallel as parallel
from covscan.cache import Store, store

STAGES = {
    "opening": at_call(factory_source, "build", 1, KILL),
    "hashing": at_call(digest, "_digest_file", 2, KILL),
    "measuring": at_call(subjects.SummaryRecorder, "record", 6, KILL),
    "comparing": at_call(site_work, "compare", 3, KILL),
    "the cache": at_call(store.os, "replace", 3, KILL),
    "the output": at_call(outputs, "_write", 1, KILL, after=True),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_that_is_killed_leaves_the_old_report_and_a_usable_cache(runs, truth, stage):
    killed = runs.child(STAGES[stage])
    assert killed.code == -signal.SIGKILL, killed.said
    assert runs.output.read_text() == BEFORE
    again = runs.child()
    assert again.code == 0, again.said
    assert "damaged" not in again.said
    assert runs.report() == truth


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("stage", ["measuring", "comparing", "the output", "writing"])
def test_a_signal_ends_a_run_with_130_and_nothing_left(runs, number, stage):
    owner, name, calls = {
        "measuring": (subjects.SummaryRecorder, "record", 6),
        "comparing": (subjects, "norm_evidence", 2),
        "the output": (outputs, "encoded", 1),
        "writing": (Path, "write_bytes", 1),
    }[stage]
    ended = runs.child(at_call(owner, name, calls, send(number), after=stage == "writing"))
    assert (ended.code, ended.said.splitlines()[-1]) == (130, "interrupted")
    assert "Traceback" not in ended.said
    assert runs.output.read_text() == BEFORE
    assert runs.leftovers() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_other_processes_as_well(runs, number):
    ended = runs.child(at_call(parallel._Waiting, "_watch", 1, send(number)), runs.arguments("--jobs", 2, "--no-cache"))
    assert ended.code == 130, ended.said
    assert "interrupted" in ended.said.splitlines()
    assert runs.output.read_text() == BEFORE
    assert runs.leftovers() == []
    assert runs.processes() == []


def test_a_signal_that_was_to_be_ignored_is_ignored(runs, truth):
    def prepare():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
        at_call(subjects.SummaryRecorder, "record", 6, send(signal.SIGHUP))()

    assert runs.child(prepare).code == 0
    assert runs.report() == truth


def test_a_second_signal_does_not_disturb_the_cleaning_up(runs):
    def prepare():
        at_call(subjects.SummaryRecorder, "record", 6, send(signal.SIGTERM))()
        at_call(parallel, "end", 1, send(signal.SIGTERM))()

    ended = runs.child(prepare, runs.arguments("--jobs", 2, "--no-cache"))
    assert ended.code in {0, 130}  # 0 where the others had measured everything before this process did anything
    assert runs.leftovers() == []
    assert runs.processes() == []


def test_two_runs_on_one_cache_do_not_disturb_each_other(runs, truth):
    outputs_of = [runs.folder / f"report-{number}.json" for number in range(2)]
    started = [
        runs.start(arguments=[*runs.arguments(), "-o", f"json={path}"], name=f"said-{number}")
        for number, path in enumerate(outputs_of)
    ]
    ended = [runs.wait(number, f"said-{place}") for place, number in enumerate(started)]
    assert [each.code for each in ended] == [0, 0], ended
    assert [runs.report(path) for path in outputs_of] == [truth, truth]
    kept = Store(runs.folder / "cache", 1 << 30)
    assert kept.held()
    assert all(kept.get(held.kind, held.path.stem) is not None for held in kept.held())  # raises Broken otherwise


def test_a_cache_that_is_cleared_meanwhile_is_filled_again(runs, truth):
    held = Store(runs.folder / "cache", 1 << 30)
    ended = runs.child(at_call(site_work, "compare", 2, held.clear))
    assert ended.code == 0, ended.said
    assert runs.report() == truth


def test_a_folder_of_the_cache_may_vanish_while_it_is_listed(runs, monkeypatch):
    kept = Store(runs.folder / "cache", 1 << 30)
    kept.put("facts", "ab" + "0" * 62, b"x")
    monkeypatch.setattr(Store, "_folders", lambda self: iter([self.folder / "zz", self.folder / "ab"]))
    assert [held.kind for held in kept.held()] == ["facts"]


def test_a_clock_that_goes_backwards_changes_no_number(runs, truth, monkeypatch):
    def prepare():
        now = iter(range(2_000_000_000, 0, -3600))
        store.time.time = lambda: float(next(now))

    for _ in range(2):
        ended = runs.child(prepare)
        assert ended.code == 0, ended.said
        assert runs.report() == truth


def test_entries_from_the_future_can_be_evicted(tmp_path):
    kept = Store(tmp_path, 3000)
    for number in range(4):
        kept.put("summary", f"{number:064d}", bytes(900))
    for held in kept.held():
        os.utime(held.path, (4e9, 4e9))
    kept.put("summary", f"{9:064d}", bytes(900))
    assert sum(held.size for held in kept.held()) <= 3000
    assert kept.complaint is None
