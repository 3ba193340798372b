"""Hugging Face models in training: model outputs, masks, a label for each token, labels to leave out."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import covscan
from covscan.config import Settings
from covscan.insertion import insert
from covscan.insertion.types import Request
from covscan.prove.gradient_types import Effort
from covscan.prove.proof import Plan
from covscan.proving import prove_place
from covscan.surgery.types import Insertion

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")

SAMPLES, LENGTH, WORDS = 32, 8, 20
COMMON = {"loss": "cross_entropy", "optimizer": "adamw", "lr": 0.003, "train_batch_size": 8, "target": "labels"}
"""No dropout, so that the losses can be computed beside."""


def bert():
    return transformers.BertForSequenceClassification(
        transformers.BertConfig(
            vocab_size=WORDS, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
            max_position_embeddings=LENGTH, num_labels=3, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        )
    )  # fmt: skip


def gpt2():
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=WORDS, n_embd=8, n_layer=1, n_head=2, n_positions=LENGTH, bos_token_id=1, eos_token_id=2,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        )
    )  # fmt: skip


def vit():
    return transformers.ViTForImageClassification(
        transformers.ViTConfig(
            image_size=8, patch_size=4, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=16, num_labels=4,
        )
    )  # fmt: skip


def data_of(kind):
    drawing = np.random.default_rng(0)
    if kind == "vit":
        pixels = drawing.normal(size=(SAMPLES, 3, 8, 8)).astype(np.float32)
        return {"pixel_values": pixels, "labels": drawing.integers(0, 4, SAMPLES)}
    lengths = drawing.integers(3, LENGTH + 1, SAMPLES)
    there = np.arange(LENGTH) < lengths[:, None]
    words = drawing.integers(3, WORDS, (SAMPLES, LENGTH)) * there
    labels = drawing.integers(0, 3, SAMPLES)
    if kind == "gpt2":  # each next word, and nothing behind the last one
        labels = np.where(np.roll(there, -1, 1) & (np.arange(LENGTH) < LENGTH - 1), np.roll(words, -1, 1), -100)
    return {"input_ids": words, "attention_mask": there.astype(np.int64), "labels": labels}


def losses(model, data):
    """What the model loses on each sample, summed over its labels, and how many labels that are."""
    inputs = {name: torch.from_numpy(values) for name, values in data.items() if name != "labels"}
    logits = model(**inputs).logits
    target = torch.from_numpy(data["labels"])
    each = torch.nn.functional.cross_entropy(logits.movedim(-1, 1), target, reduction="none", ignore_index=-100)
    return each, target != -100


@pytest.fixture(scope="module", params=["bert", "gpt2", "vit"])
def run(request, tmp_path_factory):
    """A short real training with directories at steps 0 and 2."""
    folder, kind = tmp_path_factory.mktemp(request.param), request.param
    torch.manual_seed(0)
    model, data = globals()[kind](), data_of(kind)
    optimizer = torch.optim.AdamW(model.parameters(), 0.003)
    wanted = {}
    for step in range(3):
        each, counted = losses(model, data)
        loss = each.sum() / counted.sum()
        if step != 1:
            wanted[step] = float(loss)
            model.save_pretrained(folder / f"checkpoint-{step}")
            state = {"global_step": step, "epoch": 0.1}
            (folder / f"checkpoint-{step}" / "trainer_state.json").write_text(json.dumps(state))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return kind, folder, data, wanted


def analyzed(run, **more):
    kind, folder, data, _ = run
    mask = None if kind == "vit" else "attention_mask"
    return covscan.analyze(str(folder), data=data, mask=mask, samples=SAMPLES, **(COMMON | more))


def test_gradients_are_those_of_the_loss_that_was_trained_with(run, monkeypatch):
    kind, _, _, wanted = run
    monkeypatch.setattr("covscan.prove.gather.EFFORTS", (Effort(layers=4, pairs=1, landscapes=1, iterations=3),))
    report = analyzed(run, evidence="gradient")
    assert report.trials is None
    found = report.gradients
    assert found.batch_size == 8
    assert [layer.status for layer in found.layers] == [None] * len(found.layers)
    assert {layer.layer for layer in found.layers} >= {
        "bert": {"bert.embeddings.word_embeddings", "bert.encoder.layer.0.output.dense", "classifier"},
        "gpt2": {"transformer.wte", "transformer.h.0.mlp.c_proj"},
        "vit": {"vit.embeddings.patch_embeddings.projection", "classifier"},
    }[kind]
    uneven = 0.02 if kind == "gpt2" else 1e-4  # batches differ in how many labels they have
    assert list(found.loss_by_checkpoint.values()) == pytest.approx(list(wanted.values()), rel=uneven)


def test_a_place_is_tried_in_one_step_and_in_a_trial(run, monkeypatch):
    kind, *_ = run
    monkeypatch.setattr("covscan.prove.trial.HORIZONS", (2,))
    monkeypatch.setattr("covscan.prove.gather.EFFORTS", ())
    report = analyzed(run, trial_steps=400)
    assert report.gradients is None
    assert report.trials.tier == "trial"
    assert 0 < report.trials.steps <= 400
    assert report.trials.intervention == "from the start"
    tried = [candidate for candidate in report.candidates if candidate.gain is not None]
    assert len(tried) >= 2
    assert all(candidate.one_step is not None for candidate in report.candidates)
    assert {"bert": "classifier", "gpt2": "transformer.h.0.mlp.c_proj", "vit": "vit.layers.0.mlp.fc2"}[kind] in {
        candidate.site for candidate in report.candidates
    }


PLACES = {
    "bert": ("classifier", "before", "LayerNorm"),
    "gpt2": ("transformer.h.0.mlp.c_proj", "after", "LayerNorm"),
    "vit": ("vit.layers.0.attention.o_proj", "after", "RMSNorm"),
}


def test_a_normalization_is_proved(run):
    kind, folder, data, _ = run
    mask = None if kind == "vit" else "attention_mask"
    settings = Settings(checkpoints=(str(folder),), data=data, mask=mask, samples=SAMPLES, positions=None, **COMMON)
    proof = prove_place(settings, *PLACES[kind], Plan(seeds=2, steps=2, rungs=3))
    assert (proof.site, proof.position, proof.norm) == PLACES[kind]
    assert proof.start == "the weights of checkpoint-0 (step 0)"
    assert proof.samples + proof.held_out == SAMPLES
    assert all(rung.stable or rung.curve for arm in proof.arms for rung in arm.rungs)
    assert proof.arms[1].gain is not None


def test_a_normalization_is_put_into_a_directory_whose_network_a_factory_builds(run, tmp_path):
    kind, folder, data, _ = run
    (tmp_path / "hugging.py").write_text(
        "import transformers\n\n\ndef build():\n"
        f"    config = transformers.AutoConfig.from_pretrained({str(folder / 'checkpoint-0')!r})\n"
        f"    return getattr(transformers, config.architectures[0])(config)\n"
    )
    mask = None if kind == "vit" else "attention_mask"
    written = tmp_path / "with.pt"
    done = insert(
        Settings(
            model=f"{tmp_path / 'hugging.py'}:build", checkpoints=(str(folder / "checkpoint-2"),), data=data,
            target="labels", mask=mask, samples=SAMPLES,
        ),
        Request(*PLACES[kind], written, written.with_suffix(".py")),
    )  # fmt: skip
    assert done.difference.unchanged
    assert isinstance(done.insertion, Insertion)
    assert [Path(each).name for each in done.written] == ["with.pt", "with.py"]
