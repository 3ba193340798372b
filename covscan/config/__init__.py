"""What the user asked for, as frozen values."""

from covscan.config.settings import Settings

__all__ = ["Settings"]
