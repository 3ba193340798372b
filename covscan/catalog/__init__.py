"""Every code that a finding may carry, with its name and the page that explains it."""

from covscan.catalog.pages import RulePage, name_of, page, pages
from covscan.catalog.rules import GATE_RULES, RULES

__all__ = ["GATE_RULES", "RULES", "RulePage", "name_of", "page", "pages"]
