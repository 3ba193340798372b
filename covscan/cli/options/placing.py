"""Options of where a normalization goes, and of the proof that it gains something."""

from covscan.cli.options import panels
from covscan.cli.options.declaring import option

SITE = option("--site", str | None, panels.NORMALIZATION, "A module, or a value of an ONNX graph.", "NAME")
SIDE = option(
    "--position",
    str | None,
    panels.NORMALIZATION,
    "after (on its output, the default) or before (on its first input).",
    "WHERE",
)
NORM = option(
    "--norm",
    str | None,
    panels.NORMALIZATION,
    "BatchNorm, LayerNorm, RMSNorm, GroupNorm or InstanceNorm; BatchNorm1d and so on are understood as well.",
    "KIND",
)
FROM_REPORT = option(
    "--report",
    str | None,
    panels.NORMALIZATION,
    "Take place and kind from the first suggestion of this report.",
    "REPORT.json",
)
RANK = option("--rank", int | None, panels.NORMALIZATION, "Take suggestion N instead.", "N", least=1)
WRITTEN = option("--output -o", str | None, panels.OUTPUT, "The file to write.", "PATH")
WRITTEN_CODE = option(
    "--code",
    str | None,
    panels.OUTPUT,
    "Where the factory that takes the weights goes; the name of -o with .py without it.",
    "PATH",
)
SEEDS = option("--seeds", int, panels.EVIDENCE, "How often to repeat.", "N", default=5, least=1)
STEPS = option("--steps", int, panels.EVIDENCE, "Of each training.", "N", default=200, least=2)
RATES = option("--rates", int, panels.EVIDENCE, "Learning rates, sqrt(10) apart.", "N", default=7, least=3)
RESUME = option(
    "--resume",
    str | None,
    panels.EVIDENCE,
    "Keep each finished training in this file, and do not repeat those that are there.",
    "PATH",
)
EXPECT_GAIN = option(
    "--expect-gain",
    float | None,
    panels.EVIDENCE,
    "Exit with 1 unless the lower end of the gain's interval is at least this.",
    "PERCENT",
)
PROOF_PATH = option("--output -o", str | None, panels.OUTPUT, "Write the proof as JSON.", "PATH")

PLACE = SITE, SIDE, NORM, FROM_REPORT, RANK
