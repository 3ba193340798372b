"""Being told to end by somebody who is not at the keyboard, and by a file that goes away under a run."""

import ctypes
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from covscan.errors import ExitCode, UsageError

_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def ending_by_signal() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the run as Ctrl-C does: everything is cleaned up, and the exit code is 130.

    The first one is what ends the run; further ones do not disturb the cleaning up. A signal that is ignored (nohup)
    or that somebody else handles is left alone, and so are forks of this process, which end as they would have.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()

    def interrupt(number: int, frame: FrameType | None) -> None:
        del frame
        if os.getpid() != owner:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        for each in taken:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    taken = [each for each in _ENDING if signal.getsignal(each) is signal.SIG_DFL]
    for each in taken:
        signal.signal(each, interrupt)
    try:
        with telling_of_lost_pages():
            yield
    finally:
        for each in taken:
            signal.signal(each, signal.SIG_DFL)


@contextmanager
def telling_of_lost_pages() -> Iterator[None]:
    """Say what happened, and end with 2, where a mapped file is cut short while it is read (SIGBUS).

    Weights and samples are mapped and not copied. Python's own handlers come too late: they run once the instruction
    is over that cannot be. This one runs inside of it and can do nothing but speak and leave.
    """
    if os.name != "posix" or not hasattr(signal, "SIGBUS"):
        yield
        return
    error = UsageError(
        "checkpoint-changed",
        "a file that is read was cut short while covscan ran",
        found="SIGBUS: a part of the file that was there is there no more",
        hint="wait until the run has saved it, or analyse a copy",
    )
    said = f"{error}\n".encode()

    def leave(number: int) -> None:
        del number
        os.write(2, said)
        os._exit(ExitCode.USAGE)

    library = ctypes.CDLL(None)
    library.signal.restype, library.signal.argtypes = ctypes.c_void_p, (ctypes.c_int, ctypes.c_void_p)
    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(leave)
    before = library.signal(signal.SIGBUS, ctypes.cast(handler, ctypes.c_void_p))
    try:
        yield
    finally:
        library.signal(signal.SIGBUS, before)
