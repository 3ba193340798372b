"""A seeded 64-bit hash of integers, the same on every machine, engine and checkpoint."""

import numpy as np
import numpy.typing as npt

UInt64 = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MASK = 0xFFFFFFFFFFFFFFFF
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def mix(value: UInt64) -> UInt64:
    """The finalizer of SplitMix64 (Steele, Lea, Flood 2014): a bijection of 64-bit integers."""
    value = value ^ (value >> np.uint64(30))  # a copy, which may be changed in place
    value *= _FIRST
    value ^= value >> np.uint64(27)
    value *= _SECOND
    value ^= value >> np.uint64(31)
    return value


def hash_index(index: npt.ArrayLike, seed: int, stream: int = 0) -> UInt64:
    """Hash integers; ``stream`` keeps the uses of one seed apart. Same shape as ``index``."""
    key = mix(np.asarray([(seed + int(_GOLDEN) * (stream + 1)) & _MASK], np.uint64))
    return mix((np.asarray(index).astype(np.uint64) + np.uint64(1)) * _GOLDEN ^ key)


def hash_pair(first: npt.ArrayLike, second: npt.ArrayLike, seed: int, stream: int = 0) -> UInt64:
    """Hash pairs of integers, broadcast against each other."""
    outer = hash_index(first, seed, stream)
    return mix(outer + (np.asarray(second).astype(np.uint64) + np.uint64(1)) * _GOLDEN)
