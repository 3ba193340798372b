"""Evidence in, findings and ranked suggestions out; a code, a name and a page of explanation for each rule."""

from covscan.rules.evidence import Evidence, Judgement
from covscan.rules.judge import judge
from covscan.rules.pages import RulePage, page, pages
from covscan.rules.registry import RULES

__all__ = ["RULES", "Evidence", "Judgement", "RulePage", "judge", "page", "pages"]
