"""Every wrapping that training scripts put around weights, and every way in which weights do not fit."""

import json
import os
import pickle
import sys
import warnings
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from covscan.errors import InputErrors, UsageError
from covscan.models.torch_file import read_torch


def prefixed(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


WRAPPINGS = {
    "plain": lambda state: state,
    "ordered": OrderedDict,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model_state_dict": lambda state: {"model_state_dict": state, "loss": 0.5},
    "model": lambda state: {"model": state, "args": {"width": 4}, "best": [1, 2]},
    "nested twice": lambda state: {"checkpoint": {"state": {"net": state}}},
    "unusual": lambda state: {"weights_of_mine": state},
    "data parallel": lambda state: prefixed("module.", state),
    "compiled": lambda state: prefixed("_orig_mod.", state),
    "compiled data parallel": lambda state: prefixed("module._orig_mod.", state),
    "compiled part": lambda state: {name.replace("body.", "body._orig_mod."): t for name, t in state.items()},
    "lightning": lambda state: {
        "state_dict": prefixed("model.", state),
        "global_step": 10,
        "epoch": 1,
        "callbacks": {"x": {"best": torch.ones(1)}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": []}],
    },
    "lightning with its loss": lambda state: {
        "state_dict": {**prefixed("model.", state), "criterion.weight": torch.ones(2)}
    },
    "some attribute": lambda state: prefixed("net.inner.", state),
    "wrapped in the middle": lambda state: prefixed("model._orig_mod.net.", state),
    "averaged": lambda state: {**prefixed("module.", state), "n_averaged": torch.tensor(3)},
    "old batch norm": lambda state: {name: t for name, t in state.items() if "num_batches" not in name},
    "by submodule": lambda state: {
        part: {name.removeprefix(part + "."): t for name, t in state.items() if name.startswith(part)}
        for part in ("body", "head")
    },
    "with an optimizer": lambda state: {
        "model": state,
        "optimizer": {"state": {0: {"exp_avg": torch.ones(4, 3)}}, "param_groups": [{"lr": 1}]},
    },
}


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS)
def test_weights_are_found_in_every_wrapping(bench, wrap):
    state = bench.state(0)
    content = wrap(state)
    path = bench.save("one.pt", content)
    source = bench.open(path)
    (checkpoint,) = source.series.checkpoints
    loaded = source.module(checkpoint).state_dict()
    weights = source.weights(checkpoint)
    for name, tensor in state.items():
        torch.testing.assert_close(loaded[name], tensor, rtol=0, atol=0)
        if "num_batches" not in name:
            torch.testing.assert_close(weights[name], tensor, rtol=0, atol=0)


def test_what_was_left_out_is_noted(bench):
    source = bench.loads({**prefixed("net.", bench.state(0)), "critic.weight": torch.ones(2)})
    assert source.notes == ["took the weights under 'net'; 1 other tensors of the file are not the model's"]


@pytest.mark.parametrize("average", ["ema", "model_ema", "ema_state_dict"])
def test_the_trained_network_is_taken_before_its_moving_average(bench, average):
    source = bench.loads({average: bench.state(1), "model": bench.state(0)})
    assert source.notes == [f"took the weights under 'model'; '{average}' would fit too"]


def test_the_trained_network_is_taken_before_its_teacher_under_one_mapping(bench):
    bench.loads({**prefixed("teacher.", bench.state(1)), **prefixed("student.", bench.state(0)), "x": torch.ones(1)})


def test_two_equal_parts_of_a_larger_network_are_not_guessed_between(bench):
    path = bench.save("one.pt", {**prefixed("left.", bench.state(0)), **prefixed("right.", bench.state(1))})
    assert bench.error(path).code == "weights-mismatch"


def test_a_moving_average_alone_is_loaded(bench):
    bench.loads({"ema": bench.state(0)})


def test_the_same_tensors_under_two_names_need_no_note(bench):
    state = bench.state(0)
    assert bench.loads({"model": state, "state_dict": state}).notes == []


def test_a_model_whose_own_modules_are_called_module(bench):
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = nn.Linear(2, 2)
            self.last = nn.Linear(2, 2)

    state = Outer().state_dict()
    source = bench.open(bench.save("one.pt", prefixed("module.", state)), model=Outer)
    loaded = source.module(source.series.checkpoints[0]).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())


def test_weights_of_the_inner_network_load_into_its_wrapper(bench):
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = bench.net_class()

    state = bench.state(0)
    source = bench.open(bench.save("one.pt", state), model=Outer)
    checkpoint = source.series.checkpoints[0]
    assert torch.equal(source.module(checkpoint).model.head.weight, state["head.weight"])
    assert torch.equal(source.weights(checkpoint)["model.head.weight"], state["head.weight"])


def test_missing_and_unexpected_names_are_told(bench):
    state = bench.state(0)
    del state["head.bias"]
    state["neck.weight"] = torch.ones(1)
    error = bench.error(bench.save("one.pt", {"model": state}))
    assert error.code == "weights-mismatch"
    assert "one.pt" in error.message
    assert "nets.py:build" in error.message
    assert error.found == "1 missing from the file, the first 'head.bias'; 1 unexpected in it, the first 'neck.weight'"


def test_one_name_too_many_is_an_error(bench):
    error = bench.error(bench.save("one.pt", {**bench.state(0), "neck.weight": torch.ones(1)}))
    assert error.found == "1 unexpected in it, the first 'neck.weight'"


def test_both_shapes_are_told(bench):
    error = bench.error(bench.save("one.pt", bench.state(0, width=8)))
    assert error.found.startswith(
        "7 of another shape, the first 'body.0.weight': (8, 3) in the file, (4, 3) in the model"
    )


def test_a_name_with_and_without_its_wrapper_is_not_guessed_between(bench):
    path = bench.save("one.pt", {**bench.state(0), **prefixed("module.", bench.state(1))})
    assert bench.error(path).found == "8 unexpected in it, the first 'module.body.0.weight'"


def test_the_count_of_an_average_without_the_average(bench):
    error = bench.error(bench.save("one.pt", {"n_averaged": torch.tensor(1)}))
    assert error.code == "weights-mismatch"


def test_another_network_altogether(bench):
    error = bench.error(bench.save("one.pt", {"a.weight": torch.ones(1), "b": torch.ones(1)}))
    assert error.found == "not one name in common; the first is 'a.weight' in the file and 'body.0.weight' in the model"


def test_whole_numbers_are_no_weights(bench):
    state = {**bench.state(0)}
    state["head.weight"] = torch.ones(2, 4, dtype=torch.int8)
    assert "torch.int8 in the file, torch.float32 in the model" in bench.error(bench.save("one.pt", state)).found


def test_half_precision_is_read_into_the_models_own_precision(bench):
    state = {name: t.half() if t.is_floating_point() else t for name, t in bench.state(0).items()}
    source = bench.open(bench.save("one.pt", state))
    checkpoint = source.series.checkpoints[0]
    weight = source.module(checkpoint).head.weight
    assert weight.dtype == torch.float32
    assert torch.equal(weight, state["head.weight"].float())
    assert source.weights(checkpoint)["head.weight"].dtype == torch.float16


def test_weights_that_are_not_finite_are_loaded(bench):
    state = bench.state(0)
    state["head.weight"][0, 0] = float("nan")
    source = bench.open(bench.save("one.pt", state))
    assert source.module(source.series.checkpoints[0]).head.weight.isnan().sum() == 1


def test_weights_that_were_never_initialized_are_told_also_where_the_file_is_trusted(bench):
    lazy = torch.nn.Sequential(torch.nn.LazyLinear(2)).state_dict()
    bench.save("lazy.pt", lazy)
    error = bench.error("lazy.pt", model=lambda: torch.nn.Sequential(torch.nn.Linear(3, 2)), trust=True)
    assert "never initialized in the file" in error.found


def test_every_file_that_does_not_fit_is_told_up_to_three(bench):
    paths = [bench.save(f"{i}.pt", bench.state(0, width=8)) for i in range(5)]
    with pytest.raises(InputErrors) as caught:
        bench.open(*paths)
    assert len(caught.value.errors) == 3


def test_a_count_of_batches_does_not_stay_behind_from_the_checkpoint_before(bench):
    first, second = bench.state(0), bench.state(1)
    first["body.1.num_batches_tracked"] = torch.tensor(99)
    del second["body.1.num_batches_tracked"]
    source = bench.open(bench.save("step-1.pt", first), bench.save("step-2.pt", second))
    counts = [int(source.module(each).body[1].num_batches_tracked) for each in source.series.checkpoints]
    assert counts == [99, 0]


class TestTied:
    def test_one_name_is_enough(self, bench):
        model = bench.tied_class()
        source = bench.open(bench.save("one.pt", {"embedding.weight": model.embedding.weight.data}), model="Tied")
        checkpoint = source.series.checkpoints[0]
        loaded = source.module(checkpoint)
        assert torch.equal(loaded.decoder.weight, model.embedding.weight)
        assert set(source.weights(checkpoint)) == {"embedding.weight", "decoder.weight"}

    def test_none_is_not(self, bench):
        error = bench.error(bench.save("one.pt", {"other": torch.ones(5, 3)}), model="Tied")
        assert error.code == "weights-mismatch"

    def test_untied_layers_must_both_be_there(self, bench):
        state = bench.state(0)
        del state["head.weight"]
        assert "1 missing" in bench.error(bench.save("one.pt", state)).found


class TestFormats:
    def test_memory_is_mapped(self, bench, ready):
        path = bench.save("one.pt", {"w": torch.zeros(1 << 20)})
        code = (
            "import sys, resource, torch\nfrom pathlib import Path\n"
            "from covscan.models.torch_file import read_torch\nfrom covscan.models.formats import Saved\n"
            "p = Path(sys.argv[1])\nt = read_torch(Saved(p, 'torch', (p,), (p,)))['w']\n"
            "maps = open('/proc/self/maps').read()\nassert str(p) in maps, maps\n"
        )
        ready.run("-c", code, path, cwd=bench.folder).check_returncode()

    def test_the_format_before_zip_archives(self, bench):
        path = bench.save("old.pth", bench.state(0), _use_new_zipfile_serialization=False)
        bench.holds(path)

    def test_any_suffix(self, bench):
        for name in ("one.bin", "one.ckpt", "one", "one.pth.tar", "code.pt"):
            bench.holds(bench.save(name, bench.state(0)))

    def test_safetensors(self, bench):
        save_file(bench.state(0), bench.folder / "one.safetensors", metadata={"step": "40", "format": "pt"})
        source = bench.holds(bench.folder / "one.safetensors")
        assert source.series.checkpoints[0].step == 40
        assert source.series.order == "metadata"

    @pytest.mark.parametrize("suffix", ["safetensors", "bin"])
    def test_shards(self, bench, suffix):
        state = bench.state(0)
        names = list(state)
        shards = {f"m-0000{i + 1}-of-00002.{suffix}": names[i::2] for i in range(2)}
        for shard, held in shards.items():
            part = {name: state[name] for name in held}
            if suffix == "bin":
                bench.save(shard, part)
            else:
                save_file(part, bench.folder / shard)
        weight_map = {name: shard for shard, held in shards.items() for name in held}
        index = bench.folder / f"m.{suffix}.index.json"
        index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
        bench.holds(index)
        bench.holds(bench.folder)

    def test_a_shard_without_weights(self, bench):
        bench.save("m-00001-of-00002.bin", [1])
        bench.save("m-00002-of-00002.bin", {"a": torch.ones(1)})
        error = bench.error(bench.folder)
        assert error.code == "no-weights"
        assert "m-00001-of-00002.bin" in error.message

    @pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
    def test_torchscript_as_weights(self, bench):
        module = bench.net_class()
        module.load_state_dict(bench.state(0))
        torch.jit.trace(module.eval(), torch.zeros(2, 3)).save(bench.folder / "one.pt")
        bench.holds(bench.folder / "one.pt")

    @pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
    def test_an_exported_program_as_weights(self, bench):
        module = bench.net_class()
        module.load_state_dict(bench.state(0))
        torch.export.save(torch.export.export(module.eval(), (torch.zeros(2, 3),)), bench.folder / "one.pt2")
        bench.holds(bench.folder / "one.pt2")


class TestUnreadable:
    @pytest.mark.parametrize(
        ("content", "found"),
        [
            (torch.ones(3), "one tensor of shape (3,)"),
            ({"state": {0: {"exp_avg": torch.ones(1)}}, "param_groups": []}, "the state of an optimizer"),
            ({0: 1, 1: 2}, "a mapping with 0, 1"),
            ({}, "an empty mapping"),
            ([torch.ones(1)], "a list"),
        ],
    )
    def test_a_file_without_weights(self, bench, content, found):
        path = bench.save("one.pt", content)
        for model in ("build", None):
            error = bench.error(path, model=model)
            assert (error.code, error.found) == ("no-weights", found)

    @pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "old"])
    @pytest.mark.parametrize("share", [0.3, 0.9])
    @pytest.mark.parametrize("trust", [False, True])
    def test_a_truncated_file(self, bench, options, share, trust):
        path = bench.save("one.pt", {"w": torch.ones(1000)}, **options)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])
        error = bench.error(path, trust=trust)
        assert error.code == "truncated-file"
        assert "one.pt" in error.message

    @pytest.mark.parametrize("share", [0.02, 0.9])
    def test_a_truncated_safetensors_file(self, bench, share):
        path = bench.folder / "one.safetensors"
        save_file({"w": torch.ones(1000)}, path)
        path.write_bytes(path.read_bytes()[: int(4000 * share)])
        assert bench.error(path).code == "truncated-file"

    def test_a_safetensors_file_that_disappeared(self, bench):
        from covscan.errors import UsageError
        from covscan.models.formats import Saved
        from covscan.models.safetensors_file import read_safetensors, stated_steps

        gone = Path("gone.safetensors")
        for read in (read_safetensors, stated_steps):
            with pytest.raises(UsageError, match="cannot be read"):
                read(Saved(gone, "safetensors", (gone,), (gone,)))

    def test_a_plain_pickle(self, bench):
        path = bench.folder / "one.pt"
        path.write_bytes(pickle.dumps({"w": 1}))
        assert bench.error(path).found == "a plain pickle, which torch.save did not write"

    def test_a_safetensors_file_without_tensors(self, bench):
        save_file({}, "one.safetensors")
        assert bench.error("one.safetensors", model=None).code == "no-weights"

    def test_an_empty_file(self, bench):
        bench.folder.joinpath("one.pt").touch()
        assert bench.error("one.pt").code == "empty-file"

    def test_weights_without_an_architecture(self, bench):
        save_file(bench.state(0), bench.folder / "one.safetensors")
        bench.save("one.pt", {"model": bench.state(0), "epoch": 1})
        for name in ("one.pt", "one.safetensors"):
            error = bench.error(name, model=None)
            assert error.code == "missing-factory"
            assert error.message == f"checkpoint '{name}' holds weights but no architecture"
            assert error.found.startswith("9 tensors, the first is 'body.")


class Bomb:
    def __reduce__(self):
        return (os.makedirs, ("exploded", 0o777, True))


class TestTrust:
    @pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "old"])
    @pytest.mark.parametrize("model", ["build", None])
    def test_code_in_a_pickle_does_not_run(self, bench, options, model):
        path = bench.save("one.pt", {"model": bench.state(0), "x": Bomb()}, **options)
        error = bench.error(path, model=model)
        assert error.code == "blocked-global"
        assert "'os.makedirs'" in error.message
        assert "--trust, only for files you made yourself" in error.hint
        assert not Path("exploded").exists()
        bench.holds(path, trust=True)
        assert Path("exploded").exists()

    def test_a_cut_off_pickle_that_asks_for_code(self, bench):
        path = bench.save("one.pt", {"x": Bomb(), "w": torch.ones(9)}, _use_new_zipfile_serialization=False)
        whole = path.read_bytes()
        path.write_bytes(whole[: whole.index(b"exploded") + 30])
        assert bench.error(path).code == "blocked-global"
        assert not Path("exploded").exists()

    def test_trust_does_not_unpickle_what_needs_none(self, bench, monkeypatch):
        path = bench.save("one.pt", bench.state(0))
        calls = []
        load = torch.load
        monkeypatch.setattr(torch, "load", lambda *a, **k: calls.append(k["weights_only"]) or load(*a, **k))
        bench.holds(path, trust=True)
        assert set(calls) == {True}

    def test_a_whole_module_is_named_as_such(self, bench):
        module = nn.Sequential(nn.Linear(2, 2))
        for options in ({}, {"_use_new_zipfile_serialization": False}):
            error = bench.error(bench.save("one.pt", module, **options), model=None)
            assert error.code == "whole-module"
            assert "torch.nn.modules" in error.found
            assert "--trust, only for files you made yourself" in error.hint

    @pytest.mark.parametrize("wrap", [lambda m: m, lambda m: {"ema": None, "model": m}, nn.DataParallel])
    def test_a_whole_module_with_trust(self, bench, wrap):
        module = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
        source = bench.open(bench.save("one.pt", wrap(module)), model=None, trust=True)
        checkpoint = source.series.checkpoints[0]
        opened = source.module(checkpoint)
        assert type(opened) is nn.Sequential
        assert not opened.training
        assert torch.equal(source.weights(checkpoint)["0.weight"], module[0].weight)

    def test_the_trained_module_is_taken_before_its_average(self, bench):
        trained, average = nn.Linear(2, 2), nn.Linear(2, 2)
        path = bench.save("one.pt", {"ema": average, "model": trained})
        source = bench.open(path, model=None, trust=True)
        assert torch.equal(source.module(source.series.checkpoints[0]).weight, trained.weight)

    def test_a_whole_module_gives_weights_to_a_factory(self, bench):
        module = nn.Linear(3, 2)
        for content in (module, {"model": module}, {"epoch": {"n": module}}):
            source = bench.open(bench.save("one.pt", content), model=lambda: nn.Linear(3, 2), trust=True)
            assert torch.equal(source.module(source.series.checkpoints[0]).weight, module.weight)

    def test_modules_of_a_series_are_opened_one_by_one(self, bench):
        modules = [nn.Linear(2, 2) for _ in range(3)]
        paths = [bench.save(f"step-{i}.pt", module) for i, module in enumerate(modules)]
        source = bench.open(*paths, model=None, trust=True)
        for _ in range(2):
            for checkpoint, module in zip(source.series.checkpoints, modules, strict=True):
                assert torch.equal(source.module(checkpoint).weight, module.weight)

    def test_a_class_that_cannot_be_imported(self, bench, ready):
        bench.folder.joinpath("gone.py").write_text("from torch import nn\nclass Gone(nn.Linear): pass\n")
        code = "import gone, torch; torch.save(gone.Gone(2, 2), 'one.pt')"
        ready.run("-c", code, cwd=bench.folder).check_returncode()
        source = bench.open("one.pt", model=None, trust=True)
        assert type(source.module(source.series.checkpoints[0])).__name__ == "Gone"
        del sys.modules["gone"]
        bench.folder.joinpath("gone.py").unlink()
        error = bench.error("one.pt", model=None, trust=True)
        assert error.code == "unreadable-model"
        assert "No module named 'gone'" in error.found
        assert "importable" in error.hint


def test_names_of_older_versions_are_translated_by_the_module_itself(bench):
    def build():
        return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)))

    new = build()
    state = {
        "0.bias": torch.tensor([1.0, 2.0]),
        "0.weight_g": torch.full((2, 1), 2.0),
        "0.weight_v": torch.randn(2, 3),
    }
    for content in (state, {"epoch": 1, "model": prefixed("module.", state)}):
        source = bench.open(bench.save("one.pt", content), model=build)
        checkpoint = source.series.checkpoints[0]
        assert torch.equal(source.module(checkpoint)[0].parametrizations.weight.original1, state["0.weight_v"])
        assert set(source.weights(checkpoint)) == set(new.state_dict())
    state["0.weight_v"] = torch.ones(2, 5)
    assert bench.error(bench.save("one.pt", state), model=build).code == "weights-mismatch"


def test_a_buffer_that_is_no_longer_saved_may_be_in_an_old_file(bench):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("position_ids", torch.arange(3), persistent=False)
            self.w = nn.Parameter(torch.zeros(2))

    path = bench.save("one.pt", {"position_ids": torch.arange(3), "w": torch.ones(2)})
    source = bench.open(path, model=Net)
    assert source.module(source.series.checkpoints[0]).w.sum() == 2


def test_a_module_on_the_meta_device_takes_the_files_tensors(bench):
    def build():
        with torch.device("meta"):
            return nn.Linear(3, 2)

    state = nn.Linear(3, 2).state_dict()
    source = bench.open(bench.save("one.pt", state), model=build)
    module = source.module(source.series.checkpoints[0])
    assert torch.equal(module.weight, state["weight"])

    def unsaved():
        with torch.device("meta"):
            module = nn.Linear(3, 2)
            module.register_buffer("scale", torch.ones(1), persistent=False)
            return module

    source = bench.open("one.pt", model=unsaved)
    with pytest.raises(Exception, match="meta device"):
        source.module(source.series.checkpoints[0])


def test_lazy_modules_take_their_shapes_from_the_file(bench):
    source = bench.open(bench.save("one.pt", nn.Linear(3, 2).state_dict()), model=lambda: nn.LazyLinear(2))
    assert source.module(source.series.checkpoints[0]).weight.shape == (2, 3)


def test_a_refusal_by_the_module_itself_is_told(bench):
    class Picky(nn.Linear):
        def _load_from_state_dict(self, *args):
            raise ValueError("not these")

    source = bench.open(bench.save("one.pt", nn.Linear(3, 2).state_dict()), model=lambda: Picky(3, 2))
    with pytest.raises(Exception, match="cannot be loaded into") as caught:
        source.module(source.series.checkpoints[0])
    assert caught.value.found == "not these"


def test_reading_shards_of_the_old_format(bench):
    from covscan.models.formats import Saved

    paths = tuple(bench.save(f"{i}.bin", {f"w{i}": torch.ones(i + 1)}) for i in range(2))
    assert set(read_torch(Saved(bench.folder, "torch", paths, paths))) == {"w0", "w1"}


def old_weight_norm(seed):
    """A state as ``torch.nn.utils.weight_norm`` saves it, with weights drawn from ``seed``."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        return torch.nn.Sequential(
            torch.nn.utils.weight_norm(torch.nn.Linear(3, 4)), torch.nn.Linear(4, 2)
        ).state_dict()


def weight_normed():
    first = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(3, 4))
    return torch.nn.Sequential(first, torch.nn.Linear(4, 2))


def test_looking_at_the_weights_of_a_checkpoint_whose_names_are_translated_leaves_the_module_at_another(bench):
    for step in (0, 1):
        bench.save(f"step-{step}.pt", old_weight_norm(step))
    source = bench.open("step-0.pt", "step-1.pt", model=weight_normed)
    first, second = source.series.checkpoints
    module = source.module(first)
    weights = source.weights(second)
    assert torch.equal(weights["0.parametrizations.weight.original0"], old_weight_norm(1)["0.weight_g"])
    assert torch.equal(module[0].parametrizations.weight.original1, old_weight_norm(0)["0.weight_v"])
    assert torch.equal(module[1].weight, old_weight_norm(0)["1.weight"])


def test_a_file_that_fits_in_part_only_leaves_nothing_of_itself_in_the_module(bench):
    from covscan.models.loading import Loader

    module = weight_normed()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    other = {("1.w" if name == "1.weight" else name): tensor for name, tensor in old_weight_norm(1).items()}
    with pytest.raises(UsageError):
        Loader(module, "m").match(other, "f")
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
