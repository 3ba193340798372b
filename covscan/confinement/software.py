"""What the libraries that run a model may read meanwhile: themselves, and what the machine says about itself."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

_SYSTEM = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_MACHINE = ("/sys/devices/system", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys/vm", "/proc/sys/kernel")
_OWN = ("statm", "stat", "status", "maps", "cgroup", "limits")
_LIBRARIES = ("numpy", "torch", "onnxruntime")
"""Wherever these are, what they were installed with is there too: modules are imported when they are first needed."""


def readable() -> Iterator[Path]:
    """Files and folders, some of which may not exist."""
    yield from map(Path, (*_SYSTEM, *_MACHINE))
    yield from (Path("/proc/self", name) for name in _OWN)
    yield from map(Path, {sys.prefix, sys.base_prefix, sys.exec_prefix})
    yield from (Path(place) for place in sys.path if Path(place).name in ("site-packages", "dist-packages"))
    yield Path(__file__).parents[1]
    for name in _LIBRARIES:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file:
            yield Path(file).parents[1]
    yield from map(Path, filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":")))
