"""A folder with a network, and a command line that runs in this process."""

import re
import sys
import warnings

import numpy as np
import pytest

from covscan.cli.entry import run

NETS = """
from torch import nn


def build():
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
"""


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """The working folder: ``nets.py:build`` and ``sample.npz``, and modules that act when they are imported."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(NETS, encoding="utf-8")
    np.savez(tmp_path / "sample.npz", x=np.ones((8, 3), np.float32))
    return tmp_path


@pytest.fixture
def covscan(capfdbinary):
    """Run a command line in this process; gives (exit code, standard output, standard error)."""

    def call(*words):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # libraries may warn about a hostile file; what counts is how it ends
            code = run([str(word) for word in words])
        written = capfdbinary.readouterr()
        return code, written.out.decode(), written.err.decode()

    return call


@pytest.fixture
def refused(covscan):
    """That a command line ends with a sentence for the user, which it gives back."""

    def call(*words, code=2):
        found, output, error = covscan(*words)
        assert found == code, error
        # What torch and transformers log when they are first imported, and notes, come before it.
        error = re.sub(r"\A.*?^(?=error\[)", "", error, flags=re.DOTALL | re.MULTILINE)
        assert error.startswith("error["), error
        assert "Traceback" not in error
        assert not output
        return error

    return call


@pytest.fixture
def forgotten():
    """Leave no module behind that a test imported from its own folder."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("canary"):
            del sys.modules[name]
