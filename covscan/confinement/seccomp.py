"""Giving up calls of the kernel: a seccomp filter for what reaches other machines, processes or programs."""

import ctypes
import errno
import platform
import struct

from covscan.confinement.kernel import call, give_up_privileges

# name: (number on x86-64, number on 64-bit ARM), as in the kernel's tables of calls
_FORBIDDEN = {
    "socket": (41, 198),
    "connect": (42, 203),
    "accept": (43, 202),
    "accept4": (288, 242),
    "bind": (49, 200),
    "listen": (50, 201),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "open_by_handle_at": (304, 265),
    "io_uring_setup": (425, 425),
    "bpf": (321, 280),
}
_MACHINES = {"x86_64": (0xC000003E, 0, 317), "aarch64": (0xC00000B7, 1, 277)}
"""What the kernel calls an architecture, which column of the table it takes, and the number of seccomp itself."""
_OTHER_TABLE = 1 << 30  # numbers from here on are calls of x32, which would be others' names for the same

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # instructions of the filter's machine
_NUMBER_AT, _MACHINE_AT = 0, 4  # where in what the kernel shows of a call
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EACCES
_SET_FILTER = 1


def forbid_calls() -> None:
    """Have the kernel refuse those calls to this thread, with ``EACCES``. Raises OSError where it cannot."""
    try:
        machine, column, seccomp = _MACHINES[platform.machine()]
    except KeyError:
        raise OSError(errno.ENOSYS, f"no table of calls for {platform.machine()}") from None
    steps = [
        (_LOAD, 0, 0, _MACHINE_AT),
        (_EQUAL, 1, 0, machine),
        (_RETURN, 0, 0, _REFUSE),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 0, 1, _OTHER_TABLE),
        (_RETURN, 0, 0, _REFUSE),
    ]
    for numbers in _FORBIDDEN.values():
        steps += [(_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, _REFUSE)]
    steps.append((_RETURN, 0, 0, _ALLOW))
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
    give_up_privileges()
    call(seccomp, _SET_FILTER, 0, ctypes.c_char_p(program))
