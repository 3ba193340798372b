import os
import tempfile

import pytest
from fault_testing import BEFORE, without_run, write_runs

from covscan.config import Settings
from covscan.pipeline import analyze

collect_ignore = [] if hasattr(os, "fork") else ["."]


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Checkpoints with a cache, a temporary folder and an older report of their own."""
    made = write_runs(tmp_path)
    monkeypatch.setenv("COVSCAN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("COVSCAN_CACHE_SIZE", "1G")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    made.output.write_text(BEFORE)
    return made


@pytest.fixture
def settings(runs):
    return Settings(
        model=f"{runs.folder / 'nets_faults.py'}:build",
        checkpoints=tuple(str(runs.checkpoint(step)) for step in range(3)),
        data=str(runs.folder / "x.npz"),
        device="cpu",
        cache=False,
    )


@pytest.fixture
def truth(settings):
    """The report of an undisturbed run."""
    import json

    from covscan.render import render

    return without_run(json.loads(render(analyze(settings), "json")))
