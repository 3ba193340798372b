from pathlib import Path

import pytest

from covscan.models.names import labels_of, order_of, steps_of
from covscan.models.steps import common_counter, counters_in


@pytest.mark.parametrize(
    ("paths", "labels"),
    [
        (["runs/ckpt-00075.pt", "runs/ckpt-00100.pt"], ["ckpt-00075", "ckpt-00100"]),
        (["a/step-1/model.pt", "a/step-2/model.pt"], ["step-1/model", "step-2/model"]),
        (["x/1/m.pt", "y/1/m.pt", "z/n.pt"], ["x/1/m", "y/1/m", "n"]),
        (["a.pt", "a.ckpt"], ["a.pt", "a.ckpt"]),
        (["best.pth.tar"], ["best"]),
        (["model.safetensors.index.json"], ["model"]),
        (["ckpt.1", "ckpt.10"], ["ckpt.1", "ckpt.10"]),
        (["ep3-loss0.12.ckpt"], ["ep3-loss0.12"]),
    ],
)
def test_labels_are_stems_widened_by_folders_where_they_collide(paths, labels):
    assert labels_of([Path(path) for path in paths]) == labels


def test_the_current_folder_has_a_name_too(tmp_path, monkeypatch):
    (tmp_path / "run-7").mkdir()
    monkeypatch.chdir(tmp_path / "run-7")
    assert labels_of([Path()]) == ["run-7"]


@pytest.mark.parametrize(
    ("labels", "steps"),
    [
        (["step-2", "step-10"], [2, 10]),
        (["ckpt-ep3-loss0.12", "ckpt-ep12-loss0.10"], [3, 12]),
        (["loss0.12-ep3", "loss0.10-ep4"], [3, 4]),
        (["epoch=0-step=10", "epoch=1-step=20"], [10, 20]),
        (["epoch=0-acc=95", "epoch=1-acc=93"], [0, 1]),
        (["resnet18_5", "resnet18_50"], [5, 50]),
        (["ckpt_10k", "ckpt_1M"], [10_000, 1_000_000]),
        (["1.5k_steps", "2k_steps"], [1500, 2000]),
        (["model_100steps", "model_20steps"], [100, 20]),
        (["net_epoch_1", "net_epoch_2_best"], [1, 2]),
        (["a-7", "bb-9"], [7, 9]),
        (["step-1/model", "step-2/model"], [1, 2]),
        (["a", "b"], None),
        (["loss0.1", "loss0.2"], None),
        (["step-5", "step-5"], None),
        (["resnet18"], None),
        (["00075"], [75]),
        (["ckpt-00075"], [75]),
        (["resnet18-epoch3"], [3]),
    ],
)
def test_the_step_is_the_whole_number_that_counts_something(labels, steps):
    assert steps_of(labels) == steps


@pytest.mark.parametrize(
    ("labels", "ordered"),
    [
        (["step-10", "step-2"], ["step-2", "step-10"]),
        (["final", "step-10", "init", "step-2"], ["init", "step-2", "step-10", "final"]),
        (["after", "before"], ["before", "after"]),
        (["e1_b100", "e2_b100", "e1_b20"], ["e1_b20", "e1_b100", "e2_b100"]),
        (["model-last", "model-3"], ["model-3", "model-last"]),
    ],
)
def test_names_tell_the_order(labels, ordered):
    order, _ = order_of(labels)
    assert [labels[i] for i in order] == ordered


@pytest.mark.parametrize("labels", [["b", "a"], ["last", "latest"], ["one"], ["x1y", "x2y", "z"], ["s1_1", "s1_1"]])
def test_names_without_an_order_have_none(labels):
    assert order_of(labels) is None


def test_an_end_without_a_number_has_no_step():
    assert order_of(["final", "step-3"]) == ([1, 0], [None, 3])


def test_counters_are_whole_numbers_only():
    import torch

    stated = {
        "global_step": torch.tensor(5),
        "step": True,
        "epoch": "3",
        "iter": 1.5,
        "epochs": float("inf"),
        "steps": "many",
        "iteration": None,
        "n_iter": torch.zeros(2),
    }
    assert counters_in(stated) == {"global_step": 5, "epoch": 3}


def test_a_counter_orders_only_where_all_state_it_and_differ():
    assert common_counter([{"step": 1, "epoch": 1}, {"step": 2, "epoch": 1}]) == [1, 2]
    assert common_counter([{"step": 1, "epoch": 1}, {"epoch": 2}]) == [1, 2]
    assert common_counter([{"step": 1}, {"step": 1}]) is None
    assert common_counter([{"step": 1}, {}]) is None
