"""Options of what is shown and written, and of which settings are read."""

from inspect import Parameter

from covscan.cli.options import panels
from covscan.cli.options.declaring import argument, option
from covscan.render import FORMATS

REPLACE = option("--force", bool, panels.OUTPUT, "Replace the file if it is there already.")
FORMAT = option(
    "--format -f",
    str,
    panels.OUTPUT,
    f"What standard output gets: {', '.join(FORMATS)}.",
    "FORMAT",
    default="text",
    name="form",
)
SHORT_FORMAT = option("--format -f", str, panels.OUTPUT, "text or json.", "FORMAT", default="text", name="form")
PLAIN_FORMAT = option(
    "--format -f", str, panels.OUTPUT, "text, json or markdown.", "FORMAT", default="text", name="form"
)
OUTPUTS = option("--output -o", list[str] | None, panels.OUTPUT, "Write a file as well. Repeatable.", "FORMAT=PATH")
PLOTS = option(
    "--plot",
    list[str] | None,
    panels.OUTPUT,
    "Draw how the 15th, 50th and 85th percentile of these sites move: a name or a glob, with :in or :out "
    "for one side of a module. Repeatable.",
    "SITE",
)
QUIET = option("--quiet -q", bool, panels.OUTPUT, "No progress; findings and errors stay.")
VERBOSE = option("--verbose -v", bool, panels.OUTPUT, "Every site, every measure, nothing cut short.")
COLOR = option("--color", str, panels.OUTPUT, "auto, always or never.", "WHEN", default="auto")
NO_COLOR = option("--no-color", bool, panels.OUTPUT, "The same as --color never.")
SAY_DIFFERENCE = option("--exit-code", bool, panels.OUTPUT, "Exit with 1 where something differs beyond noise.")
CONFIG_PATH = option(
    "--config",
    str | None,
    None,
    "Read settings from this file; without it from the covscan.toml, or the pyproject.toml with "
    "[tool.covscan], of this folder or the nearest one above it in the repository.",
    "PATH",
)
NO_CONFIG = option("--no-config", bool, None, "Read no file: flags and defaults alone.")
CLEAR = option("--clear", bool, None, "Remove everything that is kept.")
CODE = argument("code", str | None, "[CODE]", "A code or a name, as COV203.")
REPORT_PATH = argument(
    "report", str, "REPORT.json", "What analyze -o json=PATH wrote; - reads standard input.", default=Parameter.empty
)
BROWSED_REPORT = argument("report", str, "REPORT.json", "What analyze -o json=PATH wrote.", default=Parameter.empty)
SITE_NAME = argument("site", str, "SITE", "A site of the report, as its tables name it.", default=Parameter.empty)
ONE_SIDE = option(
    "--position",
    str | None,
    None,
    "input, output or logits of the site; without it the output where there is one.",
    "WHICH",
)
COLUMNS = option(
    "--checkpoint", list[str] | None, None, "Numbers of this checkpoint, or that end there. Repeatable.", "ID"
)
NUMBERS = option("--measure", list[str] | None, None, "These measures or statistics alone; globs. Repeatable.", "NAME")
CONFIG_TARGET = option(
    "--output -o", str, panels.OUTPUT, "The file to write; - prints.", "PATH", default="covscan.toml"
)
EARLIER_REPORT = option(
    "--report",
    str | None,
    panels.OUTPUT,
    "Take settings and budgets from what analyze -o json=PATH wrote, without measuring.",
    "REPORT.json",
)
SHOW = option("--show", bool, None, "Say what is in force, and from where; so without it.")
CONFIG_SCHEMA = option("--schema", bool, None, "Print the JSON Schema of covscan.toml, for editors, instead.")

COLORS = COLOR, NO_COLOR
TALK = QUIET, VERBOSE, *COLORS
SETTINGS_FILE = CONFIG_PATH, NO_CONFIG
