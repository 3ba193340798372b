import os
import shutil
import sys
from dataclasses import replace

import pytest
import torch
from watched_runs import build, labelled, save

import covscan
from covscan.config.progress import Silent
from covscan.errors import UsageError
from covscan.pipeline import Clock
from covscan.report import to_json

NOTE = "Deleted before the watch ended, and in this report as they were measured: "


def report_of(follow):
    return follow.following.report(lambda: Clock().run("covscan watch"), Silent())


def analyzed(folder):
    return covscan.analyze(str(folder), model=build, data=labelled(), target="y", samples=64, cache=False)


def same(one, other):
    """Equal in all but when and how they were made, and where the files were."""
    for field in ("sites", "shifts", "findings", "candidates", "suggestions", "coverage", "data", "comparison"):
        assert getattr(one, field) == getattr(other, field), field
    assert [(each.id, each.step, each.sha256) for each in one.checkpoints] == [
        (each.id, each.step, each.sha256) for each in other.checkpoints
    ]


def test_what_came_one_by_one_is_what_analyze_says_of_all(follow):
    for step in (0, 10, 20, 30):
        save(follow.place, step)
        assert follow() == [f"step-{step}"]
    report, whole = report_of(follow), analyzed(follow.place)
    same(report, whole)
    assert report.notes == whole.notes
    assert [each.path for each in report.checkpoints] == [each.path for each in whole.checkpoints]


def test_several_that_are_there_are_taken_in_the_order_of_training(follow):
    for step in (100, 20, 3):
        save(follow.place, step)
    assert follow() == ["step-3", "step-20", "step-100"]


@pytest.mark.parametrize("links", [True, False])
def test_deleted_checkpoints_stay_in_the_report(follow, tmp_path, monkeypatch, links):
    if not links:

        def refuse(*_):
            raise OSError("no links here")

        monkeypatch.setattr(os, "link", refuse)  # fmt: skip
    archive = tmp_path / "archive"
    archive.mkdir()
    for step in (0, 10, 20, 30, 40):
        for old in follow.place.iterdir():
            old.unlink()
        shutil.copy(save(follow.place, step), archive)
        assert follow() == [f"step-{step}"]
    report = report_of(follow)
    same(report, analyzed(archive))
    assert report.notes[-1] == f"{NOTE}step-0, step-10, step-20, step-30."
    assert follow.following.gone() == [follow.place / f"step-{step}.pt" for step in (0, 10, 20, 30)]
    assert [each.path for each in report.checkpoints][1] == str(follow.place / "step-10.pt")


def test_no_more_than_the_first_and_the_last_are_held(follow):
    held = follow.following.hold._folder
    for step in (0, 10, 20, 30):
        save(follow.place, step)
        follow()
    assert len(list(held.iterdir())) == 2


def test_a_late_checkpoint_finds_its_place(follow, tmp_path):
    for step in (0, 10, 30):
        save(follow.place, step)
    follow()
    save(follow.place, 20)
    assert follow() == ["step-20"]
    same(report_of(follow), analyzed(follow.place))


def test_a_late_checkpoint_before_the_first_is_left_out(follow):
    for step in (10, 20):
        save(follow.place, step)
    follow()
    save(follow.place, 0)
    assert follow() == []
    assert len(follow.said) == 1
    assert "step-0.pt is left out: it belongs before step-10.pt" in follow.said[0]
    assert follow() == []
    assert len(follow.said) == 1


def test_one_that_cannot_be_compared_with_a_late_one_leaves_the_series(follow):
    for step in (0, 10, 30, 40):
        save(follow.place, step)
    follow()
    (follow.place / "step-30.pt").unlink()
    save(follow.place, 20)
    assert follow() == ["step-20"]
    assert any("step-30.pt leaves the series" in said for said in follow.said)
    same(report_of(follow), analyzed(follow.place))


def test_last_beside_numbered_ones_is_left_out_once_they_are_the_same(follow):
    for step in (0, 10):
        shutil.copy(save(follow.place, step), follow.place / "last.pt")
        follow()
    assert [each.name for each in follow.following.measured] == ["step-0", "step-10"]
    assert sum("last.pt was left out" in said for said in follow.said) == 1
    report, whole = report_of(follow), analyzed(follow.place)
    same(report, whole)
    assert report.notes == whole.notes


def test_last_that_comes_before_its_numbered_copy(follow):
    save(follow.place, 0)
    last = save(follow.place, 10, name="last.pt")
    assert follow() == ["step-0", "last"]
    shutil.copy(last, follow.place / "step-10.pt")
    assert follow() == ["step-10"]
    assert [each.name for each in follow.following.measured] == ["step-0", "step-10"]
    same(report_of(follow), analyzed(follow.place))


def test_a_rewritten_file_is_measured_again_in_place_of_what_it_was(follow):
    save(follow.place, 0)
    for seed in (1, 2, 3):
        save(follow.place, 0, seed, name="last.pt")
        assert follow()[-1] == "last"
    assert sum("last.pt was rewritten" in said for said in follow.said) == 1
    same(report_of(follow), analyzed(follow.place))


def test_a_first_checkpoint_that_is_rewritten_stays_what_it_was(follow):
    for step in (0, 10):
        save(follow.place, step)
    follow()
    before = follow.following.measured[0].draft.sha256
    save(follow.place, 0, seed=77)
    assert follow() == []
    assert "step-0.pt is left out: it was rewritten" in follow.said[0]
    save(follow.place, 20)
    assert follow() == ["step-20"]
    assert report_of(follow).checkpoints[0].sha256 == before


def test_touching_a_file_measures_nothing(follow, monkeypatch):
    path = save(follow.place, 0)
    follow()
    os.utime(path)
    assert follow() == []
    assert follow.said == []


def test_weights_that_do_not_fit_are_left_out_once_others_did(follow):
    save(follow.place, 0)
    follow()
    torch.save({"model": torch.nn.Linear(2, 2).state_dict()}, follow.place / "step-10.pt")
    save(follow.place, 20)
    assert follow() == ["step-20"]
    assert len(follow.said) == 1
    assert str(follow.place / "step-10.pt") in follow.said[0]
    assert str(follow.following.hold._folder) not in follow.said[0]


def test_weights_of_the_first_that_do_not_fit_are_an_error(follow):
    torch.save({"model": torch.nn.Linear(2, 2).state_dict()}, follow.place / "step-0.pt")
    with pytest.raises(UsageError) as raised:
        follow()
    assert raised.value.code == "weights-mismatch"
    assert str(follow.place / "step-0.pt") in raised.value.message


def test_a_first_file_that_is_damaged_inside_is_left_out(follow):
    path = save(follow.place, 0)
    content = path.read_bytes()
    start = content.index(b"model")
    path.write_bytes(content[:start] + b"\xff" * 40 + content[start + 40 :])
    save(follow.place, 10)
    assert follow() == ["step-10"]
    assert "step-0.pt is left out" in follow.said[0]


def test_another_format_is_left_out(follow):
    from safetensors.torch import save_file

    save(follow.place, 0)
    follow()
    save_file(build().state_dict(), follow.place / "step-10.safetensors")
    assert follow() == []
    assert "the series is of PyTorch checkpoint, and this is safetensors" in follow.said[0]


def test_two_formats_at_the_start_are_an_error(follow):
    from safetensors.torch import save_file

    save(follow.place, 0)
    save_file(build().state_dict(), follow.place / "step-10.safetensors")
    with pytest.raises(UsageError, match="must have one format"):
        follow()


def test_a_file_that_changes_before_its_turn_is_taken_later(follow, monkeypatch):
    save(follow.place, 0)
    follow()
    path = save(follow.place, 10)
    take = follow.following.hold.take

    def rewriting(saved):
        save(follow.place, 10, seed=5)
        return take(saved)

    monkeypatch.setattr(follow.following.hold, "take", rewriting)
    assert follow() == []
    monkeypatch.undo()
    assert follow() == ["step-10"]
    assert follow.said == []
    assert report_of(follow).checkpoints[1].path == str(path)


def test_a_step_costs_the_same_however_many_came_before(follow, monkeypatch):
    opened = []
    module = sys.modules["covscan.models.digest"]
    read = module._digest_file
    monkeypatch.setattr(module, "_digest_file", lambda path, *rest: opened.append(path.name) or read(path, *rest))
    for step in range(0, 60, 10):
        save(follow.place, step)
        follow()
    assert opened == [f"step-{step}.pt" for step in range(0, 60, 10)]


def test_trainings_use_the_checkpoints_whose_weights_are_left(follow):
    follow.following.settings = replace(follow.settings, loss="cross_entropy", evidence="gradient")
    for step in (0, 10, 20, 30):
        save(follow.place, step)
    follow()
    for step in (0, 10, 30):
        (follow.place / f"step-{step}.pt").unlink()
    report = report_of(follow)
    assert len(report.checkpoints) == 4
    assert report.gradients is not None
    assert {each.checkpoint for each in report.gradients.layers} == {"step-0", "step-20", "step-30"}


def test_a_loss_that_does_not_fit_is_said_at_the_first_checkpoint(follow):
    follow.following.settings = replace(follow.settings, loss="no_such_loss")
    save(follow.place, 0)
    with pytest.raises(UsageError, match="no_such_loss"):
        follow()


def test_reports_can_be_written(follow):
    save(follow.place, 0)
    follow()
    assert '"id": "step-0"' in to_json(report_of(follow))
