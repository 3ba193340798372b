"""Runs a command as a process of its own and tells what it took: wall time, and the peak of its resident memory.

Who measures must stay small: a child's peak counts from what its parent held when it was started, so that nothing here
or in the programs that measure imports torch or numpy.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_UNIT = 2**20 if sys.platform == "darwin" else 2**10
"""Of ``ru_maxrss`` in a mebibyte."""
_SAID = 2000
"""Characters of what a failed process said last."""


@dataclass(frozen=True, slots=True)
class Ran:
    """One process that has ended; ``code`` is None where it was ended at the limit."""

    seconds: float
    peak_mib: float
    code: int | None
    said: str


def heed_termination() -> None:
    """Let SIGTERM raise like an interrupt: a child has a session of its own and would go on without us."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def run(command: Sequence[str], *, limit: float | None = None, env: Mapping[str, str] | None = None) -> Ran:
    """Wait for ``command``, ending it and all that it started after ``limit`` seconds."""
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={"ORT_DISABLE_TELEMETRY": "1", **os.environ, **(env or {})},  # nobody is to wait for an uploader
            start_new_session=True,
        )
        late = threading.Event()

        def end() -> None:
            late.set()
            os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(limit, end) if limit is not None else None
        try:
            if timer is not None:
                timer.start()
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        finally:
            if timer is not None:
                timer.cancel()
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(max(0, output.seek(0, os.SEEK_END) - _SAID))
        said = output.read().decode(errors="replace")
    code = None if late.is_set() and process.returncode == -signal.SIGKILL else process.returncode
    return Ran(round(seconds, 3), round(usage.ru_maxrss / _UNIT, 1), code, said)
