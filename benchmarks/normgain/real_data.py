"""The real data sets of the benchmark as small float32 arrays, all from scikit-learn or from this project's samples."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from sklearn import datasets

Arrays = dict[str, np.ndarray]

_TEXT = Path(__file__).parents[2] / "samples" / "char-transformer" / "sample.npz"
WINDOW = 12
"""Characters that a text sample holds."""
PHOTOS = 800
"""Patches taken from the two photographs."""


@lru_cache(maxsize=4)
def arrays(name: str) -> Arrays:
    """``x`` and ``y`` of a data set; the caller must not write into them. Raises KeyError for an unknown name."""
    found = _SETS[name]()
    return {
        key: array.astype(np.float32) if array.dtype.kind == "f" else array.astype(np.int64)
        for key, array in found.items()
    }


def _table(load: Callable[..., tuple[np.ndarray, np.ndarray]], *, standard: bool, real: bool = False) -> Arrays:
    x, y = load(return_X_y=True, scaled=False) if load is datasets.load_diabetes else load(return_X_y=True)
    return {"x": _standard(x) if standard else x, "y": _standard(y[:, None]) if real else y}


def _standard(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(0)) / np.maximum(x.std(0), 1e-6)


def _digits(shape: tuple[int, ...], scaling: str) -> Arrays:
    x, y = datasets.load_digits(return_X_y=True)
    scaled = {"raw": x, "unit": x / 16, "standard": (x - x.mean()) / x.std(), "columns": _standard(x)}[scaling]
    if shape == (16, 4):  # sixteen patches of two by two pixels, row by row
        return {"x": scaled.reshape(-1, 4, 2, 4, 2).transpose(0, 1, 3, 2, 4).reshape(-1, 16, 4), "y": y}
    return {"x": scaled.reshape(-1, *shape), "y": y}


def _photos(*, grey: bool, scaling: str) -> Arrays:
    """Patches of eight by eight (every second pixel) of a temple, class 0, and of a flower, class 1."""
    generator = np.random.default_rng(8)
    images, patches, classes = datasets.load_sample_images().images, [], []
    for number in range(PHOTOS):
        image = images[number % 2]
        top, left = generator.integers(image.shape[0] - 16), generator.integers(image.shape[1] - 16)
        patch = image[top : top + 16 : 2, left : left + 16 : 2].astype(np.float64).transpose(2, 0, 1) / 255
        patches.append(patch.mean(0, keepdims=True) if grey else patch)
        classes.append(number % 2)
    x = np.stack(patches)
    x = {"unit": x, "standard": (x - x.mean()) / x.std(), "raw": x * 255}[scaling]
    return {"x": x, "y": np.array(classes)}


def _text() -> Arrays:
    """Windows of Python's help texts without padding, and the next characters."""
    with np.load(_TEXT) as saved:
        tokens, targets = saved["tokens"], saved["targets"]
    x, y = [], []
    for row, wanted in zip(tokens, targets, strict=True):
        for start in range(0, int((row > 0).sum()) - WINDOW + 1, WINDOW):
            x.append(row[start : start + WINDOW])
            y.append(wanted[start : start + WINDOW])
    return {"x": np.stack(x), "y": np.stack(y)}


def _itself(found: Arrays) -> Arrays:
    return {"x": found["x"], "y": found["x"]}


_SETS: dict[str, Callable[[], Arrays]] = {
    "digits": lambda: _digits((64,), "columns"),
    "digits-unit": lambda: _digits((64,), "unit"),
    "digits-raw": lambda: _digits((64,), "raw"),
    "digit-images": lambda: _digits((1, 8, 8), "standard"),
    "digit-images-unit": lambda: _digits((1, 8, 8), "unit"),
    "digit-images-raw": lambda: _digits((1, 8, 8), "raw"),
    "digit-rows": lambda: _digits((8, 8), "standard"),
    "digit-rows-raw": lambda: _digits((8, 8), "raw"),
    "digit-patches": lambda: _digits((16, 4), "standard"),
    "digits-itself": lambda: _itself(_digits((64,), "standard")),
    "digits-unit-itself": lambda: _itself(_digits((64,), "unit")),
    "digit-images-itself": lambda: _itself(_digits((1, 8, 8), "standard")),
    "cancer": lambda: _table(datasets.load_breast_cancer, standard=True),
    "cancer-raw": lambda: _table(datasets.load_breast_cancer, standard=False),
    "cancer-itself": lambda: _itself(_table(datasets.load_breast_cancer, standard=True)),
    "wine": lambda: _table(datasets.load_wine, standard=True),
    "wine-raw": lambda: _table(datasets.load_wine, standard=False),
    "diabetes": lambda: _table(datasets.load_diabetes, standard=True, real=True),
    "diabetes-raw": lambda: _table(datasets.load_diabetes, standard=False, real=True),
    "photos": lambda: _photos(grey=False, scaling="standard"),
    "photos-unit": lambda: _photos(grey=False, scaling="unit"),
    "photos-itself": lambda: _itself(_photos(grey=True, scaling="standard")),
    "text": _text,
}
