"""Giving up files: Linux's Landlock, by its three calls (kernel documentation, ``userspace-api/landlock``)."""

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

from covscan.confinement.kernel import call, give_up_privileges

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_ASK_VERSION = 1
_PATH_BENEATH = 1

_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many rights over files each version knows; one bit each, from executing on. Later versions know no further."""
_NET_SINCE = 4
_NET_RIGHTS = 0b11  # binding and connecting TCP


def version() -> int:
    """Which Landlock this kernel has. Raises OSError where it has none, or it is switched off."""
    return call(_CREATE_RULESET, None, 0, _ASK_VERSION)


def forbid_files(readable: Iterable[Path]) -> None:
    """Let this thread open nothing from now on but files in or at ``readable``, and those for reading only.

    Nothing can be written, made, removed, renamed or executed, and TCP ports are closed. Folders can be listed: the
    import system remembers one that it was refused as empty, for every thread. What is open already stays open.
    Places that don't exist are left out. Raises OSError where the kernel cannot.
    """
    known = version()
    files = (1 << _FILE_RIGHTS[min(known, max(_FILE_RIGHTS))]) - 1 & ~_READ_DIR
    attributes = struct.pack("QQ", files, _NET_RIGHTS) if known >= _NET_SINCE else struct.pack("Q", files)
    ruleset = call(_CREATE_RULESET, ctypes.c_char_p(attributes), len(attributes), 0)
    try:
        for place in readable:
            _allow_reading(ruleset, place)
        give_up_privileges()
        call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow_reading(ruleset: int, place: Path) -> None:
    try:
        opened = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rule = struct.pack("=Qi", _READ_FILE, opened)
        call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.c_char_p(rule), 0)
    finally:
        os.close(opened)
