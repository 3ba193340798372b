"""Knowing that memory was too small, whoever says it in whatever words."""

import re

_SAID = re.compile(
    r"can't allocate memory|out of memory|failed to allocate memory|bad_alloc|bad allocation", re.IGNORECASE
)
_SIZES = (
    re.compile(r"tried to allocate (?P<number>\d+) bytes"),  # torch on the CPU
    re.compile(r"requested buffer of size (?P<number>\d+)"),  # ONNX Runtime
    re.compile(r"(?:Tried|Unable) to allocate (?P<text>[\d.]+ [KMGTP]?i?B)"),  # torch on CUDA, numpy
)


def memory_error(error: BaseException) -> BaseException | None:
    """``error``, or what caused it, where that says that memory was too small.

    torch and ONNX Runtime raise a ``RuntimeError`` of their own with a text; numpy and Python a ``MemoryError``.
    """
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, MemoryError) or _SAID.search(str(cause)):
            return cause
        cause = cause.__cause__
    return None


def what_was_needed(error: BaseException) -> str:
    """What the allocator was asked for, in words; else the first line of what it said."""
    text = str(error)
    for pattern in _SIZES:
        found = pattern.search(text)
        if found is not None:
            parts = found.groupdict()
            size = parts.get("text") or f"{int(parts['number']) / 2**20:,.1f} MiB"
            return f"{size} more were asked for at once"
    lines = text.strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
