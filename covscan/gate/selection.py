"""Which findings count: by code, by site, by severity."""

from collections.abc import Sequence

from covscan.config.policy import FailOn, Policy
from covscan.gate.names import matches
from covscan.report.types import Finding, Severity

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
"""The gravest first."""


def at_least(severity: Severity, threshold: FailOn) -> bool:
    """Whether a severity is the threshold or graver; nothing is, where that is ``never``."""
    return threshold != "never" and SEVERITIES.index(severity) <= SEVERITIES.index(threshold)


def at_site(globs: Sequence[str], finding: Finding) -> bool:
    """Whether a finding is at a site that matches; one about the whole run is under ``*`` alone."""
    return "*" in globs if finding.site is None else matches(globs, finding.site)


def ignored(finding: Finding, policy: Policy) -> bool:
    """Whether ``select``, ``ignore`` or ``site-ignores`` leave a finding out of the verdict."""
    if policy.select and not matches(policy.select, finding.code):
        return True
    if matches(policy.ignore, finding.code):
        return True
    return any(at_site([glob], finding) and matches(codes, finding.code) for glob, codes in policy.site_ignores)
