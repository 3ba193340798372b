import numpy as np
import pytest

from covscan.config import Settings
from covscan.data import open_samples

X = np.arange(12, dtype=np.float32).reshape(6, 2)


@pytest.mark.parametrize("data", [{"x": X}, {"x": X, "label": np.zeros(6, int)}])
def test_an_autoencoders_target_is_its_input_too(data):
    batch = next(iter(open_samples(Settings(data=data, target="x", batch_size=6)).batches()))
    assert np.array_equal(batch.named["x"], batch.target)


def test_a_target_beside_other_inputs_is_none_of_them():
    batch = next(iter(open_samples(Settings(data={"x": X, "z": X + 1}, target="z", batch_size=6)).batches()))
    assert set(batch.named) == {"x"}
    assert np.array_equal(batch.target, X + 1)
