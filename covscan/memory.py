"""How much memory is free, a bound on what may be asked for, and knowing that there was too little."""

import contextlib
import ctypes
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from covscan.errors import UsageError

ROOM = 1 << 30
"""Bytes that the reading of any file may take beside what grows with the file: imports, caches, a parser's tables."""
FACTOR = 16
"""How many times its own size a file may need: a pickled list of small numbers takes about fifteen times its bytes."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # as glibc's malloc.h numbers them
_NEVER = -1
_LEAST_LARGEST, _MOST_LARGEST, _LARGEST_SHARE = 2**25, 2**30, 256
"""Bytes of the largest amount that is kept once it is freed: a share of the memory that is free, between the other two.
What is kept has gaps as large as what it once held: the peak of the analysis below was 1,530 MiB instead of 1,205."""
_KEPT = 8  # the share of free memory that stays free
_UNKNOWN = 1 << 62
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_USED = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")

_SAID = re.compile(
    r"can(?:'t|not) allocate memory|out of memory|failed to allocate memory|bad_alloc|bad allocation", re.IGNORECASE
)
_SIZES = (
    re.compile(r"tried to allocate (?P<number>\d+) bytes"),  # torch on the CPU
    re.compile(r"requested buffer of size (?P<number>\d+)"),  # ONNX Runtime
    re.compile(r"(?:Tried|Unable) to allocate (?P<text>[\d.]+ [KMGTP]?i?B)"),  # torch on CUDA, numpy
)


def free() -> int:
    """Bytes that this process may still take, by the machine, its container and its own limits; huge where unknown."""
    found = [_available(), *(_number(limit) - _number(used, 0) for limit, used in zip(_LIMITS, _USED, strict=True))]
    return max(0, min(*found, _below_limits()))


def require(needed: int, what: str, *, hint: str = "use a machine with more memory") -> None:
    """Raise UsageError, with the size it needs, where ``what`` does not fit into the memory that is free."""
    there = free()
    if needed > there:
        raise UsageError(
            "too-large", f"{what} needs {size_text(needed)} of memory", found=f"{size_text(there)} are free", hint=hint
        )


@contextlib.contextmanager
def bounded(size: int, what: str) -> Iterator[None]:
    """Let what runs inside take memory in proportion to the ``size`` of the file that it reads, and no more.

    A few bytes of a pickle can ask for all the memory there is, and a machine that gives it is lost. The limit is the
    kernel's (``RLIMIT_DATA``), so that no reader has to be told of it; it counts what is mapped from the file as well.
    Elsewhere than on Linux there is no such limit. Raises UsageError where Python finds none left.
    """
    room = size + min(ROOM + FACTOR * size, free())
    try:
        with _limited(room):
            yield
    except MemoryError as error:
        raise UsageError(
            "too-large",
            f"{what} asks for more memory than a file of {size_text(size)} can need",
            found=f"more than {size_text(room)}" + (f"; {str(error)[:160]}" if str(error) else ""),
            hint="it is damaged, or made to exhaust the machine",
        ) from error


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Let what runs inside take most of the memory that is free: a model of somebody else's may ask for any amount.

    What asks for more gets an error of its own, where otherwise the kernel would end this process or another one.
    """
    with _limited(free() - free() // _KEPT):
        yield


def give_back() -> None:
    """Hand what is free inside of this process back to the system, where the C library knows how (glibc).

    Otherwise it keeps for itself what was freed, up to 32 MB apiece: after the sessions that plan an ONNX transformer
    of 356 MB this process held 1,129 MB, and 422 once they were handed back. Takes milliseconds.
    """
    library = _c_library()
    if library is not None:
        library.malloc_trim(0)


def keep_freed() -> None:
    """Let the C library (glibc) keep what was freed for what is asked for next, unless the user tuned it.

    Each layer of a network frees and asks for what the one before did. Handed back to the system in between, all of it
    is cleared by the kernel page by page: analyzing a ResNet-50 on 64 images in batches of 16 took 3.6 million page
    faults and 20.1 s, and so 0.65 million and 16.8 s. Where little memory is free, large amounts go back all the same.
    """
    tuned = any(os.environ.get(name) for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"))
    library = _c_library()
    if library is not None and not tuned and "glibc.malloc" not in os.environ.get("GLIBC_TUNABLES", ""):
        largest = min(max(free() // _LARGEST_SHARE, _LEAST_LARGEST), _MOST_LARGEST)
        library.mallopt(_TRIM_THRESHOLD, _NEVER)
        if not library.mallopt(_MMAP_THRESHOLD, largest):  # older ones take no more than the least
            library.mallopt(_MMAP_THRESHOLD, _LEAST_LARGEST)


def _c_library() -> ctypes.CDLL | None:
    """Glibc where it is loaded, which alone has these calls."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None


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


def read_whole(path: Path, most: int) -> bytes:
    """The bytes of a file that is no larger than ``most``; a longer one raises ValueError. Raises OSError."""
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it is larger than {size_text(most)}")
    return content


def size_text(size: int) -> str:
    """A number of bytes as people write it."""
    value, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{size:,} bytes" if unit == "bytes" else f"{value:,.3g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"


@contextlib.contextmanager
def _limited(room: int) -> Iterator[None]:
    taken = _taken()
    if taken is None:
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = taken + room
    if wanted > (_UNKNOWN if soft == resource.RLIM_INFINITY else soft):
        wanted = soft
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _taken() -> int | None:
    """Bytes of private memory that can be written to, which is what the limit counts; None where that is unknown."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def _below_limits() -> int:
    """What is left below ``ulimit -v`` and ``ulimit -d``."""
    try:
        import resource
    except ImportError:
        return _UNKNOWN
    left = _UNKNOWN
    for limit, field in ((resource.RLIMIT_AS, 0), (resource.RLIMIT_DATA, 5)):
        soft = resource.getrlimit(limit)[0]
        if soft != resource.RLIM_INFINITY:
            with contextlib.suppress(OSError, ValueError, IndexError):
                pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[field])
                left = min(left, soft - pages * os.sysconf("SC_PAGE_SIZE"))
    return left


def _available() -> int:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return _UNKNOWN
    kilobytes = [int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    return kilobytes[0] * 1024 if kilobytes else _UNKNOWN


def _number(path: str, missing: int = _UNKNOWN) -> int:
    try:
        return int(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError):  # no such controller, or "max"
        return missing
