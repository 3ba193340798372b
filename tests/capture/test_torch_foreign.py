from pathlib import Path

import numpy as np
import pytest
import torch
from torch_testing import InMemory

from covscan.capture.torch_backend import TorchBackend
from covscan.config import Settings
from covscan.confinement import in_force
from covscan.data import open_samples
from covscan.errors import UsageError


@pytest.mark.skipif("files" not in in_force(), reason="this system confines no threads")
def test_only_networks_that_came_out_of_a_file_are_kept_from_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    class Writes(torch.nn.Linear):
        def forward(self, x):
            Path("made").touch()
            return super().forward(x)

    source, settings = InMemory(Writes(3, 2)), Settings(data={"x": np.ones((8, 3), np.float32)}, device="cpu")
    batch = next(iter(open_samples(settings).batches()))
    source.foreign = True
    with pytest.raises(UsageError, match="PermissionError"):
        TorchBackend(source, settings).plan(source.series.checkpoints[0], batch)
    assert not Path("made").exists()
    source.foreign = False
    TorchBackend(source, settings).plan(source.series.checkpoints[0], batch)
    assert Path("made").exists()
