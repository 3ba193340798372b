import os

import pytest
import torch
from watched_runs import build, save

from covscan.errors import UsageError
from covscan.models.growing import is_passing
from covscan.watching.folder import PATIENCE, Folder


@pytest.fixture
def watched(tmp_path, clock):
    """A folder that is looked at: ``watched(seconds)`` lets time pass and looks."""
    place = tmp_path / "runs"
    folder = Folder(str(place), 1.0, clock)

    def look(seconds=2.0):
        clock.now += seconds
        return folder.look()

    look.place, look.folder = place, folder
    return look


def names(look):
    return [saved.path.name for saved in look.ready]


def test_a_folder_that_is_not_there_is_waited_for(watched):
    assert watched() == watched()
    assert (watched().ready, watched().growing, watched().broken) == ([], 0, {})
    watched.place.mkdir()
    assert names(watched()) == []
    save(watched.place, 0)
    watched()
    assert names(watched()) == ["step-0.pt"]


def test_a_checkpoint_must_stay_as_it_is_for_an_interval(watched):
    watched.place.mkdir()
    path = save(watched.place, 0)
    assert watched().growing == 1
    assert names(watched(0.5)) == []
    os.utime(path, (1, 1))
    assert names(watched(0.9)) == []
    assert names(watched(0.9)) == []
    assert names(watched(0.2)) == ["step-0.pt"]


def test_half_a_file_is_never_ready_however_long_the_writer_pauses(watched):
    watched.place.mkdir()
    content = save(watched.place, 0).read_bytes()
    path = watched.place / "step-0.pt"
    for share in (0.0, 0.1, 0.5, 0.99):
        path.write_bytes(content[: int(len(content) * share)])
        for _ in range(8):
            assert names(watched()) == []
    path.write_bytes(content)
    watched()
    assert names(watched()) == ["step-0.pt"]


def test_what_stays_broken_is_named_after_a_while_and_taken_once_it_is_whole(watched):
    watched.place.mkdir()
    content = save(watched.place, 0).read_bytes()
    path = watched.place / "step-0.pt"
    path.write_bytes(content[:-30])
    looks = [watched() for _ in range(PATIENCE)]
    assert [list(look.broken) for look in looks[:2]] == [[], []]
    assert list(looks[-1].broken) == [path]
    assert looks[-1].broken[path].code == "truncated-file"
    path.write_bytes(content)
    assert watched().broken == {}
    assert names(watched()) == ["step-0.pt"]


def test_a_broken_file_does_not_hide_the_others(watched):
    watched.place.mkdir()
    (watched.place / "step-0.pt").write_bytes(b"garbage")
    save(watched.place, 10)
    watched()
    assert names(watched()) == ["step-10.pt"]


@pytest.mark.parametrize(
    "name",
    ["a.pt.tmp", "a.tmp.pt", "a.pt.tmp123", "a.pt.part", "a.pt~", "~a.pt", ".a.pt", "tmp-checkpoint-5", "tmp_5.pt",
     "a.PT.TMP", "a.pt.partial", "checkpoint-5.incomplete", "a.pt.lock"],
)  # fmt: skip
def test_names_of_what_will_be_renamed_are_left_alone(watched, name):
    watched.place.mkdir()
    path = watched.place / name
    assert is_passing(path)
    save(watched.place, 0, name=name)
    watched()
    look = watched()
    assert (look.ready, look.growing, look.broken) == ([], 0, {})


@pytest.mark.parametrize("name", ["tmpnet-5.pt", "template.pt", "part.1.pt", "step-5.pt", "attempt.5.pt", "locked.pt"])
def test_other_names_are_not(name, tmp_path):
    assert not is_passing(tmp_path / name)


def test_a_file_in_place_of_a_folder_is_an_error(watched):
    watched.place.write_bytes(b"")
    with pytest.raises(UsageError, match="is a file") as raised:
        watched()
    assert raised.value.code == "not-a-folder"


def test_a_glob_is_followed(tmp_path, clock):
    folder = Folder(str(tmp_path / "step-*.pt"), 1.0, clock)
    assert folder.look().ready == []
    save(tmp_path, 0)
    save(tmp_path, 0, name="other.pt")
    folder.look()
    clock.now = 5.0
    assert names(folder.look()) == ["step-0.pt"]


def test_safetensors_know_how_long_they_are(watched):
    from safetensors.torch import save_file

    watched.place.mkdir()
    path = watched.place / "step-0.safetensors"
    save_file(build().state_dict(), path)
    content = path.read_bytes()
    for end in (4, 9, 60, len(content) - 1):
        path.write_bytes(content[:end])
        watched()
        assert names(watched()) == []
    path.write_bytes(content)
    watched()
    assert names(watched()) == ["step-0.safetensors"]


def test_shards_are_ready_when_all_are(watched):
    import json

    from safetensors.torch import save_file

    place = watched.place / "checkpoint-10"
    place.mkdir(parents=True)
    state = build().state_dict()
    parts = {"0.weight": 1, "0.bias": 1, "2.weight": 2, "2.bias": 2}
    files = {number: f"model-0000{number}-of-00002.safetensors" for number in (1, 2)}
    save_file({name: state[name] for name, number in parts.items() if number == 1}, place / files[1])
    watched()
    assert watched().ready == []
    index = {"weight_map": {name: files[number] for name, number in parts.items()}}
    (place / "model.safetensors.index.json").write_text(json.dumps(index)[:20])
    watched()
    assert watched().ready == []
    (place / "model.safetensors.index.json").write_text(json.dumps(index))
    watched()
    assert watched().ready == []
    save_file({name: state[name] for name, number in parts.items() if number == 2}, place / files[2])
    assert watched().ready == []
    assert [len(saved.files) for saved in watched().ready] == [3]


def test_a_folder_of_hugging_face_is_left_alone_until_all_in_it_is_quiet(watched):
    import json

    from safetensors.torch import save_file

    place = watched.place / "checkpoint-10"
    place.mkdir(parents=True)
    (place / "config.json").write_text(json.dumps({"model_type": "none"}))
    save_file(build().state_dict(), place / "model.safetensors")
    watched()
    (place / "optimizer.pt").write_bytes(b"1")
    assert watched().ready == []
    (place / "optimizer.pt").write_bytes(b"12")
    assert watched(0.9).ready == []
    assert [saved.path.name for saved in watched().ready] == ["checkpoint-10"]
    whole = (place / "model.safetensors").read_bytes()
    (place / "model.safetensors").write_bytes(whole[:-1])
    watched()
    assert watched().ready == []


def test_an_onnx_model_waits_for_its_data(watched):
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    watched.place.mkdir()
    path = watched.place / "epoch1.onnx"
    weight = numpy_helper.from_array(np.full((64, 64), 0.5, "float32"), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 64])], [weight],
    )  # fmt: skip
    model = helper.make_model(graph)
    onnx.save_model(model, path, save_as_external_data=True, location="epoch1.data", size_threshold=0)
    content, data = path.read_bytes(), (watched.place / "epoch1.data").read_bytes()
    cut_behind_the_graph = onnx.load_model(path, load_external_data=False)
    del cut_behind_the_graph.opset_import[:]
    for part in (content[: len(content) // 2], content[:-3], cut_behind_the_graph.SerializeToString(), content):
        path.write_bytes(part)
        looks = [watched() for _ in range(4)]
        assert not any(look.ready for look in looks) or part == content
    (watched.place / "epoch1.data").unlink()
    watched()
    assert watched().ready == []
    (watched.place / "epoch1.data").write_bytes(data[:-1])
    watched()
    assert watched().ready == []
    (watched.place / "epoch1.data").write_bytes(data)
    looks = [watched() for _ in range(3)]
    assert [len(saved.files) for saved in looks[-1].ready] == [2]


def test_files_that_vanish_while_they_are_looked_at(watched, monkeypatch):
    watched.place.mkdir()
    path = save(watched.place, 0)
    from covscan.watching import folder

    def vanishing(place, notes):
        found = folder_found(place, notes)
        path.unlink(missing_ok=True)
        return found

    folder_found = folder.found_so_far
    monkeypatch.setattr(folder, "found_so_far", vanishing)
    assert watched().ready == []


def test_legacy_torch_files_are_ready_by_their_quiet_alone(watched):
    watched.place.mkdir()
    torch.save(build().state_dict(), watched.place / "old.pt", _use_new_zipfile_serialization=False)
    watched()
    assert names(watched()) == ["old.pt"]
