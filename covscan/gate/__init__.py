"""A report and a policy give a verdict: budgets, baseline, suppressions."""

from covscan.gate.judging import counted, judge, ungated

__all__ = ["counted", "judge", "ungated"]
