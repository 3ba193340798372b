"""Full and read-only disks, and files that change while they are read."""

import os
import resource
import signal
import tempfile

import pytest
import torch
from fault_testing import BEFORE, FACTORY, at_call

import covscan.engine.column as column
import covscan.engine.subjects as subjects
import covscan.models.loading as loading

ENDLESS = """
import numpy as np

def batches():
    generator = np.random.default_rng(0)
    while True:
        yield {"x": generator.normal(size=(16, 6)).astype(np.float32)}
"""


def files_up_to(size):
    """No file may get larger, as if the disk were full."""

    def prepare():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return prepare


def test_a_full_disk_replaces_no_report(runs):
    other = runs.folder / "report.md"
    other.write_text(BEFORE)
    arguments = runs.arguments("--no-cache", "-o", f"markdown={other}")
    ended = runs.child(files_up_to(4096), arguments)
    assert ended.code == 2
    assert "error[unwritable-output]" in ended.said
    assert (runs.output.read_text(), other.read_text()) == (BEFORE, BEFORE)
    assert runs.leftovers() == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_device_is_said(runs):
    ended = runs.child(arguments=runs.arguments("-o", "csv=/dev/full"))
    assert ended.code == 2
    assert "error[unwritable-output]" in ended.said
    assert "No space left" in ended.said
    assert runs.output.read_text() == BEFORE


def test_a_full_disk_under_the_cache_costs_the_cache_alone(runs, truth):
    def prepare():

        from covscan.cache import Store

        def full(self, path, content):
            raise OSError(28, "No space left on device")

        Store._write = full

    ended = runs.child(prepare)
    assert ended.code == 0
    assert "the cache keeps nothing" in ended.said
    assert "No space left" in ended.said
    assert runs.report() == truth


def test_a_cache_that_cannot_be_written_to_costs_the_cache_alone(runs, truth, monkeypatch):
    monkeypatch.setenv("COVSCAN_CACHE_DIR", "/proc/covscan")
    ended = runs.child()
    assert ended.code == 0
    assert "the cache keeps nothing" in ended.said
    assert runs.report() == truth


def test_an_output_in_a_folder_that_cannot_be_written_to_is_said_before_anything_is_measured(runs):
    measured = at_call(subjects.SummaryRecorder, "record", 1, lambda: os._exit(77))
    ended = runs.child(measured, runs.arguments("-o", "csv=/proc/self/report.csv"))
    assert ended.code == 2
    assert "error[unwritable-output]" in ended.said


@pytest.mark.parametrize(("limit", "samples"), [(0, 64), (100, 512), (1000, 512), (1000, 64)])
def test_samples_that_do_not_fit_into_the_temporary_folder_are_said(runs, limit, samples):
    (runs.folder / "endless_faults.py").write_text(ENDLESS)
    arguments = ["analyze", "--model", f"{runs.folder / 'nets_faults.py'}:build", "--no-config", "--data"]
    arguments += [f"{runs.folder / 'endless_faults.py'}:batches", "--samples", str(samples), str(runs.checkpoint(0))]
    ended = runs.child(files_up_to(limit) if limit else _no_temporary_folder, arguments)
    assert ended.code == 2, ended.said
    assert "error[no-space]" in ended.said or limit  # what it said may not fit either
    assert runs.leftovers() == []


def _no_temporary_folder():
    tempfile.tempdir = "/proc/nowhere"


def test_processes_without_a_temporary_folder_are_an_error(runs):
    ended = runs.child(_no_temporary_folder, runs.arguments("--jobs", 2, "--no-cache"))
    assert ended.code == 2, ended.said
    assert "error[" in ended.said
    assert runs.output.read_text() == BEFORE


def rewritten(path, *, whole=True):
    """The training saves again under the same name: in place, or another file renamed over it."""

    def act():
        state = {name: value + 1 for name, value in torch.load(path).items()}
        torch.save(state, path if not whole else f"{path}.new")
        if whole:
            os.replace(f"{path}.new", path)

    return act


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    ("owner", "name", "call", "step"),
    [
        (subjects, "plan_network", 3, 2),
        (subjects.SummaryRecorder, "record", 6, 1),
        (subjects, "nonfinite_weights", 2, 1),
        (column, "all_moved", 1, 0),
        (loading.Loader, "load", 2, 1),
    ],
    ids=["planning", "measuring", "weights", "comparing with it", "loading"],
)
def test_a_checkpoint_that_is_rewritten_while_it_is_read_is_an_error(runs, owner, name, call, step, whole):
    ended = runs.child(at_call(owner, name, call, rewritten(runs.checkpoint(step), whole=whole)))
    assert ended.code == 2, ended.said
    assert "error[checkpoint-changed]" in ended.said
    assert runs.output.read_text() == BEFORE
    again = runs.child()  # nothing of the mixture was kept
    fresh = runs.child(arguments=runs.arguments("--no-cache"))
    assert (again.code, fresh.code) == (0, 0)


def test_a_lone_checkpoint_that_is_rewritten_last_of_all_is_an_error(runs):
    arguments = runs.arguments("--no-cache")[:-2]
    ended = runs.child(at_call(subjects, "nonfinite_weights", 1, rewritten(runs.checkpoint(0))), arguments)
    assert ended.code == 2, ended.said
    assert "error[checkpoint-changed]" in ended.said


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_checkpoint_that_is_cut_short_under_its_map_is_said(runs, jobs):
    cut = at_call(subjects, "nonfinite_weights", 2, lambda: os.truncate(runs.checkpoint(1), 0))
    if jobs == 1:
        ended = runs.child(cut)
    else:
        act = "import covscan.engine.subjects as s; f = s.nonfinite_weights; s.nonfinite_weights = cut"
        path = str(runs.checkpoint(1))
        (runs.folder / "nets_faults.py").write_text(
            f"{FACTORY}\nimport multiprocessing, os\n"
            f"def cut(weights):\n    os.truncate({path!r}, 0)\n    return f(weights)\n"
            f"if multiprocessing.parent_process() is not None:\n    {act}\n"
        )
        ended = runs.child(arguments=runs.arguments("--jobs", 2, "--no-cache"))
    assert ended.code == 2, ended.said
    assert "error[checkpoint-changed]" in ended.said
    assert runs.output.read_text() == BEFORE


def test_nothing_of_a_checkpoint_that_was_rewritten_is_kept(runs, truth):
    saved = runs.checkpoint(1).read_bytes()
    ended = runs.child(at_call(subjects.SummaryRecorder, "record", 6, rewritten(runs.checkpoint(1))))
    assert ended.code == 2
    runs.checkpoint(1).write_bytes(saved)
    assert runs.child().code == 0
    assert runs.report() == truth
