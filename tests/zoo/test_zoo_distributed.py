"""What a training over two processes leaves behind: read, or refused in a sentence that says what to save instead."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save
from zoo_distributed import WORLD, trained
from zoo_oracle import differences, watched

from covscan import pipeline
from covscan.config import Settings
from covscan.errors import CovscanError

FOLDER = Path(__file__).parent
X = np.random.default_rng(0).normal(size=(16, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """The folder in which two processes wrote, and what covscan told them of the modules that they held."""
    folder = tmp_path_factory.mktemp("distributed")
    command = [sys.executable, str(FOLDER / "zoo_distributed.py"), str(folder)]
    processes = [
        subprocess.Popen([*command, str(rank)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=FOLDER)
        for rank in range(WORLD)
    ]
    told = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    return folder


def analysed(*checkpoints):
    factory = f"{FOLDER / 'zoo_distributed.py'}:build"
    settings = Settings(model=factory, checkpoints=tuple(map(str, checkpoints)), data={"x": X}, positions=None)
    return pipeline.analyze(settings)


@pytest.mark.parametrize("kind", ["ddp", "fsdp-whole"])
def test_whole_weights_are_read(left, kind):
    report = analysed(left / kind)
    assert [checkpoint.step for checkpoint in report.checkpoints] == [0, 1]
    assert report.coverage.measured == 6
    assert differences(report, "step-1", watched(trained(1), [torch.from_numpy(X)])) == []
    excess = {s.site: s.measures["excess_shift"].value for s in report.shifts if s.position == "output"}
    assert excess["0"] > 0
    assert excess["2"] > 0


@pytest.mark.parametrize("given", ["", "step-1", "step-*", "*/*.distcp", "step-0/__1_0.distcp"])
def test_a_sharded_folder_is_refused_however_it_is_named(left, given):
    with pytest.raises(CovscanError) as caught:
        analysed(left / "fsdp-sharded" / given)
    error = getattr(caught.value, "errors", (caught.value,))[0]
    assert error.code == "distributed-checkpoint"
    assert "found: 2 .distcp files" in str(error)
    assert "torch.distributed.checkpoint.format_utils dcp_to_torch" in error.hint


def test_what_the_hint_says_makes_a_sharded_folder_readable(left, tmp_path):
    for step in (0, 1):
        dcp_to_torch_save(left / "fsdp-sharded" / f"step-{step}", tmp_path / f"step-{step}.pt")
    report = analysed(tmp_path)
    assert differences(report, "step-1", watched(trained(1), [torch.from_numpy(X)])) == []


@pytest.mark.parametrize("kind", ["fsdp", "tensor"])
@pytest.mark.parametrize("rank", range(WORLD))
def test_one_processs_part_is_refused(left, kind, rank):
    with pytest.raises(CovscanError) as caught:
        analysed(left / f"{kind}-rank{rank}" / "step-1.pt")
    assert caught.value.code == "sharded-weights"
    assert "by one process of a distributed run" in caught.value.message
    assert "full_state_dict=True" in caught.value.hint


def test_modules_are_handed_over_from_a_process(left):
    told = dict(line.split(" ", 1) for line in (left / "told").read_text().splitlines())
    assert told["ddp"] == "measured 6, left as it was"
    for kind in ("fsdp2", "fsdp2-part", "fsdp1", "tensor-parallel"):
        assert told[kind].startswith("sharded-module: "), told[kind]
        assert "is sharded over the processes of a distributed run" in told[kind]
