import json
import socket
from pathlib import Path

import pytest
import torch

from covscan.models import huggingface

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")

CONFIG = {
    "vocab_size": 20,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 16,
}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*_args):
        raise AssertionError("covscan opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def save(folder, seed, architecture="BertModel", **options):
    torch.manual_seed(seed)
    model = getattr(transformers, architecture)(transformers.BertConfig(**CONFIG)).eval()
    model.save_pretrained(folder, **options)
    return model


def test_a_trainers_run_gives_what_transformers_gives(bench):
    models = {step: save(f"run/checkpoint-{step}", step) for step in (5, 10)}
    for step in models:
        Path(f"run/checkpoint-{step}/trainer_state.json").write_text(json.dumps({"global_step": step, "epoch": 0.1}))
    source = bench.open("run", model=None)
    assert source.engine == "torch"
    assert source.series.order == "metadata"
    ids = torch.tensor([[1, 2, 3]])
    for checkpoint in source.series.checkpoints:
        module = source.module(checkpoint)
        assert type(module) is transformers.BertModel
        wanted = models[checkpoint.step]
        with torch.no_grad():
            assert torch.equal(module(ids)[0], wanted(ids)[0])
        assert set(source.weights(checkpoint)) == set(wanted.state_dict())


def test_shards_and_half_precision(bench):
    model = save("m", 1, max_shard_size="2KB")
    assert Path("m/model.safetensors.index.json").exists()
    source = bench.open("m", model=None)
    module = source.module(source.series.checkpoints[0])
    assert source.series.checkpoints[0].id == "m"
    assert all(torch.equal(module.state_dict()[name], t) for name, t in model.state_dict().items())


def test_pickled_weights_in_the_directory(bench):
    model = save("m", 1)
    Path("m/model.safetensors").unlink()
    torch.save(model.state_dict(), "m/pytorch_model.bin")
    source = bench.open("m", model=None)
    assert torch.equal(source.module(source.series.checkpoints[0]).pooler.dense.weight, model.pooler.dense.weight)


def test_tied_weights(bench):
    model = save("m", 1, architecture="BertForMaskedLM")
    source = bench.open("m", model=None)
    checkpoint = source.series.checkpoints[0]
    assert torch.equal(source.module(checkpoint).cls.predictions.decoder.weight, model.cls.predictions.decoder.weight)
    assert set(source.weights(checkpoint)) == set(model.state_dict())


def test_a_directory_gives_weights_to_a_factory(bench):
    model = save("m", 1)

    def build():
        return transformers.BertModel(transformers.BertConfig(**CONFIG))

    source = bench.open("m", model=build)
    assert torch.equal(source.module(source.series.checkpoints[0]).pooler.dense.weight, model.pooler.dense.weight)


@pytest.mark.parametrize("model_named", [False, True])
def test_names_of_older_versions_are_read_by_transformers(bench, model_named):
    from safetensors.torch import save_file

    def build():
        return transformers.BertModel(transformers.BertConfig(**CONFIG))

    model = save("m", 1)
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): t.contiguous()
        for name, t in model.state_dict().items()
    }
    save_file(old, "m/model.safetensors", metadata={"format": "pt"})
    source = bench.open("m", model=build if model_named else None)
    module = source.module(source.series.checkpoints[0])
    assert all(torch.equal(module.state_dict()[name], t) for name, t in model.state_dict().items())


def test_a_directory_does_not_fit_a_network_that_is_none_of_transformers(bench):
    save("m", 1)
    assert bench.error("m", model=lambda: torch.nn.Linear(2, 2)).code == "weights-mismatch"


def test_missing_weights_are_an_error(bench):
    from safetensors.torch import save_file

    model = save("m", 1)
    state = {name: t.contiguous() for name, t in model.state_dict().items() if "pooler" not in name}
    save_file(state, "m/model.safetensors", metadata={"format": "pt"})
    error = bench.error("m", model=None)
    assert error.code == "weights-mismatch"
    assert "'pooler.dense.weight'" in error.found


def test_another_shape_than_the_config_says(bench):
    save("m", 1)
    config = json.loads(Path("m/config.json").read_text())
    Path("m/config.json").write_text(json.dumps({**config, "intermediate_size": 32}))
    error = bench.error("m", model=None)
    assert error.code == "weights-mismatch"
    assert "(16, 8) in the file, (32, 8) in the model" in error.found


def change(**fields):
    path = Path("m/config.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_a_config_without_a_class_gets_the_plain_model(bench):
    save("m", 1)
    change(architectures=None)
    source = bench.open("m", model=None)
    assert type(source.module(source.series.checkpoints[0])) is transformers.BertModel


def test_configs_that_transformers_does_not_know(bench):
    save("m", 1)
    change(architectures=["HerModel"])
    error = bench.error("m", model=None)
    assert error.code == "unknown-architecture"
    assert "HerModel" in error.message
    change(model_type="nothing-known")
    error = bench.error("m", model=None)
    assert error.code == "unreadable-model"
    assert "--model" in error.hint


def test_a_config_that_cannot_be_built(bench):
    save("m", 1)
    change(num_attention_heads=3)
    error = bench.error("m", model=None)
    assert error.code == "unreadable-model"
    assert "BertModel" in error.message


CODE = """
import pathlib
import torch
import transformers

pathlib.Path("ran").touch()

class MyConfig(transformers.PretrainedConfig):
    model_type = "mine"

class MyModel(transformers.PreTrainedModel):
    config_class = MyConfig

    def __init__(self, config):
        super().__init__(config)
        self.layer = torch.nn.Linear(2, 2)
        self.post_init()

    def forward(self, x):
        return self.layer(x)
"""


def test_code_in_the_directory_runs_with_trust_only(bench, monkeypatch):
    from safetensors.torch import save_file

    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(bench.folder / "cache"))
    Path("m").mkdir()
    Path("m/mine.py").write_text(CODE)
    config = {
        "model_type": "mine",
        "architectures": ["MyModel"],
        "auto_map": {"AutoConfig": "mine.MyConfig", "AutoModel": "mine.MyModel"},
    }
    Path("m/config.json").write_text(json.dumps(config))
    layer = torch.nn.Linear(2, 2)
    save_file({f"layer.{name}": t for name, t in layer.state_dict().items()}, "m/model.safetensors")
    error = bench.error("m", model=None)
    assert error.code == "untrusted-code"
    assert "--trust" in error.hint
    assert not Path("ran").exists()
    source = bench.open("m", model=None, trust=True)
    assert Path("ran").exists()
    assert torch.equal(source.module(source.series.checkpoints[0]).layer.weight, layer.weight)


def test_without_transformers_the_extra_is_named(bench, monkeypatch):
    import sys

    save("m", 1)
    monkeypatch.setitem(sys.modules, "transformers", None)
    error = bench.error("m", model=None)
    assert error.code == "missing-extra"
    assert "covscan[hf]" in error.hint


@pytest.mark.parametrize("before", [None, "0"])
def test_the_environment_is_left_as_it_was(monkeypatch, before):
    import os

    if before is None:
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    else:
        monkeypatch.setenv("HF_HUB_OFFLINE", before)
    with huggingface._offline():
        assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert os.environ.get("HF_HUB_OFFLINE") == before
