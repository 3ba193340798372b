"""A report and a policy give a verdict: budgets, baseline, suppressions."""

from covscan.gate.judging import judge, ungated

__all__ = ["judge", "ungated"]
