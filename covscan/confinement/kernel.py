"""Calls of the kernel that Python has no function for."""

import ctypes
import os

_NO_NEW_PRIVILEGES = 38


def call(number: int, *arguments: int | ctypes.c_char_p | None) -> int:
    """What the call gives. Raises OSError with what the kernel said."""
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    given = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result: int = library.syscall(ctypes.c_long(number), *given)
    if result < 0:
        raise _said()
    return result


def give_up_privileges() -> None:
    """Let this thread gain nothing by executing files that carry rights, which is asked of it first. Raises OSError."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise _said()


def _said() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
