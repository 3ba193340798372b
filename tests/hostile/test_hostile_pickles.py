"""Pickles that call something: no reader follows one, whatever the opcodes and the file around them.

Each case is run twice: plainly, which makes the canary and so proves that the case would have acted, and by covscan.
"""

import json
import pickle
import shutil
import sys
import warnings

import pytest
import torch
from pickle_corpus import (
    DATA,
    MODELS,
    ROUTES,
    UNTRIED,
    calls,
    extensions,
    global_binary,
    reduced,
    run_plainly,
    torch_zip,
)
from pickle_corpus import plain as written_plainly

from covscan.config import Settings
from covscan.data import open_samples
from covscan.errors import CovscanError
from covscan.models import open_source

SCRIPT = """
import os


class Stateful:
    def __setstate__(self, state):
        os.mkdir(state["path"])


class Net:
    pass


os.mkdir({path!r}) if not {quiet} else None
made = 1
"""
CALL_NAMES = list(calls(__import__("pathlib").Path("canary")))


@pytest.fixture
def canary(bench, monkeypatch, forgotten):
    """The path that must not come into being; modules that would make it when they are imported lie in the folder."""
    path = bench / "canary"
    (bench / "script.py").write_text(f"import os\nos.mkdir({str(path)!r})\n", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(bench), *sys.path])
    return path


def module(canary, *, quiet):
    (canary.parent / "canary_script.py").write_text(SCRIPT.format(path=str(canary), quiet=quiet), encoding="utf-8")


def clear(canary):
    sys.modules.pop("canary_script", None)
    shutil.rmtree(canary) if canary.is_dir() else canary.unlink(missing_ok=True)


def acts(content, canary):
    """Whether the pickle makes the canary where it is trusted; the canary is gone afterwards."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run_plainly(content)
    found = canary.exists()
    clear(canary)
    return found


def attempts(path, kind):
    """What covscan says to the file as a model with a factory, as one without, and as sample data."""
    errors = []
    ways = (
        [lambda: open_samples(Settings(data=str(path)))]
        if kind == "data"
        else [
            lambda: open_source(Settings(checkpoints=(str(path),))),
            lambda: open_source(Settings(checkpoints=(str(path),), model="nets.py:build")),
        ]
    )
    for way in ways:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                way()
            except CovscanError as error:
                errors.append(error)
            else:
                errors.append(None)
    return errors


FILES = {**{("model", name): file for name, file in MODELS.items()}, **{("data", name): f for name, f in DATA.items()}}


@pytest.mark.parametrize("route", ROUTES)
def test_no_opcode_leads_to_a_call(route, bench, canary):
    call = ("os", "mkdir", (str(canary),))
    content = ROUTES[route](call)
    module(canary, quiet=True)
    with extensions(call):
        assert acts(content, canary), "the case is none: even a program that trusts it does nothing"
        for (kind, name), (file, write) in FILES.items():
            path = bench / file
            write(content, path)
            errors = attempts(path, kind)
            assert not canary.exists(), (name, errors)
            # Readers of one pickle see the first of a stream, which is innocent.
            assert route == "second of a stream" or all(errors), (name, errors)
            assert all(error is None or error.exit_code == 2 for error in errors), name
            assert all(error is None or file in str(error) or kind == "data" for error in errors), name
            path.unlink()


@pytest.mark.parametrize("name", CALL_NAMES)
def test_no_callable_is_called(name, bench, canary):
    call = calls(canary)[name]
    module(canary, quiet=False)
    for content in (reduced_without_import(call), reduced_in_memory(call, canary)):
        assert acts(content, canary)
        for file, write in (MODELS["torch.save"], MODELS["torch.save of old"], MODELS["pt2 sample inputs"]):
            write(content, bench / file)
            errors = attempts(bench / file, "model")
            assert not canary.exists()
            assert all(errors)
        for file, write in (DATA["pt"], DATA["npy"], DATA["npz"]):
            write(content, bench / file)
            assert all(attempts(bench / file, "data"))
            assert not canary.exists()


def reduced_without_import(call):
    return global_binary(call) if "." not in call[1] else reduced(call, 4)


def reduced_in_memory(call, canary):
    content = reduced(call, 4)
    clear(canary)  # to write the pickle down imports the module
    return content


@pytest.mark.parametrize(("module_name", "name"), UNTRIED, ids=[".".join(each) for each in UNTRIED])
def test_other_globals_are_named_and_not_even_imported(module_name, name, bench, refused):
    content = global_binary((module_name, name, ()))
    for file, write in (MODELS["torch.save"], MODELS["torch.save of old"]):
        write(content, bench / file)
        error = refused("analyze", "--model", "nets.py:build", "--data", "sample.npz", file)
        assert error.startswith("error[blocked-global]")
        assert name in error
    write(content, bench / "d.pt")
    error = refused("analyze", "--model", "nets.py:build", "--data", "d.pt", file)
    assert error.startswith(("error[blocked-global]", "error[unreadable-data]"))


def test_a_module_file_beside_the_checkpoint_is_not_imported(bench, canary, refused):
    module(canary, quiet=False)
    content = b"\x80\x02ccanary_script\nNet\n)\x81}b."
    assert acts(content, canary)
    torch_zip(content, bench / "m.pt")
    error = refused("analyze", "--data", "sample.npz", "m.pt")
    assert "canary_script.Net" in error
    assert not canary.exists()
    refused("analyze", "--data", "sample.npz", "--trust", "m.pt")
    assert canary.exists(), "with --trust the module is imported: the case above would have acted"


@pytest.mark.parametrize("weights", ["pytorch_model.bin", "shards"])
def test_a_hugging_face_folder_runs_nothing(weights, bench, canary, refused):
    module(canary, quiet=False)
    content = global_binary(("os", "mkdir", (str(canary),)))
    folder = bench / "hf"
    folder.mkdir()
    config = {"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 4, "num_attention_heads": 1}
    config |= {"num_hidden_layers": 1, "intermediate_size": 4, "vocab_size": 5, "max_position_embeddings": 4}
    config |= {"auto_map": {"AutoConfig": "canary_script.Net", "AutoModel": "canary_script.Net"}}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    shutil.copy(bench / "canary_script.py", folder / "canary_script.py")
    for name in ("training_args.bin", "optimizer.pt", "rng_state.pth", "scheduler.pt"):
        written_plainly(content, folder / name)
    name = "pytorch_model.bin" if weights != "shards" else "pytorch_model-00001-of-00001.bin"
    torch_zip(content, folder / name)
    if weights == "shards":
        index = {"weight_map": {"embeddings.word_embeddings.weight": name}}
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index), encoding="utf-8")
    refused("analyze", "--data", "sample.npz", folder)
    assert not canary.exists()


@pytest.mark.parametrize("outside", ["../secret.bin", "/etc/secret.bin", "a/../../secret.bin"])
def test_an_index_names_no_shard_outside_of_its_folder(outside, bench, refused):
    (bench / "run").mkdir()
    torch.save({"weight": torch.ones(1)}, bench / "secret.bin")
    index = {"weight_map": {"weight": outside}}
    (bench / "run" / "m.bin.index.json").write_text(json.dumps(index), encoding="utf-8")
    error = refused("analyze", "--model", "nets.py:build", "--data", "sample.npz", "run/m.bin.index.json")
    assert error.startswith("error[unreadable-index]")
    assert "beside the index" in error


@pytest.mark.parametrize("name", ["pipeline", "load_tool", "AutoModel.from_pretrained", 3, ["BertModel"]])
def test_an_architecture_that_is_no_network_is_not_called(name, bench, refused):
    folder = bench / "hf"
    folder.mkdir()
    config = {"model_type": "bert", "architectures": [name], "hidden_size": 4}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    torch.save({"weight": torch.ones(1)}, folder / "pytorch_model.bin")
    assert refused("analyze", "--data", "sample.npz", folder).startswith("error[un")


@pytest.mark.parametrize("command", [["render"], ["check", "--report"], ["diff"], ["baseline", "write", "--report"]])
def test_readers_of_reports_unpickle_nothing(command, bench, canary, refused):
    content = global_text = b"cos\nmkdir\n(V" + str(canary).encode() + b"\ntR."
    assert acts(global_text, canary)
    (bench / "report.json").write_bytes(content)
    words = [*command, "report.json"] + (["report.json"] if command == ["diff"] else [])
    words += ["-o", "b.json"] if command[0] == "baseline" else []
    assert "is not JSON" in refused(*words)
    (bench / "covscan.toml").write_bytes(content)
    assert "is not TOML" in refused("config")
    assert not canary.exists()


def test_the_corpus_is_large():
    assert len(ROUTES) * len(FILES) + 6 * 2 * len(CALL_NAMES) + 2 * len(UNTRIED) > 900


def test_trusted_pickles_do_run(bench, canary):
    """The other side of ``--trust``: without it everything above would pass for a reader that opens nothing at all."""
    torch_zip(global_binary(("os", "mkdir", (str(canary),))), bench / "m.pt")
    with pytest.raises(CovscanError):
        open_source(Settings(checkpoints=("m.pt",), trust=True))
    assert canary.exists()
    assert pickle.loads(pickle.dumps(1)) == 1
