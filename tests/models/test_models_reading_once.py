"""How often a checkpoint is read: what stays mapped is not unpickled again, what lies in memory is not kept."""

import hashlib
import threading

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from covscan.config import Settings
from covscan.models import digest, factory_source, open_source, series
from covscan.models.formats import Saved

FACTORY = """
from torch import nn

def build():
    return nn.Linear(3, 2)
"""


@pytest.fixture
def reads(monkeypatch):
    """The files that are read, in order."""
    seen = []
    read = factory_source.read
    monkeypatch.setattr(factory_source, "read", lambda saved, **how: seen.append(saved.path.name) or read(saved, **how))
    return seen


def opened(tmp_path, save, count=3):
    (tmp_path / "net.py").write_text(FACTORY)
    paths = []
    for step in range(count):
        paths.append(str(tmp_path / f"step-{step}.{save.__name__}"))
        save({"weight": torch.full((2, 3), float(step)), "bias": torch.zeros(2)}, paths[-1])
    return open_source(Settings(checkpoints=tuple(paths), model=f"{tmp_path / 'net.py'}:build", device="cpu"))


def pt(tensors, path):
    torch.save(tensors, path)


def safetensors(tensors, path):
    save_file(tensors, path)


def old(tensors, path):
    torch.save(tensors, path, _use_new_zipfile_serialization=False)


def values(source, number):
    checkpoint = source.series.checkpoints[number]
    module = source.module(checkpoint)
    assert torch.equal(module.weight.detach(), source.weights(checkpoint)["weight"])
    return float(module.weight.detach()[0, 0])


@pytest.mark.parametrize("save", [pt, safetensors])
def test_the_last_two_checkpoints_stay_open(tmp_path, reads, save):
    source = opened(tmp_path, save)
    assert len(reads) == 3  # whether all fit
    for number in (1, 2, 1, 2):
        assert values(source, number) == number
    assert len(reads) == 3
    assert values(source, 0) == 0
    assert len(reads) == 4
    assert values(source, 1) == 1  # which had to go
    assert reads[3:] == [f"step-0.{save.__name__}", f"step-1.{save.__name__}"]


def test_a_network_does_not_change_what_stays_open(tmp_path, reads):
    source = opened(tmp_path, pt, count=1)
    checkpoint = source.series.checkpoints[0]
    with torch.no_grad():
        source.module(checkpoint).weight.fill_(9)
    np.testing.assert_array_equal(source.weights(checkpoint)["weight"], np.zeros((2, 3)))
    assert values(source, 0) == 0
    assert len(reads) == 1


@pytest.mark.parametrize("save", [pt, safetensors])
def test_a_checkpoint_that_is_written_anew_is_read_anew(tmp_path, reads, save):
    source = opened(tmp_path, save, count=1)
    (checkpoint,) = source.series.checkpoints
    saved = source._shelf.saved(checkpoint)
    save({"weight": torch.full((2, 3), 7.0), "bias": torch.zeros(2)}, str(tmp_path / "new"))
    (tmp_path / "new").replace(saved.path)
    assert float(source._match(saved).tensors["weight"][0, 0]) == 7
    assert len(reads) == 2


def test_what_lies_in_memory_or_is_large_is_not_kept(tmp_path, reads, monkeypatch):
    source = opened(tmp_path, old)
    values(source, 2)
    assert len(reads) == 5
    monkeypatch.setattr(factory_source, "_LARGEST_OPEN", 100)
    source = opened(tmp_path, pt, count=2)
    values(source, 1)
    assert len(reads) == 9


def test_an_interrupt_does_not_wait_for_the_hash_of_a_large_file(tmp_path, monkeypatch):
    path = tmp_path / "step-0.pt"
    torch.save({"weight": torch.zeros(2**20)}, path)
    monkeypatch.setattr(digest, "_PIECE", 16)  # which takes a while
    began = threading.Event()
    read, ended = digest._digest_file, []

    def watched(path, given_up):
        began.set()
        read(path, given_up)
        ended.append(given_up.is_set())

    def interrupted(*given, **named):
        began.wait()
        raise KeyboardInterrupt

    monkeypatch.setattr(digest, "_digest_file", watched)
    monkeypatch.setattr(series, "stated_steps", interrupted)
    with pytest.raises(KeyboardInterrupt):
        series.open_series([Saved(path, "torch", (path,), (path,))], [], trust=False)
    assert ended == [True]
    assert not [each for each in threading.enumerate() if each.name.startswith("ThreadPoolExecutor")]


def test_a_digest_is_that_of_the_content(tmp_path):
    path = tmp_path / "whole.pt"
    path.write_bytes(np.random.default_rng(0).bytes(2**18 * 2 + 77))
    assert digest.digest(Saved(path, "torch", (path,), (path,))) == hashlib.sha256(path.read_bytes()).hexdigest()
