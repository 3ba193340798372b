"""A whole series: its order, ids and digests, and the formats that bring their own architecture."""

import hashlib
import inspect
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from covscan.config.settings import Settings
from covscan.errors import InputErrors, UsageError
from covscan.models import READERS, STANDALONE, STEPS, open_source
from covscan.models.formats import TITLES
from covscan.registry import resolve


@pytest.mark.parametrize("registry", [READERS, STANDALONE, STEPS], ids=["readers", "standalone", "steps"])
def test_registries_name_functions_for_known_formats(registry):
    assert set(registry) <= set(TITLES)
    assert all(callable(resolve(target)) for target in registry.values())


def test_every_format_opens_and_states_steps():
    assert set(STANDALONE) == set(STEPS) == set(TITLES)


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, covscan.models; assert not {'torch', 'numpy', 'onnx'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


class TestSeries:
    def test_no_checkpoint_is_an_error(self, bench):
        assert bench.error().code == "no-checkpoints"
        assert bench.error(model=None, untrained=True).code == "no-checkpoints"

    def test_step_two_comes_before_step_ten(self, bench):
        for step in (10, 2, 100):
            bench.save(f"runs/step-{step}.pt", bench.state(step))
        source = bench.open("runs")
        series = source.series
        assert series.order == "name"
        assert [(each.id, each.step) for each in series.checkpoints] == [
            ("step-2", 2),
            ("step-10", 10),
            ("step-100", 100),
        ]
        for checkpoint in reversed(series.checkpoints):
            module = source.module(checkpoint)
            assert torch.equal(module.head.weight, bench.state(checkpoint.step)["head.weight"])

    def test_what_the_checkpoints_state_goes_before_their_names(self, bench):
        for name, step in (("a-1", 300), ("a-2", 200), ("a-3", 100)):
            bench.save(f"{name}.pt", {"model": bench.state(), "step": step, "epoch": 0})
        series = bench.open("a-*.pt").series
        assert (series.order, [each.step for each in series.checkpoints]) == ("metadata", [100, 200, 300])

    def test_one_that_states_nothing_leaves_the_order_to_the_names(self, bench):
        bench.save("a-1.pt", {"model": bench.state(), "step": 9})
        bench.save("a-2.pt", {"model": bench.state()})
        series = bench.open("a-*.pt").series
        assert (series.order, [each.step for each in series.checkpoints]) == ("name", [1, 2])

    def test_without_any_number_the_users_order_stands(self, bench):
        for name in "cab":
            bench.save(f"{name}.pt", bench.state())
        series = bench.open("c.pt", "a.pt", "b.pt").series
        assert (series.order, [each.id for each in series.checkpoints]) == ("given", ["c", "a", "b"])
        assert all(each.step is None for each in series.checkpoints)

    def test_one_checkpoint_is_fine(self, bench):
        (checkpoint,) = bench.open(bench.save("ckpt-00075.pt", bench.state())).series.checkpoints
        assert (checkpoint.id, checkpoint.step) == ("ckpt-00075", 75)
        assert checkpoint.sha256 == hashlib.sha256(checkpoint.path.read_bytes()).hexdigest()

    def test_the_last_of_a_folder_is_the_step_that_it_copies(self, bench):
        for step in (1, 2):
            bench.save(f"runs/step-{step}.ckpt", {"state_dict": bench.state(step), "global_step": step})
        shutil.copy("runs/step-2.ckpt", "runs/last.ckpt")
        bench.save("runs/best.ckpt", {"state_dict": bench.state(1), "global_step": 1, "more": 3})
        source = bench.open("runs")
        assert [each.id for each in source.series.checkpoints] == ["step-1", "step-2"]
        assert [note.split(" ")[0] for note in source.notes] == ["runs/best.ckpt", "runs/last.ckpt"]
        assert len(bench.open("runs/step-1.ckpt", "runs/step-2.ckpt", "runs/last.ckpt").series.checkpoints) == 3

    def test_copies_under_numbers_of_their_own_are_kept(self, bench):
        for step in (1, 2):
            bench.save(f"runs/step-{step}.pt", bench.state(0))
        assert len(bench.open("runs").series.checkpoints) == 2

    def test_formats_are_not_mixed(self, bench):
        from safetensors.torch import save_file

        bench.save("a-1.pt", bench.state())
        save_file(bench.state(), "a-2.safetensors")
        error = bench.error("a-1.pt", "a-2.safetensors")
        assert error.code == "mixed-formats"
        assert "1 PyTorch checkpoint (a-1.pt)" in error.found

    def test_every_damaged_file_is_reported(self, bench):
        for step in (1, 2, 3):
            path = bench.save(f"step-{step}.pt", bench.state(), _use_new_zipfile_serialization=False)
            if step > 1:
                path.write_bytes(path.read_bytes()[:700])
        with pytest.raises(InputErrors) as caught:
            bench.open("step-*.pt")
        assert ["step-2" in str(caught.value), "step-3" in str(caught.value)] == [True, True]

    def test_a_file_that_changes_while_covscan_runs_is_not_read(self, bench):
        path = bench.save("one.pt", bench.state(0))
        source = bench.open(path)
        bench.save("one.pt", bench.state(1))
        os.utime(path, ns=(1, 1))
        with pytest.raises(UsageError, match="rewritten"):
            source.module(source.series.checkpoints[0])
        path.unlink()
        with pytest.raises(UsageError, match="disappeared"):
            source.weights(source.series.checkpoints[0])

    def test_the_digest_of_shards_covers_each(self, bench):
        for content in (torch.zeros(1), torch.ones(1)):
            for folder in ("a", "b"):
                bench.save(f"{folder}/m-00001-of-00002.bin", {"weight": torch.zeros(1, 1)})
                bench.save(f"{folder}/m-00002-of-00002.bin", {"bias": content if folder == "a" else torch.zeros(1)})
            first, second = bench.open("a", "b", model=lambda: nn.Linear(1, 1)).series.checkpoints
            assert (first.sha256 == second.sha256) == (content.item() == 0)


def test_an_untrained_network_can_be_listed(bench):
    source = bench.open(untrained=True)
    (checkpoint,) = source.series.checkpoints
    assert (checkpoint.id, checkpoint.step) == ("untrained", None)
    assert source.notes
    assert not source.module(checkpoint).training
    assert set(source.weights(checkpoint)) == set(bench.state())
    assert bench.open(untrained=True).series == source.series
    assert bench.open(untrained=True, model_args=(("width", 5),)).series != source.series
    lazy = open_source(Settings(model=lambda: nn.LazyLinear(2)), untrained=True)
    assert len(lazy.series.checkpoints[0].sha256) == 64


def trace(module, path, *, check=True):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module.eval(), torch.zeros(2, 3)).save(path)


class TestTorchscript:
    def test_a_series(self, bench):
        for step in (2, 10):
            torch.manual_seed(step)
            trace(bench.net_class(), f"step-{step}.pt")
        source = bench.open("step-*.pt", model=None)
        assert source.engine == "torchscript"
        assert [each.step for each in source.series.checkpoints] == [2, 10]
        module = source.module(source.series.checkpoints[1])
        assert isinstance(module, torch.jit.ScriptModule)
        torch.manual_seed(10)
        x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(module(x), bench.net_class().eval()(x))

    def test_a_truncated_archive(self, bench):
        trace(bench.net_class(), "one.pt")
        Path("one.pt").write_bytes(Path("one.pt").read_bytes()[:3000])
        assert bench.error("one.pt", model=None).code == "truncated-file"

    def test_an_archive_without_its_inside(self, bench):
        import zipfile

        for name in ("a.pt", "b.pt"):
            with zipfile.ZipFile(name, "w") as archive:
                archive.writestr("a/constants.pkl", b"")
        with pytest.raises(InputErrors) as caught:
            bench.open("a.pt", "b.pt", model=None)
        assert {error.code for error in caught.value.errors} == {"unreadable-model"}


class TestExported:
    @staticmethod
    def save(module, path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            batch = torch.export.Dim("batch", min=1)
            program = torch.export.export(module.eval(), (torch.zeros(2, 3),), dynamic_shapes=({0: batch},))
            torch.export.save(program, path)

    def test_its_forward_has_the_programs_inputs_by_place_and_by_name(self, bench):
        class Two(torch.nn.Module):
            def forward(self, x, shift, *, scale):
                return (x + shift) * scale

        x, shift, scale = torch.rand(2, 3), torch.rand(2, 3), torch.rand(2, 3)
        program = torch.export.export(Two(), (x, shift), {"scale": scale})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.export.save(program, "two.pt2")
        source = bench.open("two.pt2", model=None)
        module = source.module(source.series.checkpoints[0])
        assert list(inspect.signature(module.forward).parameters) == ["x", "shift", "scale"]
        for given in (module(x, shift, scale=scale), module(x, shift=shift, scale=scale)):
            assert torch.equal(given, (x + shift) * scale)

    def test_its_modules_run_hooks_and_give_what_the_program_gives(self, bench):
        torch.manual_seed(3)
        net = bench.net_class().eval()
        self.save(net, "one.pt2")
        source = bench.open("one.pt2", model=None)
        assert source.engine == "torch"
        checkpoint = source.series.checkpoints[0]
        module = source.module(checkpoint)
        assert source.module(checkpoint) is module
        fired = []
        for name, child in module.named_modules():
            child.register_forward_hook(lambda _m, _i, _o, name=name: fired.append(name))
        x = torch.randn(7, 3)
        torch.testing.assert_close(module(x), net(x))
        assert fired == ["body.0", "body.1", "body.2", "body", "head", ""]
        assert dict(module.named_modules())["body.1"].type_name().endswith("BatchNorm1d")
        assert all(torch.equal(source.weights(checkpoint)[name], t) for name, t in net.state_dict().items())

    def test_damaged_programs(self, bench):
        import zipfile

        for name in ("a.pt2", "b.pt2"):
            with zipfile.ZipFile(name, "w") as archive:
                archive.writestr("a/archive_format", b"pt2")
        with pytest.raises(InputErrors) as caught:
            bench.open("a.pt2", "b.pt2", model=None)
        assert {error.code for error in caught.value.errors} == {"unreadable-model"}

    def test_a_graph_that_cannot_be_divided(self, bench, monkeypatch):
        self.save(bench.net_class(), "one.pt2")

        def refuse(_program):
            raise AssertionError

        monkeypatch.setattr(torch.export, "unflatten", refuse)
        error = bench.error("one.pt2", model=None)
        assert "divided into its modules" in error.message
        assert error.found == "AssertionError"
