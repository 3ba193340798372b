"""covscan measures how the inputs of every layer shift while a network trains."""

from covscan.version import __version__

__all__ = ["__version__"]
