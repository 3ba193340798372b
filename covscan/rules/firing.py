"""What makes a function a rule of measurements."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from covscan.catalog.firing import Firing
from covscan.rules.evidence import Evidence

Rule: TypeAlias = Callable[[Evidence], Iterable[Firing]]

__all__ = ["Firing", "Rule"]
