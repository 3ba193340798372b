"""The benchmark of gains is a folder of scripts, which find each other by name."""

import sys
from pathlib import Path

import pytest
import torch

SCRIPTS = Path(__file__).parents[2] / "benchmarks" / "normgain"
sys.path.append(str(SCRIPTS))
collect_ignore_glob = [] if SCRIPTS.is_dir() else ["test_*.py"]  # the source archive has no benchmarks


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
