"""What a gate made of a report: budgets, the comparison with a baseline, suppressions, and the verdict."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Outcome = Literal["met", "warned", "exceeded", "inconclusive", "off"]
Level = Literal["off", "warn", "error"]
Over = Literal["worst", "median", "share", "count"]
Span = Literal["first-to-last", "step-to-step", "any"]


class BudgetResult(Struct, frozen=True, kw_only=True):
    """One limit and how what was measured stands to it."""

    budget: Annotated[str, Meta(description="name of the budget in the configuration or of the preset's")]
    level: Annotated[
        Level, Meta(description="what an exceeded limit gives: a warning, or an error that fails the gate")
    ]
    subject: Annotated[
        str, Meta(description="what is limited: a measure, a statistic, or 'findings' with their selection")
    ]
    over: Annotated[
        Over, Meta(description="how sites become one value: worst or median of them, share of them beyond, or a count")
    ]
    max: Annotated[float | None, Meta(description="upper limit, in the unit of the subject; null where there is none")]
    min: Annotated[float | None, Meta(description="lower limit, likewise")]
    value: Annotated[float | None, Meta(description="what stands against the limit; null where nothing was judged")]
    low: Annotated[float | None, Meta(description="lower end of the value's 95 % interval; null where it has none")]
    high: Annotated[float | None, Meta(description="upper end of it")]
    sites: Annotated[int, Meta(description="sites that were judged")]
    samples: Annotated[int, Meta(description="samples that the judgement rests on")]
    site: Annotated[str | None, Meta(description="the site that decided, null where no single one did")] = None
    position: Annotated[str | None, Meta(description="its position")] = None
    checkpoint: Annotated[str | None, Meta(description="the checkpoint, or the later one of the pair")] = None
    from_checkpoint: Annotated[str | None, Meta(description="the earlier checkpoint of the pair")] = None
    outcome: Annotated[
        Outcome,
        Meta(
            description="'warned' is exceeded at level warn; 'inconclusive': the interval crosses the limit, or too few"
        ),
    ]
    message: Annotated[str, Meta(description="the judgement in one sentence")]
    beyond: Annotated[
        float | None, Meta(description="with over = 'share': sites whose value is larger are counted; else null")
    ] = None


class Regression(Struct, frozen=True, kw_only=True):
    """A value that grew beyond what the baseline tolerates."""

    site: Annotated[str | None, Meta(description="null for a finding about the whole run")]
    position: Annotated[str | None, Meta(description="its position")]
    subject: Annotated[str, Meta(description="measure or statistic, or a finding's code")]
    span: Annotated[
        Literal["first-to-last", "step-to-step", "last"],
        Meta(description="first to last checkpoint, the largest step between neighbours, or the last checkpoint alone"),
    ]
    baseline: Annotated[float, Meta(description="value in the baseline")]
    value: Annotated[float, Meta(description="value now")]
    tolerance: Annotated[float, Meta(description="how much more than the baseline is borne, in the same unit")]


class BaselineResult(Struct, frozen=True, kw_only=True):
    """The report against a baseline."""

    source: Annotated[str, Meta(description="path of the baseline, behind 'revision:' where it was read from git")]
    status: Annotated[
        Literal["compared", "absent", "incompatible"], Meta(description="whether the two could be compared")
    ]
    reasons: Annotated[list[str], Meta(description="why they could not, or not fully")]
    compared: Annotated[int, Meta(description="values compared")]
    improved: Annotated[int, Meta(description="values that got smaller by more than the tolerance")]
    added: Annotated[list[str], Meta(description="sites and findings that the baseline does not know")]
    missing: Annotated[list[str], Meta(description="sites of the baseline that were not measured")]
    regressions: Annotated[list[Regression], Meta(description="values beyond the tolerance, the largest excess first")]


class SuppressionResult(Struct, frozen=True, kw_only=True):
    """A suppression of the configuration and what became of it."""

    codes: Annotated[list[str], Meta(description="codes or globs of codes")]
    sites: Annotated[list[str], Meta(description="globs of site names")]
    reason: Annotated[str, Meta(description="why, as the configuration says")]
    expires: Annotated[str | None, Meta(description="last day it holds, ISO 8601; null where it never expires")]
    suppressed: Annotated[int, Meta(description="findings that it took out of the verdict")]
    status: Annotated[Literal["used", "unused", "expired"], Meta(description="what became of it")]


class Gate(Struct, frozen=True, kw_only=True):
    """The verdict on a report."""

    verdict: Annotated[
        Literal["passed", "failed", "inconclusive"], Meta(description="in one word; warnings alone pass")
    ]
    exit_code: Annotated[int, Meta(description="0 passed, 1 failed, 4 inconclusive")]
    reasons: Annotated[list[str], Meta(description="what made it so, a sentence each, the gravest first")]
    fail_on: Annotated[
        Literal["error", "warning", "info", "never"], Meta(description="findings from this severity on fail the gate")
    ]
    config: Annotated[str | None, Meta(description="the configuration file that was in force, relative to its folder")]
    preset: Annotated[str | None, Meta(description="the preset that the budgets start from")]
    ignored: Annotated[int, Meta(description="findings that --select and --ignore left out")]
    budgets: Annotated[list[BudgetResult], Meta(description="every budget, also those that are met or off")]
    baseline: Annotated[BaselineResult | None, Meta(description="null where none was asked for")] = None
    suppressions: Annotated[list[SuppressionResult], Meta(description="in the order of the configuration")] = []
