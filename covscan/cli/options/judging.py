"""Options of what passes: the verdict, and the baseline."""

from covscan.cli.options import panels
from covscan.cli.options.declaring import option

FAIL_ON = option(
    "--fail-on",
    str | None,
    panels.VERDICT,
    "Exit with 1 at a finding of this severity or a higher one: error, warning, info or never.",
    "SEVERITY",
    default="never",
)
SELECT = option(
    "--select",
    list[str] | None,
    panels.VERDICT,
    "Count findings with these codes alone, for example COV2*,COV4*. Repeatable.",
    "CODES",
)
IGNORE = option(
    "--ignore",
    list[str] | None,
    panels.VERDICT,
    "Don't count findings with these codes; they stay in the report. Repeatable.",
    "CODES",
)
PRESET = option(
    "--preset",
    str | None,
    panels.VERDICT,
    "Budgets to start from: standard (the default), strict, finetune or none.",
    "NAME",
)
MIN_SAMPLES = option(
    "--min-samples", int | None, panels.VERDICT, "With fewer samples no budget is judged (64 without it).", "N", least=1
)
JUDGED_REPORT = option(
    "--report",
    str | None,
    panels.VERDICT,
    "Judge what analyze -o json=PATH wrote, without measuring; - reads standard input.",
    "REPORT.json",
)
GIVEN_REPORT = option(
    "--report",
    str | None,
    panels.BASELINE,
    "Take this report of analyze -o json=PATH instead of measuring; - reads standard input.",
    "REPORT.json",
)
BASELINE_PATH = option(
    "--baseline", str | None, panels.BASELINE, "The baseline; covscan-baseline.json without it.", "PATH"
)
BASELINE_REVISION = option(
    "--baseline-rev",
    str | None,
    panels.BASELINE,
    "Read the baseline as it is in this git revision, for example origin/main.",
    "REVISION",
)
BASELINE_OUTPUT = option(
    "--output -o", str | None, panels.BASELINE, "The file to write; covscan-baseline.json without it.", "PATH"
)
FORCE = option("--force", bool, panels.BASELINE, "Replace a baseline that is there.")
COMPARED_MEASURES = option(
    "--measure",
    list[str] | None,
    panels.BASELINE,
    "Measures of shift to compare, in place of the usual four. Repeatable.",
    "GLOB",
)
COMPARED_STATISTICS = option(
    "--statistic",
    list[str] | None,
    panels.BASELINE,
    "Statistics of the last checkpoint to compare, in place of dead_channels, saturated_share and "
    "nonfinite_share. Repeatable.",
    "GLOB",
)
RELATIVE = option(
    "--relative",
    float | None,
    panels.BASELINE,
    "Bear this share of the baseline's value instead of the measured noise; 0.1 is a tenth.",
    "SHARE",
    least=0,
)
ABSOLUTE = option("--absolute", float | None, panels.BASELINE, "The same, in the unit of the measure.", "SIZE", least=0)
ACCEPT = option(
    "--accept",
    bool,
    panels.BASELINE,
    "Take what got worse and what is new as well, and let go of what can no longer be measured.",
)
ACCEPT_SITES = option("--accept-site", list[str] | None, panels.BASELINE, "Take it at these sites. Repeatable.", "GLOB")

COUNTED = FAIL_ON, SELECT, IGNORE
COMPARED = COMPARED_MEASURES, COMPARED_STATISTICS
BORNE = RELATIVE, ABSOLUTE
