"""What tokenizers, image and feature processors give, drawn at random."""

from typing import Any

import numpy as np
import numpy.typing as npt

SAMPLES = 8
Arrays = dict[str, npt.NDArray[Any]]


def _draw(*shape: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(SAMPLES, *shape)).astype(np.float32)


def sentences(length: int = 12) -> Arrays:
    """Token ids of sentences of several lengths, padded with 0 at the end, and the mask."""
    random = np.random.default_rng(0)
    lengths = random.integers(length // 2, length + 1, SAMPLES)
    mask = (np.arange(length) < lengths[:, None]).astype(np.int64)
    ids = random.integers(3, 99, (SAMPLES, length)) * mask
    return {"input_ids": ids, "attention_mask": mask}


def sentence_pairs() -> Arrays:
    """Sentences and the beginnings of their translations."""
    return sentences() | {"decoder_input_ids": np.random.default_rng(1).integers(3, 99, (SAMPLES, 7))}


def images(size: int = 32, name: str = "pixel_values") -> Arrays:
    """Square images with three colours."""
    return {name: _draw(3, size, size)}


def films() -> Arrays:
    """Four frames each."""
    return {"pixel_values": _draw(4, 3, 32, 32)}


def captioned() -> Arrays:
    """Images, each with a sentence."""
    return sentences() | images()


def sounds() -> Arrays:
    """Waves of 1,200 samples."""
    return {"input_values": _draw(1200)}


def spectra() -> Arrays:
    """Spectra over time, and the beginnings of what is said."""
    return {"input_features": _draw(8, 32), "decoder_input_ids": sentence_pairs()["decoder_input_ids"]}


def features(name: str, *shape: int) -> Arrays:
    """One array of numbers."""
    return {name: _draw(*shape)}


def series() -> Arrays:
    """Numbers over time, what is known of each time, and which were observed."""
    return {
        "past_values": _draw(14), "past_time_features": _draw(14, 2),
        "past_observed_mask": np.ones((SAMPLES, 14), np.float32),
        "future_values": _draw(4), "future_time_features": _draw(4, 2),
    }  # fmt: skip


def episodes() -> Arrays:
    """States, actions and returns of agents."""
    return {
        "states": _draw(6, 5), "actions": _draw(6, 3), "rewards": _draw(6, 1), "returns_to_go": _draw(6, 1),
        "timesteps": np.tile(np.arange(6), (SAMPLES, 1)), "attention_mask": np.ones((SAMPLES, 6), np.int64),
    }  # fmt: skip


def without(arrays: Arrays, *names: str) -> Arrays:
    """The same, but for some."""
    return {name: value for name, value in arrays.items() if name not in names}
