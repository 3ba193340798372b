"""Anything that holds numbers, as a numpy array of a dtype that covscan keeps."""

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from covscan.errors import UsageError

Array = npt.NDArray[Any]


def is_array(value: object) -> bool:
    """Whether ``value`` is an array of some library: numpy, torch, jax, a numpy scalar."""
    return isinstance(value, np.ndarray | np.generic) or (
        hasattr(value, "__array__") and hasattr(value, "dtype") and hasattr(value, "shape")
    )


def to_array(value: Any, name: str) -> Array:
    """View ``value`` as a numpy array without copying where that is possible; the dtype stays as it is.

    Torch tensors are detached and moved to the CPU; types that numpy lacks (bfloat16, float8) become float32.
    Raises UsageError for text, Python objects, dates, records, and tensors without a dense form.
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        array = _of_tensor(value, name)
    else:
        try:
            array = np.asarray(value)
        except (ValueError, TypeError, RuntimeError) as error:
            raise UsageError(
                "bad-array",
                f"{name!r} in the data cannot be read as an array",
                found=str(error).splitlines()[0],
                hint="pad sequences to one length, and add a mask",
            ) from error
    if array.dtype.kind not in "biufc":
        kind = {"O": "Python objects", "U": "text", "S": "text", "M": "dates", "m": "durations"}
        raise UsageError(
            "bad-array",
            f"{name!r} in the data does not hold numbers",
            found=kind.get(array.dtype.kind, f"records {array.dtype}"),
            hint="save it as an array of numbers, or leave it out",
        )
    return array


def canonical(array: Array) -> Array:
    """Floats become float32, complex complex64; integers and booleans stay; byte order is the machine's."""
    kind = array.dtype.kind
    if kind == "f":
        return array.astype(np.float32, copy=False)
    if kind == "c":
        return array.astype(np.complex64, copy=False)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _of_tensor(value: Any, name: str) -> Array:
    if value.is_nested:
        raise UsageError(
            "bad-array",
            f"{name!r} in the data is a nested tensor",
            hint="pad it with torch.nested.to_padded_tensor, and add a mask",
        )
    if value.is_meta:
        raise UsageError("bad-array", f"{name!r} in the data has a shape and no values", hint="save it with its values")
    dense = value.detach()
    if dense.is_quantized:
        dense = dense.dequantize()
    if dense.layout is not sys.modules["torch"].strided:
        dense = dense.to_dense()
    dense = dense.cpu().resolve_conj().resolve_neg()
    try:
        array: Array = dense.numpy()
    except TypeError:
        array = dense.float().numpy()
    return array
