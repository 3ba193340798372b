"""How many processors this process may use."""

import os


def cores() -> int:
    """Processors that the process is allowed to run on, at least one."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1
