"""A model that is bigger than memory is refused with the size that it needs, whatever its format.

The machine says that it has little memory left, and what is built may take no more of it than that (RLIMIT_DATA).
"""

import contextlib
import gc
import resource
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from safetensors.torch import save_file
from torch import nn

from covscan import memory
from covscan.config.settings import Settings
from covscan.errors import UsageError
from covscan.models import open_source
from covscan.models.room import size_in_float32, size_of

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")

ROOM, SIDE = 40_000_000, 3000
SIZE = "72 MB"
"""Two layers of float32 and their biases, each too large for what the allocator keeps of memory that was freed."""
NETS = f"""
import torch
from torch import nn

def build():
    return nn.Sequential(nn.Linear({SIDE}, {SIDE}), nn.ReLU(), nn.Linear({SIDE}, {SIDE}))

def half():
    return build().half()

def from_numbers():
    import numpy as np
    made = nn.Sequential(*[nn.Linear(1, 1) for _ in range(2)])
    for layer in made:
        layer.weight = nn.Parameter(torch.from_numpy(np.ones(({SIDE}, {SIDE}), np.float32)))
    return made

def on_meta():
    with torch.device("meta"):
        return build()
"""


@pytest.fixture(autouse=True)
def nothing_left_over():
    """What tests before left to the collector is gone, since a model that takes its place would fit after all."""
    collect()


def collect():
    gc.collect()
    memory.give_back()


@pytest.fixture
def little(monkeypatch):
    """The machine has so many bytes left."""
    monkeypatch.setattr(memory, "_available", lambda: ROOM)


@contextlib.contextmanager
def limited(room):
    """The user's own limit (ulimit -d): so many bytes that this process may still take, mapped files among them."""
    taken = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (taken + room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A network whose weights are larger than ``ROOM``, saved in every format."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "nets_room.py").write_text(NETS)
    net = nn.Sequential(nn.Linear(SIDE, SIDE), nn.ReLU(), nn.Linear(SIDE, SIDE)).requires_grad_(False).eval()
    state = net.state_dict()
    torch.save(state, folder / "a.pt")
    torch.save(state, folder / "old.pt", _use_new_zipfile_serialization=False)
    save_file(state, folder / "a.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(net, torch.zeros(1, SIDE)), folder / "script.pt")
    torch.export.save(torch.export.export(net, (torch.zeros(2, SIDE),)), folder / "a.pt2")
    torch.save(net, folder / "module.pt")
    torch.save(net.half(), folder / "half.pt")
    return folder


def opened(folder, file, model=None, *, trust=False):
    named = f"{folder / 'nets_room.py'}:{model}" if model else None
    return open_source(Settings(model=named, checkpoints=(str(folder / file),), data="unused", trust=trust))


def refused(call, *arguments, **named):
    collect()  # once more: pytest lets go of the test that failed last, and of its model, after the fixtures
    with pytest.raises(UsageError) as caught:
        call(*arguments, **named)
    assert caught.value.code == "too-large", caught.value
    return caught.value


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize(
    ("file", "model", "needs"),
    [
        ("a.pt", "build", f"{SIZE} of memory for its weights"),
        ("a.safetensors", "build", f"{SIZE} of memory for its weights"),
        ("a.pt", "from_numbers", "more memory than is free"),
        ("script.pt", None, f"{SIZE} of memory"),
        ("a.pt2", None, "72.1 MB of memory"),
        ("old.pt", "on_meta", f"{SIZE} of memory"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_with_its_size(large, file, model, needs):
    error = refused(opened, large, file, model)
    assert error.message.endswith(f"needs {needs}"), error
    assert error.found.startswith("40 MB are free"), error
    assert error.hint.startswith(("use a machine with more memory", "save it again"))


@pytest.mark.usefixtures("little")
def test_a_factory_that_needs_more_while_it_works_than_what_it_makes_says_what_that_is(large):
    error = refused(opened, large, "a.pt", "half")
    assert error.message.endswith("half needs 36 MB of memory for its weights")
    assert "34.3 MiB more were asked for at once" in error.found


def test_what_fits_opens(large, monkeypatch):
    monkeypatch.setattr(memory, "_available", lambda: 6 * ROOM)
    source = opened(large, "a.pt", "build")
    assert size_of(source.module(source.series.checkpoints[0])) == 4 * 2 * (SIDE**2 + SIDE)


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize("file", ["a.pt", "a.safetensors"])
def test_weights_of_a_network_on_the_meta_device_stay_in_their_file(large, file):
    source = opened(large, file, "on_meta")
    module = source.module(source.series.checkpoints[0])
    assert not any(each.is_meta for each in module.parameters())


@pytest.mark.usefixtures("little")
def test_a_pickled_module_needs_what_it_takes_beside_its_file(large):
    opened(large, "module.pt", trust=True)
    error = refused(opened, large, "half.pt", trust=True)
    assert error.message == f"{str(large / 'half.pt')!r} needs {SIZE} of memory for its weights"


@pytest.mark.parametrize("file", ["a.pt", "a.safetensors"])
def test_a_file_that_cannot_even_be_mapped_is_refused_with_its_size(large, file):
    with limited(ROOM):
        error = refused(opened, large, file, "on_meta")
    assert error.message == f"{str(large / file)!r} needs {SIZE} of memory"
    assert "MB are free" in error.found


def test_a_directory_of_hugging_face_is_refused_with_the_size_of_its_network(tmp_path, monkeypatch):
    from transformers import LlamaConfig, LlamaForCausalLM

    # a vocabulary whose matrix is beyond the 32 MiB that glibc may serve from what was freed before
    config = LlamaConfig(vocab_size=9000, hidden_size=1024, intermediate_size=1024, num_hidden_layers=1,
                         num_attention_heads=4, architectures=[LlamaForCausalLM.__name__])  # fmt: skip
    config.save_pretrained(tmp_path)
    save_file({"model.norm.weight": torch.ones(1024)}, tmp_path / "model.safetensors")
    monkeypatch.setattr(memory, "_available", lambda: ROOM)
    error = refused(open_source, Settings(checkpoints=(str(tmp_path),), data="unused"))
    assert error.message == f"the LlamaForCausalLM of {str(tmp_path)!r} needs 103 MB of memory for its weights"


def onnx_file(path, side, *, external):
    weight = np.ones((side, side), np.float32)
    made = helper.make_tensor("w", TensorProto.FLOAT, [side, side], weight.tobytes(), raw=True)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", side])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", side])
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="fc")
    model = helper.make_model(helper.make_graph([node], "g", [x], [y], [made]), ir_version=9,
                              opset_imports=[helper.make_opsetid("", 17)])  # fmt: skip
    onnx.save(model, path, save_as_external_data=external, location=f"{path.name}.data")


@pytest.mark.usefixtures("little")
def test_an_onnx_file_is_refused_with_its_size(tmp_path):
    onnx_file(tmp_path / "a.onnx", 4000, external=False)
    error = refused(open_source, Settings(checkpoints=(str(tmp_path / "a.onnx"),), data="unused"))
    assert error.message == f"{str(tmp_path / 'a.onnx')!r} needs 64 MB of memory"


def test_sizes_count_shared_weights_once():
    net = nn.Sequential(nn.Linear(10, 10, bias=False), nn.Linear(10, 10, bias=False), nn.BatchNorm1d(10))
    net[1].weight = net[0].weight
    assert size_of(net) == 4 * (100 + 4 * 10) + 8
    assert size_in_float32(net) == 0
    assert size_in_float32(net.half()) == 4 * (100 + 4 * 10)
