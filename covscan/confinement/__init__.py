"""Running what somebody else's model computes where it can open no file and reach no network, as far as the system can.

On Linux a thread may give up rights for good (Landlock for files, seccomp for calls of the kernel), and threads that it
starts inherit that. So a model runs on a thread of its own, and the rest of the process keeps its rights: it reads the
data by the user's code and writes the outputs.
"""

from covscan.confinement.cell import confined, in_force

__all__ = ["confined", "in_force"]
