"""What exit codes mean, for the end of a help page."""

CODES = """\b
Exit codes:
  0 completed   1 a finding at or above --fail-on   2 something to correct
  3 a bug in covscan   4 nothing can be concluded   130 interrupted"""

VERDICTS = """\b
Exit codes:
  0 passed   1 failed: a budget, a finding at or above --fail-on, a regression
  2 something to correct   3 a bug in covscan
  4 inconclusive   130 interrupted"""
