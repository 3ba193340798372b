import sys
import warnings

import numpy as np
import pytest
import torch
from surgery_testing import Case
from torch import nn

import covscan
from covscan.config import Settings
from covscan.errors import UsageError
from covscan.insertion import insert, pytorch
from covscan.pipeline import survey

PLACES = {
    "Mlp": [("fc1", "after"), ("fc2", "before")],  # in front of fc2 stands a functional tanh
    "Conv2d": [("conv1", "after"), ("conv2", "before")],
    "Conv1d": [("conv1", "after"), ("conv2", "before")],
    "Tokens": [("up", "after"), ("down", "before")],
    "Lstm": [("rnn", "after")],
    "Packed": [("rnn", "after")],
    "Encoder": [("inner.layers.0.linear1", "after"), ("inner.layers.0", "after")],
    "Keywords": [("block", "after"), ("block", "before")],
}
KINDS = ["BatchNorm", "LayerNorm", "RMSNorm", "GroupNorm", "InstanceNorm"]
FLAT = ("Mlp", "Packed", "Keywords")
CASES = [
    (net, site, position, norm)
    for net, places in PLACES.items()
    for site, position in places
    for norm in KINDS
    if not (norm == "InstanceNorm" and net in FLAT)
]


@pytest.mark.parametrize(("net", "site", "position", "norm"), CASES)
def test_function_is_preserved_and_the_files_stand_alone(tmp_path, net, site, position, norm):
    case = Case(tmp_path, net)
    outcome = case.insert(site, norm, position)
    assert outcome.difference.unchanged
    assert outcome.difference.relative < 1e-5
    before, after = case.outputs(case.model), case.outputs(case.written())
    assert (before - after).abs().max() < 1e-5 * before.std()
    assert sorted(path.name for path in case.folder.iterdir() if path.name != "__pycache__") == sorted(
        ["nets.py", "weights.pt", "x.npz", "with-norm.pt", "with_norm.py"]
    )


@torch.no_grad()
@pytest.mark.parametrize("norm", KINDS[1:])
def test_an_open_gate_gives_the_normalization(tmp_path, norm):
    case = Case(tmp_path, "Conv2d")
    case.insert("conv1", norm)
    model = case.written()
    x = torch.from_numpy(case.x)
    inside = model.conv1[0](x)
    nn.init.ones_(model.conv1[1].gate)
    wanted = {
        "LayerNorm": lambda: nn.functional.layer_norm(inside.movedim(1, -1), (12,)).movedim(-1, 1),
        "RMSNorm": lambda: nn.functional.rms_norm(inside.movedim(1, -1), (12,), eps=1e-5).movedim(-1, 1),
        "GroupNorm": lambda: nn.functional.group_norm(inside, 4),
        "InstanceNorm": lambda: nn.functional.instance_norm(inside),
    }[norm]()
    assert torch.allclose(model.conv1(x), wanted, atol=1e-4)


@torch.no_grad()
def test_batchnorm_in_training_mode_takes_the_statistics_of_the_batch(tmp_path):
    case = Case(tmp_path, "Conv2d")
    case.insert("conv1", "BatchNorm")
    layer = case.written().conv1.train()
    x = torch.from_numpy(case.x)
    inside = layer[0](x)
    assert torch.allclose(layer(x), inside, atol=1e-4)  # all that it was calibrated on
    assert (layer(x[:4]) - inside[:4]).abs().max() > 0.01


def test_batchnorm_knows_the_statistics_of_all_samples_and_positions(tmp_path):
    case = Case(tmp_path, "Conv1d")
    outcome = case.insert("conv1", "BatchNorm1d", positions=1, batch_size=7)
    state = torch.load(case.output, weights_only=True)
    values = case.model.conv1(torch.from_numpy(case.x)).detach().double().movedim(1, -1).flatten(0, -2)
    assert torch.allclose(state["conv1.1.running_mean"].double(), values.mean(0), atol=1e-6)
    assert torch.allclose(state["conv1.1.running_var"].double(), values.var(0, correction=0), rtol=1e-5)
    assert outcome.calibrated_on == len(values)
    assert list(state) == [
        "conv1.0.weight",
        "conv1.0.bias",
        *(f"conv1.1.{name}" for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")),
        "conv2.weight",
        "conv2.bias",
    ]
    assert outcome.renamed == (("conv1.", "conv1.0."),)


def test_padding_does_not_count(tmp_path):
    case = Case(tmp_path, "Tokens", samples=40)
    mask = np.arange(7) < np.arange(40)[:, None] % 7 + 1
    np.savez(case.folder / "x.npz", x=case.x, m=mask)
    outcome = case.insert("up", "BatchNorm", mask="m")
    assert outcome.notes[-1].startswith("Padding does not count in the running statistics")
    values = case.model.up(torch.from_numpy(case.x))[torch.from_numpy(mask)].double()
    state = torch.load(case.output, weights_only=True)
    assert torch.allclose(state["up.1.inner.running_mean"].double(), values.mean(0), atol=1e-6)


def test_every_call_of_a_module_counts_and_all_its_names_are_wrapped(tmp_path):
    case = Case(tmp_path, "Shared")
    outcome = case.insert("fc", "BatchNorm")
    assert outcome.difference.relative < 1e-5
    assert outcome.renamed == (("fc.", "fc.0."), ("again.", "again.0."))
    model = case.written()
    assert model.fc is model.again
    x = torch.from_numpy(case.x)
    first = case.model.fc(x)
    both = torch.cat([first, case.model.fc(torch.tanh(first))]).double()
    assert torch.allclose(model.fc[1].running_mean.double(), both.mean(0), atol=1e-6)
    with pytest.raises(UsageError, match="one call of a module") as error:
        case.insert("fc#2", "BatchNorm")
    assert error.value.hint == "say --site fc"


def test_training_perturbation_of_gaussian_values(tmp_path):
    case = Case(tmp_path, "Mlp", samples=2048)
    for size in (8, 64):
        training = case.insert("fc1", "BatchNorm1d", batch_size=size, samples=2048).training
        assert training.independent == size
        assert training.expected == pytest.approx((1.5 / size) ** 0.5)
        assert training.measured == pytest.approx(training.expected, rel=0.1)


def test_training_perturbation_is_not_measured_on_the_calibration_batch_itself(tmp_path):
    case = Case(tmp_path, "Mlp", samples=40)
    assert case.insert("fc1", "BatchNorm1d").training.measured is None
    assert case.insert("fc1", "LayerNorm").training is None


def test_positions_that_resemble_each_other_count_for_less(tmp_path):
    case = Case(tmp_path, "Tokens", samples=256)
    apart = case.insert("up", "BatchNorm").training
    case.x[:] = case.x[:, :1]
    np.savez(case.folder / "x.npz", x=case.x)
    alike = case.insert("up", "BatchNorm").training
    assert 5 * 32 < apart.independent <= 7 * 32
    assert alike.independent == pytest.approx(32, rel=0.02)
    assert alike.measured == pytest.approx(alike.expected, rel=0.15)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_file_keeps_its_dtype(tmp_path, dtype):
    case = Case(tmp_path, "Mlp")
    torch.save(
        {"state_dict": {f"module.{k}": v.to(dtype) for k, v in case.model.state_dict().items()}}, case.checkpoint
    )
    assert case.insert("fc1", "BatchNorm").difference.relative < 1e-5
    state = torch.load(case.output, weights_only=True)
    assert state["fc1.0.weight"].dtype is dtype
    assert state["fc2.weight"].dtype is dtype
    assert state["fc1.1.running_var"].dtype is torch.float32


@pytest.mark.parametrize("norm", KINDS[:4])
def test_networks_in_half_precision(tmp_path, norm):
    case = Case(tmp_path, "Conv2d")
    with (case.folder / "nets.py").open("a") as stream:
        stream.write("\n\ndef half():\n    return Conv2d().bfloat16()\n")
    case.spec = case.spec.replace(":Conv2d", ":half")
    assert case.insert("conv1", norm).difference.relative < 1e-5
    assert case.insert("conv2", norm, "before").difference.relative < 1e-5


def test_what_is_written_can_be_analysed_and_have_another_put_in(tmp_path):
    case = Case(tmp_path, "Mlp", width=16)
    case.insert("fc1", "BatchNorm1d", model_args=(("width", 16),))
    sites = {
        (site.site, site.normalized_by)
        for site in survey(case.settings(model=f"{case.code}:build", checkpoints=(str(case.output),))).sites
    }
    assert ("fc1.0", "fc1.1") in sites
    report = covscan.analyze(str(case.output), model=f"{case.code}:build", data={"x": case.x}, device="cpu")
    assert report.coverage.measured
    first, case.spec, case.checkpoint = case.output, f"{case.code}:build", case.output
    case.output, case.code = case.folder / "second.pt", case.folder / "second.py"
    outcome = case.insert("fc2", "RMSNorm", "before")
    assert outcome.difference.relative < 1e-5
    assert first.exists()
    assert (case.outputs(case.model) - case.outputs(case.written())).abs().max() < 1e-5


def test_tied_weights_stay_one(tmp_path):
    case = Case(tmp_path, "Mlp")
    with (case.folder / "nets.py").open("a") as stream:
        stream.write(
            "\n\ndef tied():\n    m = Mlp(6)\n    m.fc2 = nn.Linear(6, 6)\n"
            "    m.fc2.weight = m.fc1.weight\n    return m\n"
        )
    case.spec = case.spec.replace(":Mlp", ":tied")
    torch.save(
        {"fc1.weight": torch.randn(6, 6), "fc1.bias": torch.zeros(6), "fc2.bias": torch.ones(6)}, case.checkpoint
    )
    assert case.insert("fc2", "LayerNorm").difference.unchanged
    state = torch.load(case.output, weights_only=True)
    assert state["fc1.weight"].data_ptr() == state["fc2.0.weight"].data_ptr()


def test_factories_in_packages_and_by_module_name(tmp_path, monkeypatch):
    case = Case(tmp_path, "Mlp")
    package = case.folder / "pack_of_nets"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "inner" / "__init__.py").write_text("")
    (package / "parts.py").write_text((case.folder / "nets.py").read_text())
    (package / "inner" / "whole.py").write_text(
        "from ..parts import Mlp\n\n\nclass Box:\n    build = Mlp\n    net = Mlp()\n"
    )
    monkeypatch.chdir(case.folder)
    for spec in (
        f"{package}/inner/whole.py:Box.build",
        "pack_of_nets.inner.whole:Box.build",
        "pack_of_nets.inner.whole:Box.net",
    ):
        case.spec = spec
        assert case.insert("fc1", "BatchNorm1d").difference.unchanged
        text = case.code.read_text()
        assert "MODULE = 'pack_of_nets.inner.whole'" in text
        assert "FOLDER: str | None = '.'" in text
        assert str(case.folder) not in text
        case.written()


def test_the_written_file_says_what_it_is(tmp_path):
    case = Case(tmp_path, "Mlp")
    case.insert("fc2", "GroupNorm", "before")
    text = case.code.read_text()
    assert text.startswith('"""GroupNorm in front of fc2, put in by covscan')
    assert "    fc2.*  ->  fc2.1.*\n" in text
    assert "The keys of the normalization begin with fc2.0." in text
    assert "import covscan" not in text
    assert "from covscan" not in text
    assert str(tmp_path) not in text


def test_the_fast_path_does_not_go_past_the_normalization(tmp_path):
    case = Case(tmp_path, "Encoder")
    case.insert("inner.layers.0.linear1", "LayerNorm")
    model = case.written()
    before = case.outputs(model)
    nn.init.ones_(model.inner.layers[0].linear1[1].gate)
    assert (case.outputs(model) - before).abs().max() > 0.01
    assert model.inner.layers[0].linear1.out_features == 16
    with pytest.raises(AttributeError):
        _ = model.inner.layers[0].linear1.nothing


REFUSED = {
    "unknown module": ("Mlp", "fc3", "LayerNorm", "after", "the model has no module 'fc3'", "did you mean 'fc2'?"),
    "unknown kind": ("Mlp", "fc1", "LayrNorm", "after", "no normalization 'LayrNorm'", "did you mean 'LayerNorm'?"),
    "never called": ("Keywords", "idle", "LayerNorm", "after", "never calls 'idle'", "covscan sites"),
    "no positions": ("Mlp", "fc1", "InstanceNorm", "after", "would become 0", "LayerNorm or BatchNorm1d"),
    "wrong rank": ("Mlp", "fc1", "BatchNorm2d", "after", "the tensor has 2 axes", "--norm BatchNorm1d"),
    "conv as 1d": ("Conv2d", "conv1", "InstanceNorm1d", "after", "the tensor has 4 axes", "--norm InstanceNorm2d"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(tmp_path, name):
    net, site, norm, position, message, hint = REFUSED[name]
    case = Case(tmp_path, net)
    with pytest.raises(UsageError) as error:
        case.insert(site, norm, position)
    assert message in error.value.message
    assert hint in error.value.hint
    assert not case.output.exists()
    assert not case.code.exists()


def test_one_channel_and_sequence_first_are_refused(tmp_path):
    case = Case(tmp_path, "Mlp", width=1)
    with pytest.raises(UsageError, match="single channel"):
        case.insert("fc1", "LayerNorm", model_args=(("width", 1),))
    case = Case(tmp_path, "Lstm")
    with (case.folder / "nets.py").open("a") as stream:
        stream.write(
            "\n\nclass First(Lstm):\n    def __init__(self):\n        super().__init__()\n"
            "        self.rnn = nn.LSTM(5, 12)\n\n    def forward(self, x):\n"
            "        return self.fc(self.rnn(x.transpose(0, 1))[0][-1])\n"
        )
    case.spec = case.spec.replace(":Lstm", ":First")
    with pytest.raises(UsageError, match="axis 0 is not the sample"):
        case.insert("rnn", "GroupNorm")
    assert case.insert("rnn", "BatchNorm").difference.relative < 1e-5
    assert case.insert("rnn", "LayerNorm").difference.relative < 1e-5


def test_nothing_finite_to_calibrate_with(tmp_path):
    case = Case(tmp_path, "Mlp")
    state = case.model.state_dict()
    state["fc1.bias"][0] = float("nan")
    torch.save(state, case.checkpoint)
    with pytest.raises(UsageError, match="nothing finite came by at 'fc1'"):
        case.insert("fc1", "BatchNorm")


def test_sources_that_bring_their_own_network_are_refused(tmp_path):
    case = Case(tmp_path, "Mlp")
    x = (torch.from_numpy(case.x),)
    torch.export.save(torch.export.export(case.model, x), case.folder / "whole.pt2")
    with pytest.raises(UsageError, match="brings its own network"):
        case.insert("fc1", "LayerNorm", model=None, checkpoints=(str(case.folder / "whole.pt2"),))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.trace(case.model, x).save(str(case.folder / "whole.ts"))
    with pytest.raises(UsageError, match="TorchScript cannot be edited"):
        case.insert("fc1", "LayerNorm", model=None, checkpoints=(str(case.folder / "whole.ts"),))
    torch.save({"a": 1, **case.model.state_dict()}, case.folder / "weights-2.pt")
    with pytest.raises(UsageError, match="into one checkpoint"):
        case.insert("fc1", "LayerNorm", checkpoints=(str(case.checkpoint), str(case.folder / "weights-2.pt")))


def test_nothing_is_left_where_the_verification_cannot_run(tmp_path, monkeypatch):
    case = Case(tmp_path, "Mlp")
    before = sorted(case.folder.iterdir())

    def fails(*arguments):
        raise UsageError("model-failed", "no")

    monkeypatch.setattr(pytorch, "compare", fails)
    with pytest.raises(UsageError, match="no"):
        case.insert("fc1", "BatchNorm")
    assert [path for path in sorted(case.folder.iterdir()) if path.name != "__pycache__"] == before


def test_state_that_is_no_tensor_is_refused(tmp_path):
    case = Case(tmp_path, "Mlp")
    with (case.folder / "nets.py").open("a") as stream:
        stream.write(
            "\n\nclass Extra(Mlp):\n    def get_extra_state(self):\n        return {'step': 3}\n\n"
            "    def set_extra_state(self, state):\n        pass\n"
        )
    case.spec = case.spec.replace(":Mlp", ":Extra")
    torch.save({**case.model.state_dict(), "_extra_state": {"step": 3}}, case.checkpoint)
    with pytest.raises(UsageError, match="more than tensors"):
        case.insert("fc1", "LayerNorm")
    assert not case.output.exists()


def test_the_model_and_the_path_are_left_as_they_were(tmp_path):
    case = Case(tmp_path, "Mlp")
    path, written = list(sys.path), sys.dont_write_bytecode
    insert(
        Settings(model=case.spec, data={"x": case.x}, checkpoints=(str(case.checkpoint),), device="cpu"),
        covscan.insertion.Request("fc1", "after", "BatchNorm", case.output, case.code),
    )
    assert sys.dont_write_bytecode == written
    assert sys.path[: len(path)] == path or str(case.folder) in sys.path
