import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from covscan.errors import InputErrors, UsageError
from covscan.models.detection import detect
from covscan.models.digest import digest
from covscan.models.finding import find_saved
from covscan.models.folders import saved_in_folder
from covscan.models.formats import Saved
from covscan.models.steps import trainer_state


def saved(path, **content):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content or {"w": torch.zeros(2)}, path)
    return path


def found(*given, notes=None):
    return [str(each.path) for each in find_saved(given, [] if notes is None else notes)]


def code_of(*given):
    with pytest.raises(UsageError) as caught:
        find_saved(given, [])
    return caught.value


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_glob_that_the_shell_did_not_expand_is_expanded_in_natural_order():
    for step in (10, 2, 1):
        saved(f"runs/step-{step}.pt")
    assert found("runs/step-*.pt") == ["runs/step-1.pt", "runs/step-2.pt", "runs/step-10.pt"]


def test_a_name_with_brackets_that_exists_is_no_glob():
    saved("step[1].pt")
    assert found("step[1].pt") == ["step[1].pt"]


def test_each_checkpoint_is_taken_once():
    saved("runs/a.pt")
    os.symlink("a.pt", "runs/b.pt")
    assert found("runs/a.pt", "runs/../runs/a.pt", "runs/*.pt") == ["runs/a.pt"]


def test_a_folder_gives_its_checkpoints_and_not_what_lies_beside_them():
    saved("runs/step-1.pt")
    saved("runs/step-2.pt")
    for name in ("optimizer.pt", "scheduler.pt", "rng_state_0.pth", "training_args.bin", ".hidden.pt"):
        saved(f"runs/{name}")
    Path("runs/log.txt").write_text("loss 3")
    Path("runs/vocab.bin").write_bytes(b"\x01\x02\x03")
    Path("runs/config.json").write_text("{}")
    Path("runs/events").write_bytes(b"\x08\x01\x12\x00")
    assert found("runs") == ["runs/step-1.pt", "runs/step-2.pt"]


def test_a_trainers_folder_gives_its_checkpoint_folders():
    for step in (500, 1000):
        folder = Path(f"run/checkpoint-{step}")
        folder.mkdir(parents=True)
        save_file({"w": torch.zeros(1)}, folder / "model.safetensors")
        folder.joinpath("config.json").write_text("{}")
        saved(folder / "optimizer.pt")
    assert found("run") == ["run/checkpoint-500", "run/checkpoint-1000"]
    save_file({"w": torch.zeros(1)}, "run/model.safetensors")
    Path("run/config.json").write_text("{}")
    notes: list[str] = []
    assert found("run", notes=notes) == ["run/checkpoint-500", "run/checkpoint-1000"]
    assert notes == ["run was left out: the checkpoints in the folders beside it are the series"]


def test_exports_in_other_folders_do_not_hide_the_model_itself():
    save_file({"w": torch.zeros(1)}, "model.safetensors")
    Path("config.json").write_text("{}")
    saved("onnx/a.pt")
    saved("onnx/b.pt")
    assert found(".") == ["."]


def test_a_final_model_beside_one_checkpoint_folder_is_the_model():
    saved("run/final.pt")
    saved("run/checkpoints/a.pt")
    assert found("run") == ["run/final.pt"]


def test_lightnings_folder_is_searched_down_to_its_checkpoints():
    for step in (10, 20):
        saved(f"lightning_logs/version_0/checkpoints/epoch=0-step={step}.ckpt")
    Path("lightning_logs/version_0/hparams.yaml").write_text("a: 1")
    assert found("lightning_logs") == [
        f"lightning_logs/version_0/checkpoints/epoch=0-step={step}.ckpt" for step in (10, 20)
    ]


def test_two_runs_in_a_folder_are_not_mixed():
    for version in (0, 1):
        for step in (1, 2):
            saved(f"logs/version_{version}/step={step}.ckpt")
    error = code_of("logs")
    assert error.code == "several-runs"
    assert "logs/version_1 (2)" in error.found


def test_a_folder_for_each_step():
    for step in (2, 10):
        saved(f"run/step-{step}/model.pt")
    assert found("run") == ["run/step-2/model.pt", "run/step-10/model.pt"]
    assert found("run/step-*") == ["run/step-2/model.pt", "run/step-10/model.pt"]


def sharded(folder, *, index=True, suffix="safetensors"):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"model-0000{i}-of-00002.{suffix}" for i in (1, 2)]
    for name, tensor in zip(names, "ab", strict=True):
        if suffix == "safetensors":
            save_file({tensor: torch.ones(1)}, folder / name)
        else:
            torch.save({tensor: torch.ones(1)}, folder / name)
    if index:
        path = folder / f"model.{suffix}.index.json"
        path.write_text(json.dumps({"weight_map": dict(zip("ab", names, strict=True))}))
    return folder


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_a_sharded_checkpoint_is_one_checkpoint(suffix):
    sharded("m", suffix=suffix)
    index = f"m/model.{suffix}.index.json"
    assert found("m") == found(index) == found("m/*") == [index]
    (checkpoint,) = find_saved(["m"], [])
    assert [path.name for path in checkpoint.weights] == [f"model-0000{i}-of-00002.{suffix}" for i in (1, 2)]
    assert checkpoint.format == ("safetensors" if suffix == "safetensors" else "torch")


def test_shards_without_an_index_are_put_together_if_all_are_there():
    sharded("m", index=False)
    (checkpoint,) = find_saved(["m"], [])
    assert len(checkpoint.weights) == 2
    Path("m/model-00002-of-00002.safetensors").unlink()
    assert code_of("m").code == "missing-shard"


def test_one_shard_alone_is_refused():
    sharded("m")
    error = code_of("m/model-00001-of-00002.safetensors")
    assert error.code == "single-shard"
    assert "'m'" in error.hint


def test_a_shard_that_the_index_names_and_that_is_missing():
    sharded("m")
    Path("m/model-00002-of-00002.safetensors").unlink()
    error = code_of("m/model.safetensors.index.json")
    assert error.code == "missing-shard"
    assert "model-00002-of-00002" in error.found


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"weight_map": 3}'])
def test_an_index_that_is_none(text):
    Path("model.safetensors.index.json").write_text(text)
    assert code_of("model.safetensors.index.json").code == "unreadable-index"


def test_an_index_of_something_else():
    Path("x.txt").write_text("hello")
    Path("m.index.json").write_text('{"weight_map": {"a": "x.txt"}}')
    assert code_of("m.index.json").code == "unreadable-model"
    Path("m.index.json").write_text('{"weight_map": {}}')
    assert code_of("m.index.json").code == "missing-shard"


def test_of_two_forms_of_the_same_weights_the_safe_one_is_taken():
    save_file({"w": torch.zeros(1)}, "model.safetensors")
    saved("pytorch_model.bin")
    assert found(".") == ["model.safetensors"]


def test_a_missing_path_comes_with_what_may_be_meant():
    saved("runs/ckpt-10.pt")
    assert code_of("runs/ckpt-1.pt").hint == "did you mean 'runs/ckpt-10.pt'?"
    assert code_of("run/ckpt-10.pt").hint == "did you mean 'runs'?"
    assert code_of("runs/zzz").hint == "'runs' holds ckpt-10.pt"
    assert code_of("nets.py:build").hint == "did you mean --model nets.py:build?"


def test_a_glob_without_a_match():
    saved("runs/ckpt-10.pt")
    error = code_of("runs/*.ckpt")
    assert (error.code, error.message) == ("no-match", "nothing matches 'runs/*.ckpt'")


def test_a_glob_that_matches_no_checkpoint():
    Path("a.txt").write_text("x")
    assert code_of("*.txt").code == "no-checkpoints-found"


def test_empty_and_useless_folders():
    Path("empty/nested").mkdir(parents=True)
    assert code_of("empty/nested").code == "empty-directory"
    assert code_of("empty").code == "no-checkpoints-found"
    Path("empty/__0_0.distcp").write_bytes(b"x")
    assert code_of("empty").code == "distributed-checkpoint"


def test_every_argument_that_is_at_fault_is_reported():
    Path("empty.pt").touch()
    saved("good.pt")
    Path("d").mkdir()
    Path("d/x.pt").touch()
    Path("d/y.pt").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(InputErrors) as caught:
        find_saved(["empty.pt", "good.pt", "nothing.pt", "d"], [])
    assert [error.code for error in caught.value.errors] == [
        "empty-file",
        "no-such-path",
        "empty-file",
        "truncated-file",
    ]


def test_a_pipe_is_not_read():
    os.mkfifo("pipe.pt")
    assert code_of("pipe.pt").code == "unreadable-file"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.pt", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        ("a.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        ("a.onnx", b"<!doctype html><html>", "web page"),
        ("a.h5", b"\x89HDF\r\n", "HDF5"),
        ("a.gguf", b"GGUF\x03", "GGUF"),
        ("a.pt", b"\x1f\x8b\x08", "gzip"),
        ("a.npy", b"\x93NUMPY", "NumPy"),
        ("a.pkl", b"\x80\x04\x95.", "plain pickle"),
        ("a.txt", b"hello", "b'hello'"),
    ],
)
def test_files_that_are_something_else_are_named(name, content, told):
    Path(name).write_bytes(content)
    error = code_of(name)
    assert error.code == "unreadable-model"
    assert told in error.found
    assert error.hint


def test_sample_data_given_as_a_checkpoint():
    import numpy as np

    np.savez("x.npz", x=np.zeros(2))
    assert "--data" in code_of("x.npz").hint


def test_a_trainer_state_that_cannot_be_read(tmp_path):
    assert trainer_state(tmp_path) == {}
    tmp_path.joinpath("trainer_state.json").write_text('{"global_step": 7, "epoch": 0.5}')
    assert trainer_state(tmp_path) == trainer_state(tmp_path / "x.pt") == {"global_step": 7}
    tmp_path.joinpath("trainer_state.json").write_text("[1]")
    assert trainer_state(tmp_path) == {}
    tmp_path.joinpath("trainer_state.json").write_text("{")
    with pytest.raises(UsageError, match="no trainer state"):
        trainer_state(tmp_path)


def test_what_cannot_be_read_is_told_and_not_raised():
    folder = Path("folder.pt")
    folder.mkdir()
    one = Saved(folder, "torch", (folder,), (folder,))
    for read in (lambda: detect(folder), lambda: digest(one), lambda: saved_in_folder(saved("one.pt"), [])):
        with pytest.raises(UsageError) as caught:
            read()
        assert caught.value.code == "unreadable-file"


@pytest.mark.parametrize("length", [0x80, 0x180, 0x4B50])
@pytest.mark.parametrize("name", ["w.safetensors", "w.bin"])
def test_a_safetensors_header_whose_length_looks_like_another_format(tmp_path, length, name):
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    header = json.dumps({"w": entry}, separators=(",", ":")).encode().ljust(length)
    (tmp_path / name).write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    assert detect(tmp_path / name) == "safetensors"
