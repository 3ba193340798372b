"""Evidence in, findings and ranked suggestions out."""

from covscan.rules.evidence import Evidence, Judgement
from covscan.rules.judge import judge

__all__ = ["Evidence", "Judgement", "judge"]
